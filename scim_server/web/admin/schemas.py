"""Schemas that several resources of the Admin API share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, pre_load, validate

from scim_server.operations.listing import DEFAULT_LIMIT, MAX_LIMIT, Page
from scim_server.scim.values import format_date_time, parse_date_time
from seat_policy import LineKind, SeatStatus, Source


class Instant(fields.Field[datetime]):
    """An instant: RFC 3339 text in UTC outside, an aware datetime inside; text in a stored answer."""

    def _serialize(
        self, value: datetime | str | None, attr: str | None, obj: Any, **kwargs: Any
    ) -> str | None:
        return format_date_time(value) if isinstance(value, datetime) else value

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            return parse_date_time(value)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValidationError("Not an RFC 3339 time, as in 2026-11-23T08:00:00Z.") from error


class Flag(fields.Boolean):
    """true or false in a body; nothing that only resembles them, for money may hang on it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class QueryFlag(fields.Boolean):
    """The words true and false in a query."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise self.make_error("invalid", input=value)
        return bool(value == "true")


def choice(of: type[StrEnum], **more: Any) -> fields.String:
    """Return a field that is one of some words."""
    return fields.String(validate=validate.OneOf(list(of)), **more)


def day() -> fields.String:
    """Return a field that is a day of the calendar, as in 2026-11-23."""
    return fields.String(required=True, metadata={"format": "date"})


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; programs decide by it."})
    detail = fields.String(required=True, metadata={"description": "What is wrong and what to do."})
    request_id = fields.String(required=True)
    quote = fields.Nested(
        lambda: QuoteSchema(),
        allow_none=True,
        metadata={"description": "seat_unavailable: what the missing seat would cost."},
    )
    missing = fields.Integer(metadata={"description": "seats_in_use: how many more must be free."})
    errors = fields.Dict(metadata={"description": "What is wrong with each member of the request."})


class PageSchema(Schema):
    """Which page of a list."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    cursor = fields.String(load_default=None)

    @pre_load
    def drop_empty(self, values: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
        """A parameter without a value asks for nothing."""
        return {name: value for name, value in values.items() if value != ""}

    @post_load
    def make(self, values: dict[str, Any], **kwargs: Any) -> Any:
        """Make the Page; what else a schema asks stands beside it."""
        return {"page": Page(values.pop("limit"), values.pop("cursor")), **values}


class DryRunSchema(Schema):
    dry_run = QueryFlag(load_default=False, metadata={"description": "Only say what would change."})


class ChangeSchema(Schema):
    """What would become of one member's seat."""

    member_id = fields.String(required=True)
    from_tier = fields.String(required=True)
    to_tier = fields.String(required=True)
    rule = fields.String(required=True)


class Changes(fields.List[Any]):
    """Changes in the form in which they are shown: there may be 100,000, and nothing is left to do to them."""

    def __init__(self, **more: Any) -> None:
        super().__init__(fields.Nested(ChangeSchema), **more)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class ChangesSchema(Schema):
    changes = Changes(required=True)


class SeatSchema(Schema):
    """What a member holds and waits for."""

    tier = fields.String(required=True)
    source = choice(Source, required=True)
    status = choice(SeatStatus, required=True)
    desired_tier = fields.String(required=True, allow_none=True)
    waiting_since = Instant(required=True, allow_none=True)
    can_use = fields.Boolean(required=True)


class OverrideSchema(Schema):
    """What an administrator decided."""

    tier = fields.String(required=True)
    by = fields.String(required=True)
    at = Instant(required=True)
    reason = fields.String(required=True, allow_none=True)
    expires_at = Instant(required=True, allow_none=True)


class MatchedMappingSchema(Schema):
    group_id = fields.String(required=True)
    tier = fields.String(required=True)
    priority = fields.Integer(required=True, allow_none=True)


class ExplanationSchema(Schema):
    """Why the member's claim is what it is."""

    rule = fields.String(required=True)
    text = fields.String(required=True)
    would_change = fields.String(required=True)
    matched_mappings = fields.List(fields.Nested(MatchedMappingSchema), required=True)


class MemberSeatSchema(SeatSchema):
    """A member's seat, and why it is this one."""

    position = fields.Integer(required=True, allow_none=True)
    override = fields.Nested(OverrideSchema, required=True, allow_none=True)
    explain = fields.Nested(ExplanationSchema, required=True)


class LineSchema(Schema):
    """A line of a quote or an invoice.

    ``unit_price_minor`` is the price of a seat for a month, ``basis`` the part of the period
    that is charged; ``traded_in`` names the tier whose seat an upgrade gives back.
    """

    kind = choice(LineKind, required=True)
    tier = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price_minor = fields.Integer(required=True)
    amount_minor = fields.Integer(required=True)
    basis = fields.String(required=True)
    traded_in = fields.String(required=True, allow_none=True)


class NextBillSchema(Schema):
    """The next bill without and with what is quoted."""

    date = day()
    before_minor = fields.Integer(required=True)
    after_minor = fields.Integer(required=True)


class QuoteSchema(Schema):
    """What a change would cost; ``version`` is that of the organization, and it holds only for that one."""

    id = fields.String(required=True)
    version = fields.Integer(required=True)
    member_id = fields.String(required=True, allow_none=True)
    lines = fields.List(fields.Nested(LineSchema), required=True)
    total_minor = fields.Integer(required=True)
    currency = fields.String(required=True)
    next_bill = fields.Nested(NextBillSchema, required=True)
    expires_at = Instant(required=True)


@cache
def page_of(item: type[Schema]) -> type[Schema]:
    """Return the schema of a page of items."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=item.__name__.removesuffix("Schema") + "PageSchema",
    )

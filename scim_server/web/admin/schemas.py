"""Schemas that several resources of the Admin API share."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from scim_server.operations.listing import DEFAULT_LIMIT, MAX_LIMIT, Page
from scim_server.scim.values import format_date_time, parse_date_time


class Instant(fields.Field[datetime]):
    """An instant: RFC 3339 text in UTC outside, an aware datetime inside."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format_date_time(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            return parse_date_time(value)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValidationError("Not an RFC 3339 time, as in 2026-11-23T08:00:00Z.") from error


class Flag(fields.Boolean):
    """true or false in a body, "true" or "false" in a query; nothing else."""

    truthy = {True, "true"}  # noqa: RUF012 - as marshmallow declares it
    falsy = {False, "false"}  # noqa: RUF012


class ProblemSchema(Schema):
    """A problem document (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; programs decide by it."})
    detail = fields.String(required=True, metadata={"description": "What is wrong and what to do."})
    request_id = fields.String(required=True)
    errors = fields.Dict(metadata={"description": "What is wrong with each member of the request."})


class PageSchema(Schema):
    """Which page of a list."""

    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    cursor = fields.String(load_default=None)

    @post_load
    def make(self, values: dict[str, Any], **kwargs: Any) -> Any:
        """Make the Page; what else a schema asks stands beside it, None where it is empty."""
        page = Page(values.pop("limit"), values.pop("cursor") or None)
        return {"page": page, **{name: value or None for name, value in values.items()}}


class DryRunSchema(Schema):
    dry_run = Flag(load_default=False, metadata={"description": "Only say what would change."})


class ChangeSchema(Schema):
    """What would become of one member's seat."""

    member_id = fields.String(required=True)
    from_tier = fields.String(required=True)
    to_tier = fields.String(required=True)
    rule = fields.String(required=True)


class ChangesSchema(Schema):
    changes = fields.List(fields.Nested(ChangeSchema), required=True)


class SeatSchema(Schema):
    """What a member holds and waits for."""

    tier = fields.String(required=True)
    source = fields.String(required=True)
    status = fields.String(required=True)
    desired_tier = fields.String(required=True, allow_none=True)
    waiting_since = Instant(required=True, allow_none=True)
    can_use = fields.Boolean(required=True)


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

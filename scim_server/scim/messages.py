"""Protocol messages (RFC 7644 §3.4.2, §3.4.3): what comes in as one, what goes out as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from scim_server.errors import InvalidCount, InvalidCursor, InvalidRequest, InvalidSyntax
from scim_server.scim.values import Json

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


@dataclass(frozen=True, slots=True)
class Search:
    """What a SearchRequest asks; None where it says nothing."""

    filter: str | None
    sort_by: str | None
    sort_order: str | None
    start_index: int
    count: int | None
    cursor: str | None
    attributes: list[str] | None
    excluded: list[str] | None


class Names(fields.Field[list[str]]):
    """A list of attribute names; as one text with commas too, which is how a query has it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[str]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValidationError("Not a list of attribute names.")
        names = [name.strip() for text in texts for name in text.split(",")]
        return [name for name in names if name]


class SearchRequestSchema(Schema):
    """A SearchRequest; names in any letter case, further members left alone."""

    class Meta:
        unknown: ClassVar[str] = EXCLUDE

    filter = fields.String(load_default=None, allow_none=True)
    sort_by = fields.String(data_key="sortBy", load_default=None, allow_none=True)
    sort_order = fields.String(data_key="sortOrder", load_default=None, allow_none=True)
    start_index = fields.Integer(data_key="startIndex", load_default=1, allow_none=True, strict=True)
    count = fields.Integer(load_default=None, allow_none=True, strict=True)
    cursor = fields.String(load_default=None, allow_none=True)
    attributes = Names(load_default=None, allow_none=True)
    excluded = Names(data_key="excludedAttributes", load_default=None, allow_none=True)

    @pre_load
    def as_defined(self, data: Json, **kwargs: Any) -> Json:
        names = [field.data_key or name for name, field in self.fields.items()]
        by_key = {name.lower(): name for name in names}
        return {by_key.get(name.lower(), name): value for name, value in data.items()}


_SEARCH_REQUEST = SearchRequestSchema()


def search_request(body: Json) -> Search:
    """Read a SearchRequest. Raises InvalidSyntax naming what is wrong, InvalidCursor, InvalidCount."""
    try:
        asked = Search(**_SEARCH_REQUEST.load(body))
    except ValidationError as error:
        raise _refusal(error, body) from error
    # What is empty is not said (RFC 7643 §2.5).
    return replace(
        asked,
        sort_by=asked.sort_by or None,
        start_index=1 if asked.start_index is None else asked.start_index,
        attributes=asked.attributes or None,
        excluded=asked.excluded or None,
    )


def _refusal(error: ValidationError, body: Json) -> InvalidRequest:
    """Return what is wrong; of paging by cursor in the words of RFC 9865 §2.1."""
    problems: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
    detail = "; ".join(f"{name}: {' '.join(told)}" for name, told in problems.items())
    if "cursor" in problems:
        return InvalidCursor(detail)
    if "count" in problems and any(name.lower() == "cursor" for name in body):
        return InvalidCount(detail)
    return InvalidSyntax(detail)


def list_response(resources: Sequence[Json]) -> Json:
    """Return a ListResponse with all of some resources."""
    return {
        "schemas": [LIST_RESPONSE],
        "totalResults": len(resources),
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }

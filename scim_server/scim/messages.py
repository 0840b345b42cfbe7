"""Protocol messages (RFC 7644 §3.4.2, §3.4.3): what comes in as one, what goes out as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from scim_server.errors import InvalidSyntax
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


class SearchRequestSchema(Schema):
    """A SearchRequest; names in any letter case, further members left alone."""

    class Meta:
        unknown: ClassVar[str] = EXCLUDE

    filter = fields.String(load_default=None, allow_none=True)
    sort_by = fields.String(data_key="sortby", load_default=None, allow_none=True)
    sort_order = fields.String(data_key="sortorder", load_default=None, allow_none=True)
    start_index = fields.Integer(data_key="startindex", load_default=1, allow_none=True, strict=True)
    count = fields.Integer(load_default=None, allow_none=True, strict=True)
    cursor = fields.String(load_default=None, allow_none=True)
    attributes = fields.List(fields.String(), load_default=None, allow_none=True)
    excluded = fields.List(fields.String(), data_key="excludedattributes", load_default=None, allow_none=True)

    @pre_load
    def fold_names(self, data: Json, **kwargs: Any) -> Json:
        return {name.lower(): value for name, value in data.items()}


_SEARCH_REQUEST = SearchRequestSchema()


def search_request(body: Json) -> Search:
    """Read a SearchRequest. Raises InvalidSyntax naming what is wrong."""
    try:
        asked = Search(**_SEARCH_REQUEST.load(body))
    except ValidationError as error:
        problems: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
        raise InvalidSyntax("; ".join(f"{name}: {problem}" for name, problem in problems.items())) from error
    # What is empty is not said (RFC 7643 §2.5).
    return replace(
        asked,
        sort_by=asked.sort_by or None,
        start_index=1 if asked.start_index is None else asked.start_index,
        attributes=asked.attributes or None,
        excluded=asked.excluded or None,
    )


def list_response(resources: Sequence[Json]) -> Json:
    """Return a ListResponse with all of some resources."""
    return {
        "schemas": [LIST_RESPONSE],
        "totalResults": len(resources),
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }

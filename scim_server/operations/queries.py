"""Queries: one resource, or the page of a list (RFC 7644 §3.4, RFC 9865)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, cast

import orjson

from scim_server.call import Call
from scim_server.errors import InvalidCount, InvalidPath, InvalidValue, TooMany
from scim_server.operations import groups, representation
from scim_server.operations.representation import Rendered
from scim_server.scim import cursors, filters, paths, projection
from scim_server.scim.attributes import ResourceType, Returned
from scim_server.scim.conditions import Tags, require_match
from scim_server.scim.filters import Expression, Nothing
from scim_server.scim.paths import AttributePath
from scim_server.scim.projection import Projection
from scim_server.scim.values import Json
from scim_server.store import groups as group_store
from scim_server.store import search as store
from scim_server.store import users as user_store
from scim_server.store.groups import GroupRecord, Membership
from scim_server.store.search import Found, Order, Place, Record
from scim_server.store.tables import instant_of, microseconds_of
from scim_server.store.transaction import Transaction
from scim_server.store.users import ShownUser

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_MOST_MERGED = 10_000
MAX_INDEX = 2**53  # the greatest whole number that every JSON reader takes

Hit = tuple[Record, Any]  # a resource, and the key that it is sorted by


@dataclass(frozen=True, slots=True)
class Query:
    """What a client asks of a list (RFC 7644 §3.4.2, RFC 9865 §2).

    ``count`` None: as many as the server likes. ``cursor`` None: paging by index; "": the first page by cursor.
    """

    resource_types: tuple[ResourceType, ...]
    filter: str | None
    sort_by: str | None
    descending: bool
    start_index: int
    count: int | None
    cursor: str | None
    attributes: list[str] | None
    excluded: list[str] | None


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a page is where nothing is asked, how large at most, how long a cursor holds."""

    default_page: int
    max_page: int
    cursor_seconds: int


def get(
    tx: Transaction,
    call: Call,
    resource_type: ResourceType,
    resource_id: str,
    projection: Projection,
    if_match: Tags | None,
    if_none_match: Tags | None,
) -> Rendered:
    """Return a resource; without a body where If-None-Match names its version (RFC 7644 §3.14)."""
    if resource_type.name == "User":
        return _get_user(tx, call, resource_id, projection, if_match, if_none_match)
    record = group_store.get(tx, call.organization_id, resource_id)
    if _is_known(record.version, if_match, if_none_match):
        return representation.rendered(call, resource_type, record, None)
    return groups.render(tx, call, record, projection)


def _get_user(
    tx: Transaction,
    call: Call,
    user_id: str,
    projection: Projection,
    if_match: Tags | None,
    if_none_match: Tags | None,
) -> Rendered:
    shown = user_store.get_shown(tx, call.organization_id, user_id)
    if _is_known(shown.version, if_match, if_none_match):
        return representation.rendered(call, call.user_type, shown, None)
    body = representation.user(call, shown, projection)
    return representation.rendered(call, call.user_type, shown, body)


def _is_known(version: int, if_match: Tags | None, if_none_match: Tags | None) -> bool:
    """Whether the client has this version already. Raises VersionMismatch where it wants another."""
    require_match(if_match, version)
    return if_none_match is not None and if_none_match.include(version)


def search(tx: Transaction, call: Call, query: Query, limits: Limits) -> bytes:
    """Return the ListResponse of a query, joined from the stored texts of its resources.

    Raises InvalidFilter, InvalidValue (``sortBy``), InvalidCount, InvalidCursor, ExpiredCursor.
    """
    if query.cursor is not None:
        return _search_by_cursor(tx, call, query, limits)
    return _search_by_index(tx, call, query, limits)


def _search_by_index(tx: Transaction, call: Call, query: Query, limits: Limits) -> bytes:
    """Answer ``startIndex`` and ``count``; values out of range are brought into it (RFC 7644 §3.4.2.4)."""
    start = min(max(query.start_index, 1), MAX_INDEX)
    wanted = limits.default_page if query.count is None else min(max(query.count, 0), limits.max_page)
    searches = _searches(call, query)
    if len(searches) > 1 and query.sort_by is not None:
        records, total = _sorted_over_types(tx, call, searches, query, start - 1, wanted)
    else:
        records, total = _type_after_type(tx, call, searches, start - 1, wanted)
    resources = _texts(tx, call, query, records)
    return _list_response(
        resources, {"totalResults": total, "startIndex": start, "itemsPerPage": len(resources)}
    )


def _search_by_cursor(tx: Transaction, call: Call, query: Query, limits: Limits) -> bytes:
    """Answer ``cursor`` and ``count``: a page behind the place that the cursor seals (RFC 9865 §2)."""
    count = limits.default_page if query.count is None else max(query.count, 0)
    if count > limits.max_page:
        raise InvalidCount(f"count must be {limits.max_page} at most.")
    fingerprint = _fingerprint(query)
    behind = _opened(call, query, fingerprint, count)
    found = [search_.behind(tx, behind, count + 1, query) for search_ in _searches(call, query)]
    hits = _merged(found, query)
    page = hits[:count]
    resources = _texts(tx, call, query, [record for record, _ in page])
    members: Json = {
        "totalResults": sum(one.total for one in found),
        "itemsPerPage": len(resources),
    }
    if page and len(hits) > count:
        last, key = page[-1]
        members["nextCursor"] = cursors.seal(
            call.secret,
            call.organization_id,
            fingerprint,
            count,
            [last.id, _sealable(key)],
            call.at + timedelta(seconds=limits.cursor_seconds),
        )
    return _list_response(resources, members)


@dataclass(frozen=True, slots=True)
class _Search:
    """A query on one resource type, ready to be asked for pages."""

    call: Call
    resource_type: ResourceType
    expression: Expression | None
    order: Order | None
    with_groups: bool

    def page(self, tx: Transaction, offset: int, limit: int) -> Found:
        return store.find(
            tx,
            self.call.organization_id,
            self.resource_type,
            expression=self.expression,
            order=self.order,
            offset=offset,
            limit=limit,
            base_url=self.call.base_url,
            with_groups=self.with_groups,
        )

    def behind(self, tx: Transaction, place: Place | None, limit: int, query: Query) -> Found:
        """Return what comes behind a place, which another type may have given.

        A type without the attribute that is sorted by comes last in ascending, first in descending order.
        """
        if self.order is None and query.sort_by is not None and place is not None and place.key is not None:
            if query.descending:
                return self.page(tx, 0, 0)
            place = None
        return store.find_behind(
            tx,
            self.call.organization_id,
            self.resource_type,
            expression=self.expression,
            order=self.order,
            behind=place,
            limit=limit,
            base_url=self.call.base_url,
            with_groups=self.with_groups,
        )


def _searches(call: Call, query: Query) -> list[_Search]:
    """Return a search for each resource type in which the filter can match at all."""
    orders = _orders(query)
    return [
        _Search(call, type_, expression, orders.get(type_.name), _projection(query, type_).wants("groups"))
        for type_, expression in _expressions(call, query)
        if not isinstance(expression, Nothing)
    ]


def _expressions(call: Call, query: Query) -> Sequence[tuple[ResourceType, Expression | None]]:
    types, text = query.resource_types, query.filter
    if text is None:
        return [(type_, None) for type_ in types]
    lenient, note = call.client.lenient, call.note
    if len(types) == 1:
        return [(types[0], filters.parse_filter(text, types[0], lenient=lenient, note=note))]
    found = filters.parse_filter_for(text, types, lenient=lenient, note=note)
    return [(type_, found[type_.name]) for type_ in types]


def _projection(query: Query, resource_type: ResourceType) -> Projection:
    return projection.of(resource_type, query.attributes, query.excluded)


def _orders(query: Query) -> dict[str, Order]:
    """Return what each resource type is sorted by; a type that lacks the attribute is not sorted."""
    if query.sort_by is None:
        return {}
    orders, problem = {}, ""
    for resource_type in query.resource_types:
        try:
            path = sort_path(resource_type, query.sort_by)
        except (InvalidPath, InvalidValue) as error:
            problem = error.detail
        else:
            orders[resource_type.name] = Order(path, query.descending)
    if not orders:
        raise InvalidValue(f"sortBy: {problem}")
    return orders


def sort_path(resource_type: ResourceType, text: str) -> AttributePath:
    """Return the attribute that ``sortBy`` names; a complex one is sorted by its ``value`` (RFC 7644 §3.4.2.3)."""
    path = paths.resolve(resource_type, text)
    if path.attribute is None or path.target.returned is Returned.NEVER:
        raise InvalidValue(f"{text} cannot be sorted by.")
    if path.target.is_complex:
        value = path.target.by_key.get("value")
        if value is None:
            raise InvalidValue(f"{text} is complex: name one of its sub-attributes.")
        path = AttributePath(path.extension, path.attribute, value)
    if path.key.partition(".")[0] in ("members", "groups", "schemas"):
        raise InvalidValue(f"{text} cannot be sorted by.")
    return path


def _type_after_type(
    tx: Transaction, call: Call, searches: Sequence[_Search], offset: int, wanted: int
) -> tuple[list[Record], int]:
    records: list[Record] = []
    total = 0
    for search_ in searches:
        found = search_.page(tx, offset, wanted - len(records))
        records += found.records
        total += found.total
        offset = max(offset - found.total, 0)
    return records, total


def _sorted_over_types(
    tx: Transaction, call: Call, searches: Sequence[_Search], query: Query, offset: int, wanted: int
) -> tuple[list[Record], int]:
    if offset + wanted > _MOST_MERGED:
        raise TooMany(
            f"Of several resource types only the first {_MOST_MERGED} are sorted together; "
            "sort each type for itself, or go on by cursor."
        )
    found = [search_.page(tx, 0, offset + wanted) for search_ in searches]
    hits = _merged(found, query)
    return [record for record, _ in hits[offset : offset + wanted]], sum(one.total for one in found)


def _merged(found: Sequence[Found], query: Query) -> list[Hit]:
    """Merge pages of several types; Python compares text by code points, as the databases do here."""
    hits = [hit for one in found for hit in zip(one.records, one.keys, strict=True)]
    if len(found) == 1:
        return hits
    by_id = sorted(hits, key=lambda hit: hit[0].id)
    return sorted(by_id, key=lambda hit: _sort_key(hit[1]), reverse=query.descending)


def _sort_key(key: Any) -> tuple[bool, Any]:
    return key is None, "" if key is None else key


def _opened(call: Call, query: Query, fingerprint: str, count: int) -> Place | None:
    if not query.cursor:
        return None
    position = cursors.open(call.secret, call.organization_id, fingerprint, count, query.cursor, call.at)
    return Place(position[0], _unsealed(position[1]))


def _sealable(key: Any) -> Any:
    """Return a sort key as JSON can hold it; an instant to the microsecond."""
    return {"instant": microseconds_of(key)} if isinstance(key, datetime) else key


def _unsealed(key: Any) -> Any:
    return instant_of(key["instant"]) if isinstance(key, dict) else key


def _fingerprint(query: Query) -> str:
    """Return what a cursor is bound to: everything that decides which resources come in which order."""
    types = [resource_type.name for resource_type in query.resource_types]
    asked = orjson.dumps([types, query.filter, query.sort_by, query.descending])
    return hashlib.sha256(asked).hexdigest()


def _texts(tx: Transaction, call: Call, query: Query, records: Sequence[Record]) -> list[bytes]:
    """Return the JSON texts of records, with one look-up for the members of all groups."""
    of_users, of_groups = _projection(query, call.user_type), _projection(query, call.group_type)
    group_ids = [record.id for record in records if isinstance(record, GroupRecord)]
    members: Mapping[str, list[Membership]] = {}
    if group_ids and of_groups.wants("members"):
        members = group_store.members_of_many(tx, call.organization_id, group_ids)
    texts: list[bytes] = []
    for type_, together in groupby(records, key=type):
        if type_ is ShownUser:
            texts += representation.users(call, cast(Iterator[ShownUser], together), of_users)
        else:
            texts += [
                representation.group(call, record, members.get(record.id, []), of_groups)
                for record in cast(Iterator[GroupRecord], together)
            ]
    return texts


def _list_response(resources: Sequence[bytes], members: Json) -> bytes:
    """Join the texts of resources into a ListResponse; ``Resources`` is there even when it is empty."""
    head = orjson.dumps({"schemas": [LIST_RESPONSE], **members})
    return b'%b,"Resources":[%b]}' % (head[:-1], b",".join(resources))

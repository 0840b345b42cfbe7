"""Importing people and groups row by row, and exporting everything of an organization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from scim_server.call import Call
from scim_server.errors import InvalidSyntax, NotFound, NotUnique, ScimSeatsError
from scim_server.operations import (
    access,
    audit,
    groups,
    invoices,
    members,
    organizations,
    seat_rules,
    seats,
    users,
)
from scim_server.operations.listing import MAX_LIMIT, Page
from scim_server.scim.patch import RelationChange
from scim_server.scim.schemas import ENTERPRISE_URN, GROUP_URN, USER_URN
from scim_server.scim.values import Json
from scim_server.store import groups as group_store
from scim_server.store import seat_rules as rule_store
from scim_server.store import users as user_store
from scim_server.store.transaction import Transaction

LIST_SEPARATOR = ";"

_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PLAIN = ("userName", "externalId", "displayName", "title", "userType", "preferredLanguage", "timezone")
_NAME = ("givenName", "familyName", "formatted")
_WORK = ("employeeNumber", "department", "costCenter", "organization", "division")
COLUMNS = {
    "user": (*_PLAIN, "active", *_NAME, "email", *_WORK, "groups"),
    "group": ("displayName", "externalId", "members"),
}
"""The columns of a CSV file of people, and of one of groups."""
_COLUMNS_BY_KEY = {column.lower(): column for columns in COLUMNS.values() for column in columns}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its line, and what it says of a user or a group.

    ``groups`` (of a user, by id, externalId or name) and ``members`` (of a group, by
    userName) are joined beside what the document itself says.
    """

    line: int
    kind: str
    document: Json
    groups: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a row: created, known (it was there already), left_out, or refused, and why."""

    line: int
    outcome: str
    reason: str | None = None


def import_rows(tx: Transaction, call: Call, rows: Sequence[Row]) -> list[Result]:
    """Create what some rows describe, in one transaction; a row that is refused leaves no trace."""
    return [_import(tx, call, row) for row in rows]


def _import(tx: Transaction, call: Call, row: Row) -> Result:
    """Import a row, twice where a name is taken: a push or another import may have made it since it was looked for."""
    try:
        try:
            return _attempt(tx, call, row)
        except NotUnique:
            return _attempt(tx, call, row)
    except ScimSeatsError as error:
        return Result(row.line, "refused", error.detail)


def _attempt(tx: Transaction, call: Call, row: Row) -> Result:
    with tx.savepoint():
        return Result(row.line, _create(tx, call, row))


def _create(tx: Transaction, call: Call, row: Row) -> str:
    is_user = row.kind == "user"
    known = _known(tx, call, row)
    if known is None:
        resources: Any = users if is_user else groups
        identifier = resources.create(tx, call, resources.document_of(call, row.document), None).id
    else:
        identifier = known
    if is_user:
        for group_id in _named_groups(tx, call, row.groups):
            _join(tx, call, group_id, [identifier])
    elif row.members:
        _join(tx, call, identifier, _named_users(tx, call, row.members))
    return "created" if known is None else "known"


def _known(tx: Transaction, call: Call, row: Row) -> str | None:
    """Return the id of what is there already, so that the same file can be imported again."""
    if row.kind == "user":
        name = row.document.get("userName")
        record = user_store.find_by_name(tx, call.organization_id, name) if isinstance(name, str) else None
        return record.id if record else None
    name = row.document.get("displayName")
    found = group_store.find_named(tx, call.organization_id, [name]) if isinstance(name, str) else []
    return found[0] if found else None


def _named_groups(tx: Transaction, call: Call, names: Sequence[str]) -> list[str]:
    """Return the ids of groups; those that are not there yet are created."""
    found = []
    for name in names:
        ids = group_store.find_named(tx, call.organization_id, [name])
        found += ids or [groups.create(tx, call, _group_named(call, name), None).id]
    return found


def _group_named(call: Call, name: str) -> Json:
    return groups.document_of(call, {"schemas": [GROUP_URN], "displayName": name})


def _named_users(tx: Transaction, call: Call, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        record = user_store.find_by_name(tx, call.organization_id, name)
        if record is None:
            raise NotFound(f"There is no user {name}; import the people before their groups.")
        found.append(record.id)
    return found


def _join(tx: Transaction, call: Call, group_id: str, ids: Sequence[str]) -> None:
    change = RelationChange(cleared=False, added={identifier: {} for identifier in ids}, removed=set())
    groups.join(tx, call, group_id, change)


def row_of_csv(line: int, kind: str, values: Mapping[str, str]) -> Row:
    """Read a row of a CSV file of one kind by its ``COLUMNS``: SCIM's names, ``email`` and name parts.

    Raises InvalidSyntax where it is nameless, or no text.
    """
    if not all(map(_is_text, values.values())):
        raise InvalidSyntax("This row has bytes that are no UTF-8, or a NUL character.")
    given = {column: text.strip() for column, text in values.items() if text.strip()}
    return _user_row(line, given) if kind == "user" else _group_row(line, given)


def _user_row(line: int, given: Mapping[str, str]) -> Row:
    if "userName" not in given:
        raise InvalidSyntax(
            "There is no userName in this row of a file of people; groups want a file of their own."
        )
    return Row(line, "user", _user_of(given), groups=_list(given.get("groups")))


def _group_row(line: int, given: Mapping[str, str]) -> Row:
    if "displayName" not in given:
        raise InvalidSyntax("There is no displayName in this row of a file of groups.")
    kept: Json = {name: given[name] for name in ("displayName", "externalId") if name in given}
    return Row(line, "group", {"schemas": [GROUP_URN], **kept}, members=_list(given.get("members")))


class JsonRows:
    """Reads SCIM users and groups, and the lines of an export that are about them.

    An export names the members of a group by ids of where it was made: they are the people whose lines came before.
    """

    def __init__(self) -> None:
        self._user_names: dict[str, str] = {}

    def read(self, line: int, document: Json) -> Row | Result:
        """Read a line; what an export has beside people and groups is left out. Raises InvalidSyntax."""
        if document.keys() != {"kind", "data"}:
            return _resource_row(line, document)
        kind, data = document["kind"], document["data"]
        if kind not in ("member", "group"):
            return Result(line, "left_out")
        try:
            row = _resource_row(line, data["scim"])
            if kind == "member":
                self._user_names[data["id"]] = row.document["userName"]
                return row
            names = [self._user_names[one] for one in data["members"] if one in self._user_names]
            return replace(row, members=tuple(names))
        except (KeyError, TypeError) as error:
            raise InvalidSyntax("This is not as an export has it.") from error


def _resource_row(line: int, document: Any) -> Row:
    if isinstance(document, dict) and "userName" in document:
        return Row(line, "user", document)
    if isinstance(document, dict) and "displayName" in document:
        return Row(line, "group", document)
    raise InvalidSyntax("There is neither a userName nor a displayName in this row.")


def _user_of(given: Mapping[str, str]) -> Json:
    document: Json = {
        "schemas": [USER_URN],
        **{name: given[name] for name in _PLAIN if name in given},
        "active": _is_active(given.get("active", "true")),
    }
    name = {part: given[part] for part in _NAME if part in given}
    if name:
        document["name"] = name
    if "email" in given:
        document["emails"] = [{"value": given["email"], "primary": True}]
    work = {part: given[part] for part in _WORK if part in given}
    if work:
        document["schemas"].append(ENTERPRISE_URN)
        document[ENTERPRISE_URN] = work
    return document


def _is_active(text: str) -> bool:
    """Read the cell ``active``; nobody is made active by a misunderstanding."""
    flag = _FLAGS.get(text.lower())
    if flag is None:
        raise InvalidSyntax("active must be true or false.")
    return flag


def _is_text(text: str) -> bool:
    """Whether a text can be stored; bytes that are no UTF-8 were read as halves of surrogate pairs."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def column_of(header: str) -> str | None:
    """Return which column a header names, in any letter case (RFC 7643 §2.1); None for none of ours."""
    return _COLUMNS_BY_KEY.get(header.strip().lower())


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(LIST_SEPARATOR) if part.strip())


# -- export


def export(tx: Transaction, call: Call) -> Iterator[dict[str, Any]]:
    """Yield everything of an organization, a line each: ``{"kind": …, "data": {…}}``; no secret is in it."""
    yield {"kind": "organization", "data": organizations.get(tx, call)}
    yield {"kind": "seats", "data": seats.overview(tx, call)}
    yield from _users(tx, call)
    yield from _groups(tx, call)
    for kind, search in (
        ("mapping", seat_rules.mappings),
        ("invoice", invoices.search),
        ("token", access.list_tokens),
    ):
        for item in _items(tx, call, search):
            yield {"kind": kind, "data": item}
    for item in _items(tx, call, audit.search, kind=None, subject_id=None):
        yield {"kind": "event", "data": item}


def _users(tx: Transaction, call: Call) -> Iterator[dict[str, Any]]:
    wanted = dict.fromkeys(("tier", "source", "status", "q", "group_id"))
    for member in _items(tx, call, members.search, **wanted):
        record = user_store.get(tx, call.organization_id, member["id"])
        override = rule_store.override_of(tx, call.organization_id, record.id)
        yield {
            "kind": "member",
            "data": {
                **member,
                "override": None if override is None else asdict(override),
                "scim": orjson.loads(record.document),
            },
        }


def _groups(tx: Transaction, call: Call) -> Iterator[dict[str, Any]]:
    after = ""
    while found := group_store.groups_after(tx, call.organization_id, after=after, limit=MAX_LIMIT):
        for record in found:
            ids = [one.member_id for one in group_store.members(tx, call.organization_id, record.id)]
            document = orjson.loads(record.document)
            yield {"kind": "group", "data": {"id": record.id, "scim": document, "members": ids}}
        after = found[-1].id


def _items(tx: Transaction, call: Call, search: Any, **wanted: Any) -> Iterator[dict[str, Any]]:
    page = Page(MAX_LIMIT)
    while True:
        found = search(tx, call, page, **wanted)
        yield from found.items
        if found.next_cursor is None:
            return
        page = Page(MAX_LIMIT, found.next_cursor)

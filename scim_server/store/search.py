"""Pages of users and groups that match a filter, in order, with their exact number.

A statement depends on the shape of a query only (its filter without the literals, what it
sorts by, which page of what kind it wants): it is built once for each shape and used again
with other parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    null,
    or_,
    select,
)
from sqlalchemy.sql.visitors import iterate

from scim_server.scim.attributes import ResourceType
from scim_server.scim.filters import Expression, shape_and_values
from scim_server.scim.paths import AttributePath
from scim_server.store import filter_sql
from scim_server.store.filter_sql import Condition
from scim_server.store.groups import SELECT_GROUPS, GroupRecord
from scim_server.store.prepared import Prepared
from scim_server.store.tables import assignments, groups, organizations, users
from scim_server.store.text_functions import sorted_by
from scim_server.store.transaction import Transaction
from scim_server.store.users import ShownUser, is_behind, select_shown_users, users_with_seats

Record = ShownUser | GroupRecord


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by beside the time of creation; None: by that alone."""

    path: AttributePath
    descending: bool


class Place(NamedTuple):
    """Where a resource stands in a list: its id, and its sort key where the list is sorted."""

    id: str
    key: str | int | float | bool | datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """One page, ``keys`` being what its records are sorted by. ``total`` is the number of all that match."""

    records: Sequence[Record]
    keys: Sequence[Any]
    total: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """An expression that equals every other one of the same shape, so that both share a statement."""

    shape: Any
    expression: Expression

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shape) and self.shape == other.shape

    def __hash__(self) -> int:
        return hash(self.shape)


@dataclass(frozen=True, slots=True)
class _Statements:
    """``page`` has the fields of a record, and the sort key behind them where there is one."""

    page: Prepared
    count: Prepared
    condition: Condition | None


def find(
    tx: Transaction,
    organization_id: str,
    resource_type: ResourceType,
    *,
    expression: Expression | None,
    order: Order | None,
    offset: int,
    limit: int,
    base_url: str,
    with_groups: bool,
) -> Found:
    """Return ``limit`` resources behind the first ``offset`` (RFC 7644 §3.4.2.4).

    ``with_groups``: of users, what groups they are in is wanted too.
    """
    shape, values = _shape_of(expression)
    statements = _statements(
        resource_type, shape, order, seeks=None, skips=offset > 0, with_groups=with_groups
    )
    parameters = _parameters(organization_id, base_url, statements, values)
    page = {**parameters, "limit": limit, "offset": offset}
    asked = tx.execute(statements.page, page) if limit else ()
    total = _total(tx, statements, parameters)
    rows = list(asked)
    is_last = (rows or not offset) and len(rows) < limit
    return _found(resource_type, rows, offset + len(rows) if is_last else total(), order)


def find_behind(
    tx: Transaction,
    organization_id: str,
    resource_type: ResourceType,
    *,
    expression: Expression | None,
    order: Order | None,
    behind: Place | None,
    limit: int,
    base_url: str,
    with_groups: bool,
) -> Found:
    """Return ``limit`` resources behind a place; the cost is the same at any depth (RFC 9865)."""
    shape, values = _shape_of(expression)
    seeks = None if behind is None else "null" if behind.key is None else "key"
    statements = _statements(resource_type, shape, order, seeks=seeks, skips=False, with_groups=with_groups)
    parameters = _parameters(organization_id, base_url, statements, values)
    place = {} if behind is None else {"behind_id": behind.id, "behind_key": behind.key}
    page = {**parameters, **place, "limit": limit}
    asked = tx.execute(statements.page, page)
    total = _total(tx, statements, parameters)
    rows = asked.all()
    is_all = behind is None and len(rows) < limit
    return _found(resource_type, rows, len(rows) if is_all else total(), order)


def _total(tx: Transaction, statements: _Statements, parameters: Mapping[str, Any]) -> Callable[[], int]:
    """Return what says how many match. Where it is a look-up it is asked for at once, together with the page."""
    if statements.condition is not None:
        return lambda: int(tx.execute(statements.count, parameters).scalar_one())
    counted = tx.execute(statements.count, parameters)
    return lambda: int(counted.scalar_one())


def _found(resource_type: ResourceType, rows: Sequence[Any], total: int, order: Order | None) -> Found:
    if order is None:
        return Found(rows, [None] * len(rows), total)
    make = _record_of(resource_type)._make
    return Found([make(row[:-1]) for row in rows], [row[-1] for row in rows], total)


def _record_of(resource_type: ResourceType) -> type[Record]:
    return ShownUser if resource_type.name == "User" else GroupRecord


def _shape_of(expression: Expression | None) -> tuple[_Shape | None, list[Any]]:
    if expression is None:
        return None, []
    shape, values = shape_and_values(expression)
    return _Shape(shape, expression), list(values)


def _parameters(
    organization_id: str, base_url: str, statements: _Statements, values: list[Any]
) -> dict[str, Any]:
    bound = statements.condition.parameters(values) if statements.condition else {}
    return {"organization_id": organization_id, "base_url": base_url, **bound}


@lru_cache(maxsize=512)
def _statements(
    resource_type: ResourceType,
    shape: _Shape | None,
    order: Order | None,
    *,
    seeks: str | None,
    skips: bool,
    with_groups: bool,
) -> _Statements:
    """Build the statements of a query. ``skips``: the page does not begin with the first that matches."""
    is_user = resource_type.name == "User"
    table = users if is_user else groups
    condition = filter_sql.condition(resource_type, shape.expression) if shape else None
    where = [table.c.organization_id == bindparam("organization_id")]
    if condition is not None:
        where.append(condition.clause)
    whole = select_shown_users(with_groups=with_groups) if is_user else SELECT_GROUPS
    record: Any = _record_of(resource_type)
    key: ColumnElement[Any] = null()
    if order is not None:
        key = filter_sql.sort_key(resource_type, order.path)
        whole, record = whole.add_columns(key.label("sort_key")), tuple
    matching = list(where)
    if seeks is not None:
        matching.append(_behind(_source(table, [*where, key]), table.c.id, key, order, seeks))
    latest = shape is not None and filter_sql.asks_for_latest(shape.expression)
    ordering = _ordering(sorted_by(table.c.id) if latest else table.c.id, key, order)
    ids = select(table.c.id).select_from(_source(table, [*where, key])).where(*matching).order_by(*ordering)
    if skips:
        ids = ids.offset(bindparam("offset"))
    if latest or order is not None:  # all that match are sorted, and no more of them is read than that takes
        chosen = ids.limit(bindparam("limit"))
        page = whole.where(where[0], table.c.id.in_(chosen)).order_by(*ordering)
    else:
        if skips:
            matching.append(table.c.id >= ids.limit(1).scalar_subquery())
        page = whole.where(*matching).order_by(*ordering).limit(bindparam("limit"))
    count = _count(table, where, condition)
    return _Statements(Prepared(page, record), Prepared(count), condition)


def _count(table: Table, where: Sequence[ColumnElement[bool]], condition: Condition | None) -> Select[Any]:
    """Return the statement that says how many match; of all that there are, the organization keeps count."""
    if condition is None:
        count = organizations.c.user_count if table is users else organizations.c.group_count
        return select(count).where(organizations.c.id == bindparam("organization_id"))
    return select(func.count()).select_from(_source(table, where)).where(*where)


def _source(table: Table, looked_at: Sequence[ColumnElement[Any]]) -> FromClause:
    """Return the tables that some clauses look at: the seats are joined only where one asks for them."""
    parts = (part for clause in looked_at for part in iterate(clause))
    looks_at_seats = any(getattr(part, "table", None) is assignments for part in parts)
    return users_with_seats if looks_at_seats else table


def _ordering(
    id_: ColumnElement[Any], key: ColumnElement[Any], order: Order | None
) -> list[ColumnElement[Any]]:
    """Who has no value comes last in ascending and first in descending order (RFC 7644 §3.4.2.3)."""
    if order is None:
        return [id_]
    absent = case((key.is_(None), 1), else_=0)
    if order.descending:
        return [absent.desc(), key.desc(), id_]
    return [absent, key, id_]


def _behind(
    source: FromClause, id_: ColumnElement[Any], key: ColumnElement[Any], order: Order | None, seeks: str
) -> ColumnElement[bool]:
    """Return the condition that a resource comes after the place that is bound."""
    place: ColumnElement[Any] = bindparam("behind_id")
    later = is_behind(place) if source is users_with_seats else id_ > place
    if order is None:
        return later
    bound = bindparam("behind_key", type_=key.type)
    if seeks == "null":
        among_absent = and_(key.is_(None), later)
        return or_(among_absent, key.is_not(None)) if order.descending else among_absent
    beyond = key < bound if order.descending else key > bound
    present = or_(beyond, and_(key == bound, later))
    return present if order.descending else or_(present, key.is_(None))

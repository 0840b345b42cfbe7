"""A crowd, made from one person that came through the front door, and a recorder of statements and plans."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from psycopg import RawCursor
from sqlalchemy import Table, func, insert, literal, select, text, update

from scim_server.ids import new_id
from scim_server.store.database import Database
from scim_server.store.prepared import Prepared
from scim_server.store.tables import (
    assignments,
    attribute_values,
    group_mappings,
    groups,
    memberships,
    metadata,
    organizations,
    seat_pools,
    tokens,
    users,
)
from scim_server.store.transaction import Transaction
from tests.statements import Listener
from tests.world import World

# -- what was run, and how


@dataclass(frozen=True)
class Ran:
    """A statement, the function that ran it, how many sets of parameters it had, and how the database goes about it.

    ``plan`` is for these parameters, ``plan_for_any`` the one that PostgreSQL may keep when it was run a few times.
    """

    function: str
    times: int
    plan: list[str]
    plan_for_any: list[str]


@dataclass
class Recorder:
    """Listens to what requests run; ``explains``: the database is asked for its plan too."""

    explains: bool = False
    ran: list[Ran] = field(default_factory=list)

    def before(self, tx: Transaction, statement: Any, parameters: Any, function: str) -> None:
        sets = [parameters] if isinstance(parameters, dict) else list(parameters) or [{}]
        plans = _plans_of(tx, statement, sets[0]) if self.explains else ([], [])
        self.ran.append(Ran(function, len(sets), *plans))

    def ended(self, tx: Transaction) -> None:
        pass

    def take(self) -> list[Ran]:
        taken, self.ran = self.ran, []
        return taken


@pytest.fixture
def recorder(statement_listeners: list[Listener]) -> Iterator[Recorder]:
    made = Recorder()
    statement_listeners.append(made)
    yield made
    statement_listeners.remove(made)


def _plans_of(tx: Transaction, statement: Any, parameters: Any) -> tuple[list[str], list[str]]:
    """Return how each table is read, as in ``users by uq_users_user_name: organization_id, user_name_key``."""
    prepared = statement if isinstance(statement, Prepared) else Prepared(statement)
    compiled = prepared._for(tx.dialect.name, parameters)
    if tx.dialect.name == "sqlite":
        rows = tx.raw.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", compiled._bound(parameters))
        return [step for *_, detail in rows for step in _sqlite_step(detail)], []
    bound = compiled._bound(parameters)
    asking = RawCursor(tx.raw)
    [[with_values]] = asking.execute(f"EXPLAIN (FORMAT JSON) {compiled.sql}", bound).fetchall()
    generic = tx.raw.pgconn.exec_(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {compiled.sql}".encode())
    for_any = orjson.loads(generic.get_value(0, 0))
    return list(_postgresql_steps(with_values[0]["Plan"])), list(_postgresql_steps(for_any[0]["Plan"]))


def _sqlite_step(detail: str) -> Iterator[str]:
    found = re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?(?:INDEX (\w+)|PRIMARY KEY))?(.*)", detail)
    if found and found[2] in metadata.tables:
        columns = re.findall(r"(\w+)[=<>]", found[4]) if found[1] == "SEARCH" else []
        yield f"{found[2]} by {found[3] or 'its key'}: {', '.join(columns)}"


def _postgresql_steps(node: dict[str, Any], table: str = "") -> Iterator[str]:
    table = node.get("Relation Name", table)
    if node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"):
        columns = re.findall(r"\(+(\w+)(?:\)::\w+)? [=<>]", node.get("Index Cond", ""))
        yield f"{table} by {node.get('Index Name', 'nothing')}: {', '.join(columns)}"
    for child in node.get("Plans", []):
        yield from _postgresql_steps(child, table)


# -- a crowd

OF_AN_ORGANIZATION = (organizations, seat_pools, tokens)
# With the column that says whose row it is.
OF_PEOPLE = {
    users: users.c.id,
    assignments: assignments.c.member_id,
    groups: groups.c.id,
    attribute_values: attribute_values.c.resource_id,
    memberships: memberships.c.member_id,
    group_mappings: group_mappings.c.group_id,
}


@dataclass
class Crowd:
    """An organization with a person and a group ``p0`` and ``g0``, which ``grow`` multiplies.

    ``p<n>@example.com`` is the userName and the e-mail of person n, ``x-p<n>`` the externalId; every
    person is in the group ``everybody``, and n also in ``g<n>``, which is mapped to a tier.
    """

    acme: World
    database: Database
    size: int = 1

    def grow(self, size: int) -> None:
        """Let there be ``size`` people, groups and mappings."""
        added = range(self.size, size)
        self.size = size
        self.database.run(self._multiply, added)

    def found_others(self, number: int) -> None:
        """Make further organizations with pools and tokens, eight of them with all the people that are here."""
        self.database.run(self._found, [new_id() for _ in range(number)])
        self.database.run(lambda tx: tx.execute(text("ANALYZE")))

    def _multiply(self, tx: Transaction, added: Iterable[int]) -> None:
        originals = [self.acme.ids[name] for name in ("p0", "g0")]
        new_ids = {number: {old: new_id() for old in originals} for number in added}
        for table, whose in OF_PEOPLE.items():
            rows = [row for row in self._rows(tx, table) if row[whose.name] in originals]
            made = [_renamed(row, number, new) for number, new in new_ids.items() for row in rows]
            tx.execute(insert(table), made)
        here = self.acme.organization_id
        count = {"user_count": self.size, "group_count": self.size + 1}
        tx.execute(update(organizations).where(organizations.c.id == here).values(**count))
        used = (
            select(func.count())
            .where(assignments.c.organization_id == here, assignments.c.tier == seat_pools.c.tier)
            .scalar_subquery()
        )
        tx.execute(update(seat_pools).where(seat_pools.c.organization_id == here).values(used=used))

    def _found(self, tx: Transaction, ids: list[str]) -> None:
        for number, other in enumerate(ids):
            for table in [*OF_AN_ORGANIZATION, *(OF_PEOPLE if number < 8 else ())]:
                copy = {column.name: _copied(column, other) for column in table.c}
                here = select(*copy.values()).where(_organization_of(table) == self.acme.organization_id)
                tx.execute(insert(table).from_select(list(copy), here))

    def _rows(self, tx: Transaction, table: Table) -> list[dict[str, Any]]:
        found = tx.execute(select(table).where(_organization_of(table) == self.acme.organization_id))
        return [dict(row) for row in found.mappings()]


def _renamed(row: dict[str, Any], number: int, new_ids: dict[str, str]) -> dict[str, Any]:
    def renamed(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return new_ids.get(value) or re.sub(r"\b([pg])0\b", rf"\g<1>{number}", value)

    return {name: renamed(value) for name, value in row.items()}


def _organization_of(table: Table) -> Any:
    return table.c.id if table is organizations else table.c.organization_id


def _copied(column: Any, organization_id: str) -> Any:
    """Return what stands in a column of a copy for another organization; what is unique over all is made so."""
    if column is _organization_of(column.table) or column is organizations.c.name:
        return literal(organization_id)
    return column + organization_id if column is tokens.c.token_hash else column


@pytest.fixture
def crowd(world: Callable[..., World], database: Database) -> Crowd:
    acme = world(plan="enterprise", premium=10_000, standard=10_000, provisioning_mode="jit")
    return crowd_of(acme, database)


@pytest.fixture
def waiting_crowd(world: Callable[..., World], database: Database) -> Crowd:
    """A crowd that waits, for one person has the only seat."""
    acme = world(premium=1, min_total=0)
    acme.push("holder")
    return crowd_of(acme, database)


def crowd_of(acme: World, database: Database) -> Crowd:
    acme.push("p0", externalId="x-p0", emails=[{"value": "p0@example.com", "type": "work"}])
    acme.group("everybody", "p0")
    acme.group("g0", "p0", tier="premium")
    acme.jit.post("/login", {"userName": "p0"})
    return Crowd(acme, database)

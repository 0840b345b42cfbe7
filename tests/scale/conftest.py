"""A crowd, made from one person that came through the front door, and a recorder of statements and plans."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Table, func, insert, select, text, update

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
    """A statement, the function that ran it, how many sets of parameters it had, and how the database goes about it."""

    function: str
    times: int
    plan: list[str]


@dataclass
class Recorder:
    """Listens to what requests run; ``explains``: the database is asked for its plan too."""

    explains: bool = False
    ran: list[Ran] = field(default_factory=list)

    def before(self, tx: Transaction, statement: Any, parameters: Any, function: str) -> None:
        sets = [parameters] if isinstance(parameters, dict) else list(parameters) or [{}]
        plan = _plan_of(tx, statement, sets[0]) if self.explains else []
        self.ran.append(Ran(function, len(sets), plan))

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


def _plan_of(tx: Transaction, statement: Any, parameters: Any) -> list[str]:
    """Return how each table is read, as in ``users by uq_users_user_name: organization_id, user_name_key``."""
    prepared = statement if isinstance(statement, Prepared) else Prepared(statement)
    compiled = prepared._for(tx.dialect, parameters)
    if tx.dialect.name == "sqlite":
        rows = tx.raw.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", compiled._bound(parameters))
        return [step for *_, detail in rows for step in _sqlite_step(detail)]
    bound = compiled._bound(parameters)
    [[with_values]] = tx.raw.execute(f"EXPLAIN (FORMAT JSON) {compiled.sql}", bound).fetchall()
    [[for_any]] = tx.raw.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {_numbered(compiled.sql)}").fetchall()
    return [*_postgresql_steps(with_values[0]["Plan"]), *_postgresql_steps(for_any[0]["Plan"])]


def _sqlite_step(detail: str) -> Iterator[str]:
    found = re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?(?:INDEX (\w+)|PRIMARY KEY))?(.*)", detail)
    if found and found[2] in metadata.tables:
        columns = re.findall(r"(\w+)[=<>]", found[4]) if found[1] == "SEARCH" else []
        yield f"{found[2]} by {found[3] or 'its key'}: {', '.join(columns)}"


def _postgresql_steps(node: dict[str, Any]) -> Iterator[str]:
    if node.get("Relation Name") and "Scan" in node["Node Type"]:
        bitmap = [child for child in node.get("Plans", []) if "Bitmap" in child["Node Type"]]
        for scan in bitmap or [node]:
            columns = re.findall(r"\(+(\w+)(?:\)::\w+)? [=<>]", scan.get("Index Cond", ""))
            yield f"{node['Relation Name']} by {scan.get('Index Name', 'nothing')}: {', '.join(columns)}"
    for child in node.get("Plans", []):
        yield from _postgresql_steps(child)


def _numbered(sql: str) -> str:
    """Return a statement of the driver's with places that are numbered, as the server itself reads it."""
    numbers: dict[str, int] = {}
    numbered = re.sub(r"%\((\w+)\)s", lambda match: f"${numbers.setdefault(match[1], len(numbers) + 1)}", sql)
    return numbered.replace("%%", "%")


# -- a crowd


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
        """Make further organizations with pools and tokens, ten of them with all the people that are here."""
        self.database.run(self._found, [new_id() for _ in range(number)])
        self.analyze()

    def analyze(self) -> None:
        self.database.run(lambda tx: tx.execute(text("ANALYZE")))

    def _multiply(self, tx: Transaction, added: Iterable[int]) -> None:
        ids = {f"{self.acme.ids[name]}": name[0] for name in ("p0", "g0")}
        new_ids = {number: {old: new_id() for old in ids} for number in added}
        for table in (users, assignments, groups, attribute_values, memberships, group_mappings):
            key = next(
                column
                for name in ("id", "member_id", "group_id", "resource_id")
                for column in table.c
                if column.name == name
            )
            rows = [row for row in self._rows(tx, table) if row[key.name] in ids]
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
        for table in (organizations, seat_pools, tokens):
            rows = self._rows(tx, table)
            tx.execute(insert(table), [_moved(row, other) for other in ids for row in rows])
        for table in (users, groups, assignments, attribute_values, memberships, group_mappings):
            rows = self._rows(tx, table)
            tx.execute(insert(table), [_moved(row, other) for other in ids[:10] for row in rows])

    def _rows(self, tx: Transaction, table: Table) -> list[dict[str, Any]]:
        column = table.c.id if table is organizations else table.c.organization_id
        found = tx.execute(select(table).where(column == self.acme.organization_id))
        return [dict(row) for row in found.mappings()]


def _renamed(row: dict[str, Any], number: int, new_ids: dict[str, str]) -> dict[str, Any]:
    def renamed(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return new_ids.get(value) or re.sub(r"\b([pg])0\b", rf"\g<1>{number}", value)

    return {name: renamed(value) for name, value in row.items()}


def _moved(row: dict[str, Any], organization_id: str) -> dict[str, Any]:
    """Return a row as another organization's; what is unique over all of them is made so."""
    column = "organization_id" if "organization_id" in row else "id"
    unique = {name: f"{row[name]}-{organization_id}" for name in ("token_hash",) if name in row}
    if column == "id":
        unique["name"] = organization_id
    return {**row, **unique, column: organization_id}


@pytest.fixture
def crowd(world: Callable[..., World], database: Database) -> Crowd:
    acme = world(plan="enterprise", premium=10_000, standard=10_000, provisioning_mode="jit")
    acme.push("p0", externalId="x-p0", emails=[{"value": "p0@example.com", "type": "work"}])
    acme.group("everybody", "p0")
    acme.group("g0", "p0", tier="premium")
    acme.jit.post("/login", {"userName": "p0"})
    return Crowd(acme, database)

"""What a request costs: how many statements, and that none of them reads more than it is about.

Both are asked of the requests themselves, over HTTP. The numbers are those of sets of parameters, so
that a statement that is run for each of many rows counts as often.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scim_server.store.postgresql import PostgresqlSession
from scim_server.store.tables import WHERE, metadata
from tests.scale.conftest import Crowd, Ran, Recorder
from tests.world import World

Ask = Callable[[World, Any], Any]


def find(query: str) -> Ask:
    return lambda acme, _: acme.scim.get(f"/Users?filter={query}")


def next_page(acme: World, first: dict[str, Any]) -> None:
    acme.scim.get(f"/Users?cursor={first['nextCursor']}&count=2")


def create(acme: World, _: Any) -> None:
    emails = [{"value": "new@example.com", "type": "work"}]
    acme.push("new", externalId="x-new", emails=emails)


def rename(acme: World, _: Any) -> None:
    acme.patch_user("p0", {"op": "replace", "path": "displayName", "value": "Ada"})


def known_login(acme: World, _: Any) -> None:
    assert acme.login("p0", ["everybody", "g0"])["decision"] == "allow"


# What each request costs, the look-up of its token included: the statements on SQLite and on PostgreSQL, and how
# often it goes over the network to PostgreSQL and back. PostgreSQL has more statements where a row is locked
# before it is read; on SQLite there is one writer anyway.
COSTS: dict[str, tuple[int, int, int]] = {
    "find by userName": (2, 2, 1),
    "find by externalId": (2, 2, 1),
    "find by e-mail": (2, 2, 1),
    "find by e-mail of a type": (2, 2, 1),
    "find who changed": (2, 2, 1),
    "get a user": (2, 2, 1),
    "get the next page": (3, 3, 1),
    "create a user": (9, 10, 2),
    "rename a user": (4, 5, 2),
    "suspend a user": (10, 12, 4),
    "activate a user": (10, 12, 4),
    "get a group without its members": (2, 2, 1),
    "find a group by name": (2, 2, 1),
    "add a member": (6, 7, 3),
    "add a member to a mapped group": (12, 14, 5),
    "remove a member": (6, 7, 3),
    "remove a member from a mapped group": (12, 14, 5),
    "log in as a known member": (5, 5, 2),
    "override a seat": (16, 18, 6),
    "clear an override": (16, 18, 6),
    "show a seat": (6, 6, 2),
    "delete a user": (13, 15, 3),
}
REQUESTS: dict[str, Ask] = {
    "find by userName": find('userName eq "P0"'),
    "find by externalId": find('externalId eq "x-p0"'),
    "find by e-mail": find('emails.value eq "p0@example.com"'),
    "find by e-mail of a type": find('emails[type eq "work" and value eq "p0@example.com"]'),
    "find who changed": find('meta.lastModified gt "2999-01-01T00:00:00Z"'),
    "get a user": lambda acme, _: acme.scim.get(f"/Users/{acme.ids['p0']}"),
    "get the next page": next_page,
    "create a user": create,
    "rename a user": rename,
    "suspend a user": lambda acme, _: acme.set_active("new", False),
    "activate a user": lambda acme, _: acme.set_active("new", True),
    "get a group without its members": lambda acme, _: acme.scim.get(
        f"/Groups/{acme.ids['everybody']}?excludedAttributes=members"
    ),
    "find a group by name": lambda acme, _: acme.scim.get(
        '/Groups?filter=displayName eq "Everybody"&excludedAttributes=members'
    ),
    "add a member": lambda acme, _: acme.patch_group("everybody", add=("new",)),
    "add a member to a mapped group": lambda acme, _: acme.patch_group("g0", add=("new",)),
    "remove a member": lambda acme, _: acme.patch_group("everybody", remove=("new",)),
    "remove a member from a mapped group": lambda acme, _: acme.patch_group("g0", remove=("new",)),
    "log in as a known member": known_login,
    "override a seat": lambda acme, _: acme.override("new", "standard"),
    "clear an override": lambda acme, _: acme.clear_override("new"),
    "show a seat": lambda acme, _: acme.seat("p0"),
    "delete a user": lambda acme, _: acme.remove("new"),
}


def ask_all(crowd: Crowd, recorder: Recorder) -> dict[str, list[Ran]]:
    """Ask everything once, and return what was run for each request."""
    acme = crowd.acme
    first = acme.scim.get("/Users?cursor=&count=2") if crowd.size > 2 else None
    for client in (acme.scim, acme.jit, acme.admin):  # the first use of a token is recorded
        client.request("GET", "/nowhere")
    acme.admin.get("/seats")
    recorder.take()
    ran = {}
    for name, ask in REQUESTS.items():
        ask(acme, first)
        ran[name] = recorder.take()
    return ran


@pytest.mark.parametrize("size", [10, 1000])
def test_a_request_takes_as_many_statements_among_ten_as_among_a_thousand(crowd, recorder, size):
    crowd.grow(size)
    place = 0 if crowd.database.is_sqlite else 1

    ran = ask_all(crowd, recorder)

    counted = {name: sum(one.times for one in statements) for name, statements in ran.items()}
    assert counted == {name: cost[place] for name, cost in COSTS.items()}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_request_crosses_the_network_as_often_as_it_has_to_know_something(crowd, recorder, monkeypatch):
    crowd.grow(10)
    ask_all(crowd, recorder)  # which prepares the statements
    first = crowd.acme.scim.get("/Users?cursor=&count=2")
    crossed: list[PostgresqlSession] = []
    receive = PostgresqlSession._receive

    def counted(session: PostgresqlSession) -> None:
        if session._on_their_way:
            crossed.append(session)
        receive(session)

    monkeypatch.setattr(PostgresqlSession, "_receive", counted)
    ways = {}
    for name, ask in REQUESTS.items():
        crossed.clear()
        ask(crowd.acme, first)
        ways[name] = len(crossed)

    assert ways == {name: crossings for name, (_, _, crossings) in COSTS.items()}


def test_the_documentation_has_these_numbers():
    documented = (Path(__file__).parents[2] / "docs/scaling.md").read_text()

    rows = [f"| {name} | {' | '.join(map(str, cost))} |" for name, cost in COSTS.items()]

    assert [row for row in rows if row not in documented] == []


# Tables of which an organization has a handful of rows; and indexes that hold only the few rows that are asked for.
SMALL = {"seat_pools", "organizations"}
PARTIAL = {index.name for table in metadata.sorted_tables for index in table.indexes if WHERE in index.info}


def reads_too_much(step: str) -> bool:
    """Whether a step finds its rows by nothing but the organization, or not by an index at all."""
    table, index, columns = re.fullmatch(r"(\w+) by (.+): (.*)", step).groups()
    compared = set(columns.split(", ")) if columns else set()
    if table in SMALL or index in PARTIAL:
        return not compared
    return not compared - {"organization_id"}


def steps_of(ran: dict[str, list[Ran]]) -> set[tuple[str, str, str]]:
    return {
        (name, one.function, step)
        for name, all_ in ran.items()
        for one in all_
        for step in [*one.plan, *one.plan_for_any]
    }


def test_no_statement_of_a_request_reads_a_table_or_an_organization(crowd, recorder):
    crowd.grow(1000)
    crowd.found_others(300)
    recorder.explains = True

    steps = steps_of(ask_all(crowd, recorder))

    assert len(steps) > 60
    assert sorted(step for step in steps if reads_too_much(step[-1])) == []


def test_a_freed_seat_goes_to_the_first_of_thousands_without_a_look_at_the_others(waiting_crowd, recorder):
    acme = waiting_crowd.acme
    waiting_crowd.grow(4000)
    waiting_crowd.found_others(300)
    recorder.explains = True

    acme.set_active("holder", False)

    ran = {"suspend the holder": recorder.take()}
    assert acme.seat("p0")["tier"] == "premium"
    assert sorted(step for step in steps_of(ran) if reads_too_much(step[-1])) == []
    assert sum(one.times for one in ran["suspend the holder"]) < 30

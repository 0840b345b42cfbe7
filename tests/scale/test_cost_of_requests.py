"""What a request costs: how many statements, and that none of them reads more than it is about.

Both are asked of the requests themselves, over HTTP. The numbers are those of sets of parameters, so
that a statement that is run for each of many rows counts as often.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scim_server.store.tables import metadata
from tests.scale.conftest import Crowd, Recorder
from tests.world import GROUP, USER, World

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


# The statements of each request on (SQLite, PostgreSQL), the look-up of the token included. PostgreSQL has
# more where a row is locked before it is read; on SQLite there is one writer anyway.
STATEMENTS: dict[str, tuple[int, int]] = {
    "find by userName": (0, 0),
}
REQUESTS: dict[str, Ask] = {
    "find by userName": find('userName eq "P0"'),
    "find by externalId": find('externalId eq "x-p0"'),
    "find by e-mail": find('emails.value eq "p0@example.com"'),
    "find by e-mail of a type": find('emails[type eq "work" and value eq "p0@example.com"]'),
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


def ask_all(crowd: Crowd, recorder: Recorder) -> dict[str, list[Any]]:
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
    print(counted)
    assert counted == {name: numbers[place] for name, numbers in STATEMENTS.items()}


# Tables of which an organization has a handful of rows; and indexes that hold only the few rows that are asked for.
SMALL = {"seat_pools", "organizations"}
PARTIAL = {
    index.name
    for table in metadata.sorted_tables
    for index in table.indexes
    if index.dialect_kwargs.get("postgresql_where") is not None
}


def reads_too_much(step: str) -> bool:
    table, _, way = step.partition(" by ")
    index, _, columns = way.partition(": ")
    compared = columns.split(", ") if columns else []
    if index in PARTIAL or table in SMALL:
        return not compared
    return not set(compared) - {"organization_id"}


def test_no_statement_of_a_request_reads_a_table_or_an_organization(crowd, recorder):
    crowd.grow(1000)
    crowd.found_others(300)
    recorder.explains = True

    ran = ask_all(crowd, recorder)

    steps = {
        f"{name}: {one.function}: {step}"
        for name, statements in ran.items()
        for one in statements
        for step in one.plan
    }
    assert len(steps) > 60
    assert (
        sorted(
            step for step in steps if reads_too_much(step.rpartition("scim_server.")[2].partition(": ")[2])
        )
        == []
    )

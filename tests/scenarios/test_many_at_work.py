"""Organizations do not wait for one another, and many clients of one get through without a deadlock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from scim_server.store import seats
from scim_server.store.transaction import Transaction
from tests.world import PATCH_OP, World

CLIENTS = 16
ROUNDS = 3


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite has one writer for all
def test_an_organization_does_not_wait_for_the_seats_of_another(world, database):
    busy, other = world(premium=2), world(premium=2)
    busy.push("ada")

    def hold(tx: Transaction, threads: ThreadPoolExecutor) -> tuple[Any, Any, Any]:
        """Ask, while the seats of one organization are held, and answer what came of it."""
        seats.lock_rules(tx, busy.organization_id)
        waiting = threads.submit(busy.push, "bob")
        created = threads.submit(other.scim.request, "POST", "/Users", {"userName": "ada"}).result(timeout=10)
        read = threads.submit(busy.scim.get, f"/Users/{busy.ids['ada']}").result(timeout=10)
        seen = threads.submit(busy.admin.get, "/seats").result(timeout=10)
        assert not waiting.done()
        return created, read, seen

    with ThreadPoolExecutor(4) as threads:
        created, read, seen = database.run(hold, threads)

    assert created.status_code == 201
    assert read["userName"] == "ada"
    assert seen["tiers"][0]["used"] == 1
    assert busy.pools()["premium"] == "2/2"
    assert busy.ids.keys() == {"ada", "bob"}


def test_many_clients_that_create_people_and_move_them_between_groups_all_get_through(world):
    acme: World = world(plan="enterprise", premium=CLIENTS, standard=200)
    acme.group("eng", tier="premium")
    acme.group("staff", tier="standard")
    people = [f"p{number}" for number in range(CLIENTS)]
    acme.push(*people)
    acme.patch_group("eng", add=tuple(people))

    def change(group: str, operation: dict[str, Any]) -> int:
        body = {"schemas": [PATCH_OP], "Operations": [operation]}
        return acme.scim.request("PATCH", f"/Groups/{acme.ids[group]}", body).status_code

    def create(number: int) -> list[int]:
        bodies = [{"userName": f"new-{number}-{round_}"} for round_ in range(ROUNDS)]
        return [acme.scim.request("POST", "/Users", body).status_code for body in bodies]

    def move(number: int) -> list[int]:
        """Move somebody to and fro, into the new group before out of the old one or the other way round."""
        one = acme.ids[people[number]]
        ways = [("eng", "staff"), ("staff", "eng")] * ROUNDS
        statuses = []
        for old, new in ways[: 2 * ROUNDS - 1]:
            steps = [
                (new, {"op": "add", "path": "members", "value": [{"value": one}]}),
                (old, {"op": "remove", "path": f'members[value eq "{one}"]'}),
            ]
            statuses += [change(*step) for step in (steps if number % 2 else reversed(steps))]
        return statuses

    jobs: list[Callable[[], list[int]]] = [
        lambda job=job, number=number: job(number) for number in range(CLIENTS) for job in (create, move)
    ]
    with ThreadPoolExecutor(len(jobs)) as threads:
        statuses = Counter(status for made in threads.map(lambda job: job(), jobs) for status in made)

    assert statuses == {201: CLIENTS * ROUNDS, 204: CLIENTS * 2 * (2 * ROUNDS - 1)}
    members = {
        name: acme.scim.get(f"/Groups/{acme.ids[name]}").get("members", []) for name in ("eng", "staff")
    }
    assert (len(members["eng"]), len(members["staff"])) == (0, CLIENTS)
    assert acme.scim.get("/Users?count=0")["totalResults"] == CLIENTS * (1 + ROUNDS)
    held = Counter(member["seat"]["tier"] for member in acme.pages("/members"))
    assert {tier["tier"]: tier["used"] for tier in acme.admin.get("/seats")["tiers"]} == {
        tier: held[tier] for tier in ("premium", "standard")
    }
    assert held["unassigned"] == 0

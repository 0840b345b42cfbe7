"""Organizations do not wait for one another, and many clients of one get through without a deadlock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from scim_server.store import database as database_module
from scim_server.store import groups, seats
from scim_server.store.database import Database, LostRace
from scim_server.store.transaction import Transaction
from tests.live import wait_until
from tests.world import PATCH_OP, World

CLIENTS = 16
ROUNDS = 3
STEPS_AT_RANDOM = 50


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite has one writer for all
def test_an_organization_does_not_wait_for_the_seats_of_another(world, database):
    busy, other = world(premium=2), world(premium=2)
    busy.push("ada")

    def hold(tx: Transaction, threads: ThreadPoolExecutor) -> tuple[Any, Any, Any]:
        """Ask, while the seats of one organization are held, and answer what came of it."""
        seats.lock_rules(tx, busy.organization_id)
        waiting = threads.submit(busy.push, "bob")
        created = threads.submit(other.scim.request, "POST", "/Users", {"userName": "ada"}).result(timeout=60)
        read = threads.submit(busy.scim.get, f"/Users/{busy.ids['ada']}").result(timeout=60)
        seen = threads.submit(busy.admin.get, "/seats").result(timeout=60)
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


@pytest.fixture
def races(monkeypatch) -> list[type[Exception]]:
    """Why transactions were begun again while the test ran."""
    lost: list[type[Exception]] = []
    judge = database_module._is_worth_another_try

    def is_worth_another_try(error: Exception) -> bool:
        lost.append(type(error))
        return judge(error)

    monkeypatch.setattr(database_module, "_is_worth_another_try", is_worth_another_try)
    return lost


def test_people_who_come_go_and_change_groups_at_once_leave_no_trace_of_it(world, races):
    """Everything at random: afterwards groups name only who is there, and the seats add up; nobody deadlocked."""
    acme: World = world(plan="enterprise", premium=4, standard=8)
    acme.group("eng", tier="premium")
    acme.group("staff", tier="standard")
    acme.group("all")
    people = [f"p{number}" for number in range(CLIENTS)]
    acme.push(*people)
    now = {name: acme.ids[name] for name in people}
    group_ids = [acme.ids[name] for name in ("eng", "staff", "all")]

    def at_random(seed: int) -> list[int]:
        dice = random.Random(seed)

        def patch(resource: str, operation: dict[str, Any]) -> int:
            body = {"schemas": [PATCH_OP], "Operations": [operation]}
            return acme.scim.request("PATCH", resource, body).status_code

        def join() -> int:
            members = [{"value": now[name]} for name in dice.sample(people, 3)]
            return patch(
                f"/Groups/{dice.choice(group_ids)}", {"op": "add", "path": "members", "value": members}
            )

        def leave() -> int:
            one = f'members[value eq "{now[dice.choice(people)]}"]'
            return patch(f"/Groups/{dice.choice(group_ids)}", {"op": "remove", "path": one})

        def suspend_or_activate() -> int:
            active = {"op": "replace", "path": "active", "value": dice.random() < 0.6}
            return patch(f"/Users/{now[dice.choice(people)]}", active)

        def go_and_come() -> int:
            name = dice.choice(people)
            gone = acme.scim.request("DELETE", f"/Users/{now[name]}").status_code
            if gone == 204:
                now[name] = acme.scim.post("/Users", {"userName": name})["id"]
            return gone

        return [
            dice.choice([join, join, leave, suspend_or_activate, go_and_come])()
            for _ in range(STEPS_AT_RANDOM)
        ]

    with ThreadPoolExecutor(8) as threads:
        statuses = {status for made in threads.map(at_random, range(8)) for status in made}

    assert {200, 204} <= statuses <= {200, 204, 404}
    assert set(races) <= {LostRace}
    users = {user["id"]: user for user in acme.scim.get("/Users?count=100")["Resources"]}
    assert users.keys() == set(now.values())
    for group_id in group_ids:
        named = {member["value"] for member in acme.scim.get(f"/Groups/{group_id}").get("members", [])}
        assert named == {
            user["id"]
            for user in users.values()
            if group_id in [group["value"] for group in user.get("groups", [])]
        }
    held = Counter(member["seat"]["tier"] for member in acme.pages("/members"))
    tiers = acme.admin.get("/seats")["tiers"]
    assert {tier["tier"]: tier["used"] for tier in tiers} == {
        tier["tier"]: held[tier["tier"]] for tier in tiers
    }
    assert all(tier["used"] <= tier["allocated"] for tier in tiers)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite has one writer for all
def test_a_removal_does_not_wait_for_a_group_while_it_holds_the_seats(world, database, races):
    """Somebody who is being removed joins a group, and the next who changes that group wants the seats."""
    acme: World = world(premium=2)
    acme.push("ada")
    acme.group("eng")
    organization, ada, eng = acme.organization_id, acme.ids["ada"], acme.ids["eng"]

    def join(tx: Transaction, threads: ThreadPoolExecutor) -> tuple[Any, Any]:
        groups.lock(tx, organization, eng)
        groups.add_users(tx, organization, eng, [ada])
        removed = threads.submit(acme.scim.request, "DELETE", f"/Users/{ada}")
        wait_until(lambda: waiting(database) == 1)
        changed = threads.submit(database.run, change)
        wait_until(lambda: waiting(database) == 2)
        return removed, changed

    def change(tx: Transaction) -> None:
        """Change the group while the removal is under way, then want the seats, as a mapped group does."""
        groups.lock(tx, organization, eng)
        wait_until(lambda: races)
        seats.lock_rules(tx, organization)

    with ThreadPoolExecutor(2) as threads:
        removed, changed = database.run(join, threads)
        changed.result(timeout=60)
        status = removed.result(timeout=60).status_code

    assert status == 204
    assert set(races) == {LostRace}
    assert acme.scim.get(f"/Groups/{eng}").get("members", []) == []


def waiting(database: Database) -> int:
    """Return how many connections to this database wait for a lock."""
    with database.engine.connect() as connection:
        return connection.scalar(_WAITING)


_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)

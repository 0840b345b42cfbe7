"""The last seat is sold once, whoever asks at the same moment (scenario O24, seat rule B8)."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

REPETITIONS = 50


def at_once(*calls: Any) -> list[Any]:
    """Run calls in threads that start together."""
    barrier = threading.Barrier(len(calls))

    def run(call: Any) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_two_pushes_in_two_threads_get_one_premium_seat_between_them(world):
    """O24, fifty times."""
    acme = world(premium=1, standard=1, min_total=0)
    for number in range(REPETITIONS):
        names = [f"u{number}a", f"u{number}b"]

        statuses = at_once(
            *[
                lambda name=name: acme.scim.request("POST", "/Users", {"userName": name}).status_code
                for name in names
            ]
        )

        assert statuses == [201, 201]
        assert acme.pools() == {"premium": "1/1", "standard": "1/1"}
        for resource in acme.scim.get("/Users")["Resources"]:
            acme.scim.delete(f"/Users/{resource['id']}")


def test_many_threads_never_get_more_seats_than_were_bought(world):
    acme = world(premium=3, standard=4)

    statuses = at_once(
        *[
            lambda number=number: acme.scim.request("POST", "/Users", {"userName": f"u{number}"}).status_code
            for number in range(16)
        ]
    )

    assert Counter(statuses) == {201: 16}
    assert acme.pools() == {"premium": "3/3", "standard": "4/4"}
    assert len(acme.queue()) == 9


def test_of_many_identical_posts_one_is_created(world):
    acme = world(premium=1, standard=1)

    statuses = at_once(
        *[lambda: acme.scim.request("POST", "/Users", {"userName": "ada"}).status_code for _ in range(20)]
    )

    assert Counter(statuses) == {201: 1, 409: 19}
    assert acme.pools() == {"premium": "1/1", "standard": "0/1"}


def test_freeing_and_taking_at_once_leaves_nobody_waiting_for_a_free_seat(world):
    """I3 and I4 under contention: leavers and newcomers in the same moment."""
    acme = world(premium=2, standard=2)
    for number in range(10):
        acme.push(f"in{number}", f"also{number}")

        at_once(
            lambda number=number: acme.set_active(f"in{number}", False),
            lambda number=number: acme.push(f"new{number}"),
            lambda number=number: acme.set_active(f"also{number}", False),
        )

        free = sum(tier["free"] for tier in acme.admin.get("/seats")["tiers"])
        assert not (free and acme.queue())


def test_two_overrides_to_the_last_seat_of_a_tier_are_one(world):
    for _ in range(5):
        acme = world(premium=1, standard=2, default_ceiling="standard")
        acme.push("ada", "ben")

        statuses = at_once(
            *[
                lambda acme=acme, name=name: (
                    acme.admin.request(
                        "PUT", f"/members/{acme.ids[name]}/seat", {"tier": "premium"}
                    ).status_code
                )
                for name in ("ada", "ben")
            ]
        )

        assert sorted(statuses) == [200, 409]
        assert acme.pools() == {"premium": "1/1", "standard": "1/2"}


def test_a_login_and_a_push_of_the_same_person_make_one_member_with_one_seat(world):
    login = {"userName": "ada", "groups": ["eng"]}
    for _ in range(5):
        acme = world(premium=2, provisioning_mode="jit")
        acme.group("eng", tier="premium")
        pushed, first, second = at_once(
            lambda acme=acme: acme.scim.request("POST", "/Users", {"userName": "ada"}),
            *[lambda acme=acme: acme.jit.request("POST", "/login", login) for _ in range(2)],
        )

        assert pushed.status_code in (201, 409)
        assert [first.get_json()["decision"], second.get_json()["decision"]] == ["allow", "allow"]
        assert [pushed.status_code, first.status_code, second.status_code].count(201) == 1
        assert acme.pools()["premium"] == "1/2"
        [member] = acme.admin.get("/members")["items"]
        assert (member["seat"]["source"], len(member["groups"])) == ("mapping", 1)


@pytest.mark.live
def test_two_processes_get_one_premium_seat_between_them(live_server):
    """O24 over real HTTP, against a server with two worker processes."""
    server = live_server
    acme = server.organization(premium=1, standard=1)
    with server.client() as first, server.client() as second:
        scim = {"Authorization": f"Bearer {acme.scim}"}
        for number in range(REPETITIONS):
            answers = at_once(
                *[
                    lambda http=http, name=f"{name}{number}": http.post(
                        "/scim/v2/Users", json={"userName": name}, headers=scim
                    )
                    for http, name in ((first, "a"), (second, "b"))
                ]
            )

            assert [answer.status_code for answer in answers] == [201, 201]
            seats = first.get("/admin/v1/seats", headers={"Authorization": f"Bearer {acme.admin}"}).json()
            assert [tier["used"] for tier in seats["tiers"]] == [1, 1]
            for answer in answers:
                first.delete(f"/scim/v2/Users/{answer.json()['id']}", headers=scim)

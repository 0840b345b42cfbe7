"""``totalResults`` of a whole list is kept with the organization, and never differs from what is there."""

from __future__ import annotations

import pytest

from scim_server.operations import access, due, transfer
from scim_server.operations.transfer import Row


def totals(acme):
    """Return how many users and groups there are by the totals, which are those of the lists."""
    found = []
    for path in ("/Users", "/Groups"):
        listed = acme.scim.get(f"{path}?count=1000")
        assert listed["totalResults"] == len(listed["Resources"])
        assert acme.scim.get(f"{path}?cursor=&count=0")["totalResults"] == len(listed["Resources"])
        found.append(listed["totalResults"])
    return tuple(found)


@pytest.fixture
def acme(world):
    return world(premium=1, standard=1)


@pytest.fixture
def call(acme, clock):
    return access.system_call(acme.organization_id, actor="command", at=clock(), request_id="test")


def test_a_row_that_is_refused_does_not_count(acme, call, database):
    rows = [
        Row(1, "user", {"userName": "ada"}, groups=("eng", "ops")),
        Row(2, "user", {"userName": "ADA"}),
        Row(3, "user", {"userName": "ben", "active": "perhaps"}, groups=("sales",)),
        Row(4, "group", {"displayName": "staff"}, members=("ada", "nobody")),
        Row(5, "group", {"displayName": "all"}, members=("ada",)),
    ]

    results = database.run(transfer.import_rows, call, rows)

    assert [result.outcome for result in results] == ["created", "known", "refused", "refused", "created"]
    assert totals(acme) == (1, 3)


def test_a_request_that_is_refused_late_does_not_count(acme):
    acme.push("ada", "ben")
    acme.settings(exhausted_policy="reject")

    assert acme.scim.refusal("POST", "/Users", {"userName": "cy"})[0] == 403
    assert acme.scim.refusal("POST", "/Users", {"userName": "BEN"})[0] == 409
    assert acme.owner.refusal("POST", "/members", {"userName": "dee"})[0] == 403

    assert totals(acme) == (2, 0)


def test_an_invitation_counts_until_it_ends(acme, clock, database):
    acme.invite("ada")
    acme.invite("ben")
    assert totals(acme) == (2, 0)

    acme.owner.delete(f"/members/{acme.ids['ada']}")
    assert totals(acme) == (1, 0)

    clock.advance(days=30)
    due.catch_up(database, acme.organization_id, clock())
    assert totals(acme) == (0, 0)


def test_whoever_is_deleted_counts_no_more_and_nobody_is_deleted_twice(acme):
    acme.push("ada")
    acme.group("eng", "ada")

    for path in (f"/Users/{acme.ids['ada']}", f"/Groups/{acme.ids['eng']}"):
        assert acme.scim.request("DELETE", path).status_code == 204
        assert acme.scim.request("DELETE", path).status_code == 404

    assert totals(acme) == (0, 0)

"""The removal guard: an event that would take many seats waits for an owner (setting ``removal_guard``)."""

from __future__ import annotations

import pytest


@pytest.fixture
def guarded(world):
    """Three in a mapped group, one outside; more than two seats at once are never taken."""
    acme = world(premium=3, standard=4, removal_guard=2, mapping_lost_policy="unassign")
    acme.push("a", "b", "c")
    acme.group("eng", "a", "b", "c", tier="premium")
    return acme


def empty(acme):
    acme.scim.put(f"/Groups/{acme.ids['eng']}", {"displayName": "eng", "members": []})


def test_an_emptied_group_takes_no_seats_before_an_owner_says_so(guarded):
    empty(guarded)

    assert guarded.scim.get(f"/Groups/{guarded.ids['eng']}").get("members") is None
    assert guarded.tiers("a", "b", "c") == ["premium"] * 3
    [held] = guarded.admin.get("/seats/held")["items"]
    assert held["seats_taken"] == 3
    assert {change["to_tier"] for change in held["changes"]} == {"unassigned"}


def test_an_owner_confirms(guarded):
    empty(guarded)
    [held] = guarded.owner.get("/seats/held")["items"]
    assert guarded.admin.refusal("POST", f"/seats/held/{held['id']}/confirm")[0] == 403

    guarded.owner.post(f"/seats/held/{held['id']}/confirm")

    assert guarded.tiers("a", "b", "c") == ["unassigned"] * 3
    assert guarded.owner.get("/seats/held")["items"] == []
    assert guarded.owner.refusal("POST", f"/seats/held/{held['id']}/confirm")[0] == 404


def test_an_owner_rejects(guarded):
    empty(guarded)
    [held] = guarded.owner.get("/seats/held")["items"]

    guarded.owner.post(f"/seats/held/{held['id']}/reject")

    assert [guarded.held(name) for name in ("a", "b", "c")] == [("premium", "default")] * 3
    assert guarded.owner.get("/seats/held")["items"] == []


def test_who_is_back_before_the_owner_decides_keeps_the_seat(guarded):
    empty(guarded)
    guarded.patch_group("eng", add=("a", "b"))
    [held] = guarded.owner.get("/seats/held")["items"]

    guarded.owner.post(f"/seats/held/{held['id']}/confirm")

    assert guarded.tiers("a", "b", "c") == ["premium", "premium", "unassigned"]


def test_a_few_seats_are_taken_at_once(guarded):
    guarded.patch_group("eng", remove=("a", "b"))

    assert guarded.tiers("a", "b", "c") == ["unassigned", "unassigned", "premium"]
    assert guarded.owner.get("/seats/held")["items"] == []


def test_a_deleted_group_is_held_too(guarded):
    guarded.scim.delete(f"/Groups/{guarded.ids['eng']}")

    assert guarded.tiers("a", "b", "c") == ["premium"] * 3
    assert guarded.owner.get("/seats/held")["items"][0]["cause"] == "group_deleted"


def test_members_who_are_gone_meanwhile_are_left_out(guarded):
    empty(guarded)
    [held] = guarded.owner.get("/seats/held")["items"]
    guarded.remove("a")

    guarded.owner.post(f"/seats/held/{held['id']}/confirm")

    assert guarded.tiers("b", "c") == ["unassigned", "unassigned"]


@pytest.fixture
def waiting_for_less(world):
    """Mappings give two people standard, which is full: they hold premium until a seat is free. One is enough."""
    acme = world(premium=2, standard=1, removal_guard=1, min_total=0)
    acme.push("ada", "ben", "cy")
    acme.group("staff", "ada", "ben")
    acme.group("eng", "cy")
    acme.owner.put(f"/mappings/{acme.ids['staff']}", {"tier": "standard"})
    acme.settings(group_mappings="on")
    assert acme.queue() == [("ada", "standard"), ("ben", "standard")]
    return acme


def test_who_gets_the_lower_seat_they_wait_for_loses_none(waiting_for_less):
    waiting_for_less.buy(standard=2)

    assert waiting_for_less.pools() == {"premium": "0/2", "standard": "3/3"}
    assert waiting_for_less.owner.get("/seats/held")["items"] == []


def test_who_is_removed_is_never_held_back(waiting_for_less):
    waiting_for_less.remove("cy")

    assert waiting_for_less.pools() == {"premium": "1/2", "standard": "1/1"}
    assert waiting_for_less.owner.get("/seats/held")["items"] == []


def test_roles_wait_for_nobody(world, client_of):
    """Whoever has left the owners' group cannot decide that they keep their seat, or anything else."""
    acme = world(premium=3, standard=3, removal_guard=1)
    acme.push("boss", "x", "y")
    acme.role("boss", "owner")
    acme.group("owners", "x", "y", tier="premium")
    acme.group("staff", "x", "y", tier="standard")
    acme.owner.put(f"/mappings/{acme.ids['owners']}", {"tier": "premium", "role": "owner"})
    person = client_of(acme, member=acme.ids["x"])
    assert person.get("/tokens")

    acme.patch_group("owners", remove=("x", "y"))

    assert acme.tiers("x", "y") == ["premium", "premium"]
    assert [acme.member(name)["role"] for name in ("x", "y")] == ["user", "user"]
    [held] = acme.owner.get("/seats/held")["items"]
    assert person.refusal("POST", f"/seats/held/{held['id']}/reject")[0] == 403

"""Identity providers push people and groups; the policy gives seats (scenarios O1–O8, O11, O22, O23, O25)."""

from __future__ import annotations


def test_everybody_gets_the_highest_tier_that_is_free(world):
    """O1."""
    acme = world(premium=2, standard=3)

    acme.push("u1", "u2", "u3", "u4")

    assert acme.tiers("u1", "u2", "u3", "u4") == ["premium", "premium", "standard", "standard"]
    assert {acme.held(name)[1] for name in ("u1", "u2", "u3", "u4")} == {"default"}
    assert acme.pools() == {"premium": "2/2", "standard": "2/3"}


def test_whom_no_seat_is_left_for_is_created_and_waits(world):
    """O2."""
    acme = world(premium=2, standard=3)

    acme.push("u1", "u2", "u3", "u4", "u5", "u6")

    assert acme.tier("u5") == "standard"
    seat = acme.seat("u6")
    assert (seat["tier"], seat["status"], seat["position"], seat["can_use"]) == (
        "unassigned",
        "waiting",
        1,
        False,
    )
    assert acme.scim.get(f"/Users/{acme.ids['u6']}")["active"] is True
    assert acme.pools() == {"premium": "2/2", "standard": "3/3"}


def test_a_group_that_comes_after_its_people_moves_them(world):
    """O5."""
    acme = world(premium=1, standard=1)
    acme.group("eng", tier="premium")
    acme.group("staff", tier="standard")
    acme.push("u")
    assert acme.held("u") == ("premium", "default")

    acme.patch_group("staff", add=("u",))

    assert acme.held("u") == ("standard", "mapping")
    assert acme.pools() == {"premium": "0/1", "standard": "1/1"}


def test_of_two_mapped_groups_the_higher_tier_counts(world):
    """O6."""
    acme = world(premium=1, standard=1)
    acme.group("eng", tier="premium")
    acme.group("staff", tier="standard")
    acme.push("u")
    acme.patch_group("staff", add=("u",))

    acme.patch_group("eng", add=("u",))

    assert acme.held("u") == ("premium", "mapping")


def test_of_two_mapped_groups_the_first_by_priority_counts_where_it_is_set(world):
    """O6, second half."""
    acme = world(premium=1, standard=1, mapping_conflict="priority")
    acme.group("eng", tier="premium", priority=2)
    acme.group("staff", tier="standard", priority=1)
    acme.push("u")

    acme.patch_group("staff", add=("u",))
    acme.patch_group("eng", add=("u",))

    assert acme.held("u") == ("standard", "mapping")


def test_a_full_mapped_tier_lets_people_work_and_wait(world):
    """O7."""
    acme = world(premium=1, standard=2)
    acme.group("eng", tier="premium")
    acme.push("a")
    acme.patch_group("eng", add=("a",))

    acme.push("b")
    acme.patch_group("eng", add=("b",))

    seat = acme.seat("b")
    assert (seat["tier"], seat["source"], seat["status"]) == ("standard", "mapping", "held_waiting")
    assert (seat["desired_tier"], seat["position"]) == ("premium", 1)
    assert acme.held("a") == ("premium", "mapping")


def test_a_freed_seat_moves_who_waits_for_it(world):
    """O8."""
    acme = world(premium=1, standard=2)
    acme.group("eng", tier="premium")
    acme.push("a", "b")
    acme.patch_group("eng", add=("a", "b"))

    acme.set_active("a", False)

    assert acme.held("b") == ("premium", "mapping")
    assert acme.seat("a")["status"] == "released"
    assert acme.pools() == {"premium": "1/1", "standard": "0/2"}
    assert acme.queue() == []
    members = acme.scim.get(f"/Groups/{acme.ids['eng']}")["members"]
    assert acme.ids["a"] in {member["value"] for member in members}


def test_an_override_sticks_until_it_is_cleared(world):
    """O11."""
    acme = world(premium=2, standard=2)
    acme.group("eng", tier="premium")
    acme.push("u")
    acme.override("u", "standard")

    acme.patch_group("eng", add=("u",))
    assert acme.held("u") == ("standard", "override")

    acme.clear_override("u")
    assert acme.held("u") == ("premium", "mapping")


def test_who_comes_back_gets_what_is_free_then(world):
    """O22."""
    acme = world(premium=1, standard=1)
    acme.push("u")
    acme.set_active("u", False)
    acme.push("v")

    acme.set_active("u", True)

    assert acme.tier("v") == "premium"
    assert acme.held("u") == ("standard", "default")


def test_who_is_deleted_and_made_again_is_a_new_member(world):
    """O23."""
    acme = world(premium=1, standard=1)
    acme.push("u")
    acme.override("u", "standard")
    old = acme.ids["u"]

    acme.remove("u")
    acme.push("u")

    status, _ = acme.scim.refusal("GET", f"/Users/{old}")
    assert status == 404
    assert acme.ids["u"] != old
    assert acme.held("u") == ("premium", "default")
    assert acme.seat("u")["override"] is None


def test_one_request_that_swaps_members_swaps_their_seats(world):
    """O25."""
    acme = world(premium=1, standard=1)
    acme.group("eng", tier="premium")
    acme.push("a", "b")
    acme.patch_group("eng", add=("a",))
    before = len(acme.events())

    acme.patch_group("eng", remove=("a",), add=("b",))

    assert acme.held("b") == ("premium", "mapping")
    assert acme.held("a") == ("standard", "default")
    assert len(acme.events()) == before + 2
    assert acme.pools() == {"premium": "1/1", "standard": "1/1"}


def test_the_same_request_again_changes_nothing(world):
    """I7, and the version of the group stays."""
    acme = world(premium=1, standard=2)
    acme.group("eng", tier="premium")
    acme.push("a", "b")
    acme.patch_group("eng", add=("a", "b"))
    group = acme.scim.get(f"/Groups/{acme.ids['eng']}")
    events, version = acme.events(), acme.version()

    acme.patch_group("eng", add=("a", "b"))

    assert acme.events() == events
    assert acme.version() == version
    assert acme.scim.get(f"/Groups/{acme.ids['eng']}") == group


def test_a_group_that_is_deleted_takes_its_mapping_along(world):
    acme = world(premium=1, standard=1, mapping_lost_policy="unassign")
    acme.group("eng", tier="premium")
    acme.push("a")
    acme.patch_group("eng", add=("a",))

    acme.scim.delete(f"/Groups/{acme.ids['eng']}")

    assert acme.tier("a") == "unassigned"
    assert acme.owner.get("/mappings")["items"] == []


def test_a_refusing_organization_stores_nobody_it_has_no_seat_for(world):
    acme = world(premium=0, standard=1, exhausted_policy="reject")
    acme.push("a")

    status, body = acme.scim.refusal("POST", "/Users", {"userName": "b"})

    assert status == 403
    assert body["detail"].startswith("seat_limit_reached")
    assert acme.scim.get("/Users")["totalResults"] == 1

"""An organization sells more tiers than two, under other names; nothing depends on what they are called."""

from __future__ import annotations

import pytest

from tests.world import SEAT

TIERS = {"gold": 1, "silver": 1, "bronze": 2}


@pytest.fixture
def acme(world):
    return world(tiers=TIERS, min_total=0)


def test_the_default_hands_out_the_highest_first(acme):
    acme.push("a", "b", "c", "d", "e")

    assert acme.tiers("a", "b", "c", "d", "e") == ["gold", "silver", "bronze", "bronze", "unassigned"]
    assert [tier["tier"] for tier in acme.admin.get("/seats")["tiers"]] == ["gold", "silver", "bronze"]


def test_the_ceiling_may_be_any_tier(world):
    acme = world(tiers=TIERS, default_ceiling="silver")

    acme.push("a", "b", "c", "d")

    assert acme.tiers("a", "b", "c", "d") == ["silver", "bronze", "bronze", "unassigned"]


def test_who_finds_the_mapped_tier_full_falls_back_as_little_as_possible(world):
    acme = world(tiers=TIERS)
    acme.push("a", "b")
    acme.group("eng", "a", "b", tier="gold")
    acme.set_active("b", False)
    acme.set_active("b", True)

    seat = acme.seat("b")

    assert (seat["tier"], seat["desired_tier"], seat["status"]) == ("silver", "gold", "held_waiting")


def test_whose_tier_is_full_never_gets_a_higher_one(acme):
    acme.push("a", "b")
    acme.group("ops", tier="silver")
    acme.push("c")
    acme.override("a", "unassigned")
    acme.patch_group("ops", add=("c",))

    assert acme.seat("c")["tier"] == "bronze"
    assert acme.queue() == [("c", "silver")]


def test_two_who_hold_what_the_other_waits_for_exchange_across_tiers(acme):
    acme.push("a", "b")
    acme.group("top", "b")
    acme.group("middle", "a")
    for group, tier in (("top", "gold"), ("middle", "silver")):
        acme.owner.put(f"/mappings/{acme.ids[group]}", {"tier": tier})

    acme.settings(group_mappings="on")

    assert acme.tiers("a", "b") == ["silver", "gold"]


def test_an_upgrade_trades_in_the_tier_that_is_held(acme):
    acme.push("a", "b", "c")

    acme.owner.put(f"/members/{acme.ids['c']}/seat", {"tier": "gold", "purchase": True})

    assert acme.pools() == {"gold": "2/2", "silver": "1/1", "bronze": "0/1"}
    [line] = acme.invoices()[-1]["lines"]
    assert (line["tier"], line["traded_in"]) == ("gold", "bronze")


def test_the_seat_is_shown_and_found_under_its_own_name(acme):
    acme.push("a", "b")

    found = acme.scim.get(f'/Users?filter={SEAT}:tier eq "silver"')

    assert [user["userName"] for user in found["Resources"]] == ["b"]
    assert found["Resources"][0][SEAT]["tier"] == "silver"


@pytest.mark.parametrize("tier", ["premium", "any", "Gold", ""])
def test_a_tier_that_is_not_sold_is_refused_by_name(acme, tier):
    acme.push("a")

    status, problem = acme.admin.refusal("PUT", f"/members/{acme.ids['a']}/seat", {"tier": tier})

    assert (status, problem["code"]) == (422, "invalid_setting")
    assert "gold, silver, bronze, unassigned" in problem["detail"]

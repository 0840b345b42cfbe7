"""Overrides, swaps, what is kept for whom: scenarios O9, O10, O12, O13, over HTTP on both databases."""

from __future__ import annotations

import pytest

SEAT_PATH = "/members/{}/seat"


def crew(acme, count: int) -> list[str]:
    names = [f"p{number}" for number in range(count)]
    acme.push(*names)
    return names


def test_the_swap_in_three_steps_needs_no_purchase(world):
    """O9."""
    acme = world(premium=5, standard=2)
    a, *_ = crew(acme, 5)
    acme.push("b")

    acme.override(a, "unassigned")
    between = acme.seat(a)
    acme.override("b", "premium")
    acme.override(a, "standard")

    assert (between["tier"], between["can_use"]) == ("unassigned", False)
    assert acme.tiers(a, "b") == ["standard", "premium"]
    assert acme.pools() == {"premium": "5/5", "standard": "1/2"}
    assert acme.invoices() == []


def test_an_override_into_a_full_tier_is_refused_with_a_quote(world):
    """O10."""
    acme = world(premium=5, standard=2)
    crew(acme, 5)
    acme.push("b")
    version = acme.version()

    status, problem = acme.admin.refusal("PUT", SEAT_PATH.format(acme.ids["b"]), {"tier": "premium"})

    assert (status, problem["code"]) == (409, "seat_unavailable")
    [line] = problem["quote"]["lines"]
    assert (line["tier"], line["quantity"]) == ("premium", 1)
    assert acme.tier("b") == "standard"
    assert acme.version() == version


def test_the_quote_of_a_refusal_can_be_confirmed(world):
    acme = world(premium=1, standard=2)
    acme.push("a", "b")
    _, problem = acme.admin.refusal("PUT", SEAT_PATH.format(acme.ids["b"]), {"tier": "premium"})

    invoice = acme.confirm(problem["quote"])

    assert invoice["total_minor"] == problem["quote"]["total_minor"] > 0
    assert acme.held("b") == ("premium", "override")
    assert acme.pools() == {"premium": "2/2", "standard": "0/1"}


@pytest.mark.parametrize(
    ("role", "reassigns", "buys"),
    [("user", 403, 403), ("admin", 200, 403), ("owner", 200, 201), ("primary_owner", 200, 201)],
)
def test_who_may_reassign_and_who_may_buy(world, client_of, role, reassigns, buys):
    """O12."""
    acme = world(premium=1, standard=1)
    acme.push("a")
    client = client_of(acme, role)

    reassigned = client.request("PUT", SEAT_PATH.format(acme.ids["a"]), {"tier": "standard"})
    quoted = client.request("POST", "/seats/quotes", {"lines": [{"tier": "standard", "quantity": 1}]})

    assert (reassigned.status_code, quoted.status_code) == (reassigns, buys)
    if buys == 201:
        path = f"/seats/quotes/{quoted.get_json()['id']}/confirm"
        key = {"Idempotency-Key": "once"}
        assert client.request("POST", path, {"accept": True}, **key).status_code == 201


def test_a_scim_token_may_do_neither(world):
    """O12, last sentence."""
    acme = world(premium=1)
    acme.push("a")
    acme.scim.prefix = "/admin/v1"

    assert acme.scim.refusal("PUT", SEAT_PATH.format(acme.ids["a"]), {"tier": "unassigned"})[0] == 403
    lines = {"lines": [{"tier": "standard", "quantity": 1}]}
    assert acme.scim.refusal("POST", "/seats/quotes", lines)[0] == 403


def test_two_members_swap_at_once(world):
    """O13."""
    acme = world(premium=1, standard=1)
    acme.push("a", "b", "c")

    both = acme.admin.post("/seats/swap", {"a": acme.ids["a"], "b": acme.ids["b"]})

    assert (both["a"]["tier"], both["b"]["tier"]) == ("standard", "premium")
    assert acme.held("a") == ("standard", "override")
    assert acme.held("b") == ("premium", "override")
    assert acme.queue() == [("c", "any")]
    assert acme.pools() == {"premium": "1/1", "standard": "1/1"}


def test_who_holds_the_same_has_nothing_to_swap(world):
    acme = world(premium=2)
    acme.push("a", "b")
    version = acme.version()

    body = {"a": acme.ids["a"], "b": acme.ids["b"]}
    status, problem = acme.admin.refusal("POST", "/seats/swap", body)

    assert (status, problem["code"]) == (409, "nothing_to_swap")
    assert acme.version() == version


def test_a_waiter_who_is_swapped_waits_no_more(world):
    acme = world(premium=1, standard=1)
    acme.push("a", "b")
    acme.group("eng", "b", tier="premium")
    assert acme.queue() == [("b", "premium")]

    acme.admin.post("/seats/swap", {"a": acme.ids["a"], "b": acme.ids["b"]})

    assert acme.queue() == []
    assert acme.seat("b")["status"] == "assigned"


def test_a_reserved_seat_waits_for_the_next_action_of_the_same_admin(world):
    acme = world(premium=1, standard=1)
    acme.push("a", "b")
    acme.push("c")
    assert acme.queue() == [("c", "any")]

    acme.override("a", "unassigned", reserve_seconds=300)
    assert acme.tier("c") == "unassigned", "the queue does not get what is reserved"
    acme.override("b", "premium", reserve_seconds=300)
    acme.override("a", "standard")

    assert acme.tiers("a", "b", "c") == ["standard", "premium", "unassigned"]


def test_a_reserved_seat_is_nobody_elses(world):
    acme = world(premium=1, standard=1)
    acme.push("a", "b")
    acme.override("a", "unassigned", reserve_seconds=300)

    path = SEAT_PATH.format(acme.ids["b"])
    status, problem = acme.owner.refusal("PUT", path, {"tier": "premium"})

    assert (status, problem["code"]) == (409, "seat_unavailable")
    assert acme.admin.get("/seats")["tiers"][0]["reserved"] == 1


def test_a_reservation_ends_and_the_queue_is_served(world, clock):
    acme = world(premium=1)
    acme.push("a", "b")
    acme.override("a", "unassigned", reserve_seconds=300)

    clock.advance(seconds=301)

    assert acme.tier("b") == "premium"


def test_an_override_ends_when_it_was_said_to(world, clock):
    acme = world(premium=1, standard=1)
    acme.push("a")
    acme.override("a", "standard", expires_at="2026-01-16T12:00:00Z", reason="for a day")
    assert acme.seat("a")["override"]["reason"] == "for a day"

    clock.set("2026-01-16T12:00:00")

    seat = acme.seat("a")
    assert (seat["tier"], seat["source"], seat["override"]) == ("premium", "default", None)
    assert acme.events()[-1]["cause"] == "override_expired"
    assert acme.events()[-1]["actor"] == "system"


def test_an_override_cannot_end_in_the_past(world):
    acme = world(premium=1)
    acme.push("a")

    body = {"tier": "premium", "expires_at": "2026-01-01T00:00:00Z"}
    assert acme.admin.refusal("PUT", SEAT_PATH.format(acme.ids["a"]), body)[0] == 422


def test_where_mappings_win_an_override_is_refused(world):
    acme = world(premium=1, standard=1, override_policy="mapping_wins")
    acme.push("a")
    acme.group("eng", "a", tier="premium")

    path = SEAT_PATH.format(acme.ids["a"])
    status, problem = acme.admin.refusal("PUT", path, {"tier": "standard"})

    assert (status, problem["code"]) == (409, "managed_by_mapping")


def test_nobody_pays_for_an_override_that_the_mappings_would_not_let_through(world):
    """The quote was given when no mapping spoke; that one does now changes no seat."""
    acme = world(premium=1, standard=1, override_policy="mapping_wins", named_tiers=True)
    acme.push("a")
    acme.push("b", entitlements=[{"type": "seat", "value": "standard"}])
    acme.group("eng", tier="standard")
    path = SEAT_PATH.format(acme.ids["b"])
    quote = acme.owner.refusal("PUT", path, {"tier": "premium"})[1]["quote"]
    acme.patch_group("eng", add=("b",))

    status, problem = acme.owner.refusal(
        "POST", f"/seats/quotes/{quote['id']}/confirm", {"accept": True}, **{"Idempotency-Key": "k"}
    )

    assert (status, problem["code"]) == (409, "managed_by_mapping")
    assert acme.pools() == {"premium": "1/1", "standard": "1/1"}
    assert acme.invoices() == []


def test_to_clear_an_override_is_an_action_that_a_seat_was_kept_for(world):
    acme = world(premium=1)
    acme.push("a", "c")
    acme.override("a", "unassigned", reserve_seconds=600)
    assert acme.pools()["premium"] == "0/1"

    acme.clear_override("a")

    assert acme.pools()["premium"] == "1/1"


def test_the_explanation_says_what_would_change_it(world):
    acme = world(premium=1, standard=1)
    acme.push("a", "b")
    acme.group("eng", "b", tier="premium")

    why = acme.seat("b")["explain"]

    assert why["rule"] == "C4"
    assert [mapping["group_id"] for mapping in why["matched_mappings"]] == [acme.ids["eng"]]
    assert "free or be bought" in why["would_change"]


def test_reprocess_previews_and_then_does_the_same(world):
    acme = world(premium=1, standard=1, mapping_lost_policy="keep")
    acme.push("a", "b")
    acme.group("eng", "b", tier="premium")

    preview = acme.owner.post("/seats/reprocess?dry_run=true")
    done = acme.owner.post("/seats/reprocess")

    assert preview == {**done, "dry_run": True}
    assert done["changes"] == []


def test_a_suspended_member_can_have_an_override_for_later(world):
    acme = world(premium=1, standard=1)
    acme.push("a")
    acme.set_active("a", False)

    acme.override("a", "standard")
    assert acme.seat("a")["status"] == "released"
    acme.set_active("a", True)

    assert acme.held("a") == ("standard", "override")


def test_a_reserved_seat_is_the_admins_also_where_an_older_override_waits(world):
    acme = world(premium=1, standard=2)
    acme.push("x", "ben")
    acme.override("x", "premium")
    acme.set_active("x", False)
    acme.push("cy")
    acme.set_active("x", True)

    acme.override("cy", "unassigned", reserve_seconds=60)

    assert acme.queue() == [("x", "premium")]
    assert acme.override("ben", "premium")["tier"] == "premium"


def test_a_reserved_seat_can_be_used_for_an_invitation(world):
    acme = world(premium=1)
    acme.push("ada", "waits")
    acme.override("ada", "unassigned", reserve_seconds=60)

    invited = acme.admin.post("/members", {"userName": "new", "tier": "premium"})

    assert invited["seat"]["tier"] == "premium"
    assert acme.queue() == [("waits", "any")]


def test_a_seat_that_is_traded_in_is_not_there_to_be_reserved(world):
    acme = world(premium=1, standard=2)
    acme.push("ada", "ben", "cy")
    order = {"tier": "premium", "purchase": True, "reserve_seconds": 60}

    acme.owner.put(f"/members/{acme.ids['ben']}/seat", order)

    assert [tier["reserved"] for tier in acme.admin.get("/seats")["tiers"]] == [0, 0]


def test_the_primary_owners_tier_is_overridden_also_where_mappings_win(world):
    acme = world(premium=1, standard=1, override_policy="mapping_wins")
    acme.push("ada")
    acme.role("ada", "primary_owner")
    acme.group("eng", "ada", tier="premium")

    acme.owner.put(f"/members/{acme.ids['ada']}/seat", {"tier": "standard"})

    assert acme.held("ada") == ("standard", "override")


def test_two_may_swap_though_one_of_them_holds_nothing(world):
    acme = world(premium=1)
    acme.push("ada", "ben")

    acme.admin.post("/seats/swap", {"a": acme.ids["ada"], "b": acme.ids["ben"]})

    assert acme.held("ada") == ("unassigned", "override")
    assert acme.held("ben") == ("premium", "override")
    assert acme.queue() == []


def test_nobody_swaps_with_who_is_suspended(world):
    acme = world(premium=2)
    acme.push("ada", "ben")
    acme.set_active("ben", False)
    version = acme.version()

    status, problem = acme.admin.refusal("POST", "/seats/swap", {"a": acme.ids["ada"], "b": acme.ids["ben"]})

    assert (status, problem["code"]) == (409, "nothing_to_swap")
    assert acme.version() == version

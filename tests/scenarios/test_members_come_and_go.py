"""Invitations, roles, and the owners whom nobody may lose, on every path."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.world import PATCH_OP


def test_an_invitation_holds_a_seat_that_cannot_be_used_yet(world):
    acme = world(premium=1, standard=1)

    member = acme.invite("i")

    assert (member["status"], member["role"]) == ("invited", "user")
    assert (member["seat"]["tier"], member["seat"]["can_use"]) == ("premium", False)
    assert acme.pools()["premium"] == "1/1"


def test_an_invitation_is_accepted(world):
    acme = world(premium=1)
    acme.invite("i")

    member = acme.admin.post(f"/members/{acme.ids['i']}/accept")

    assert (member["status"], member["seat"]["can_use"]) == ("active", True)
    assert acme.admin.post(f"/members/{acme.ids['i']}/accept")["status"] == "active"


def test_an_invitation_expires_after_21_days(world, clock):
    acme = world(premium=1)
    acme.invite("i")
    acme.push("u")
    assert acme.queue() == [("u", "any")]

    clock.advance(days=21)

    assert acme.tier("u") == "premium"
    assert acme.admin.refusal("GET", f"/members/{acme.ids['i']}")[0] == 404
    assert acme.audit("invitation_ended")[0]["data"]["how"] == "expired"


def test_how_long_an_invitation_holds_is_a_setting(world, clock):
    acme = world(premium=1, invitation_days=2)
    acme.invite("i")

    clock.advance(days=1, hours=23)
    assert acme.member("i")["status"] == "invited"
    clock.advance(hours=1)
    assert acme.admin.refusal("GET", f"/members/{acme.ids['i']}")[0] == 404


def test_an_invitation_is_revoked(world):
    acme = world(premium=1)
    acme.invite("i")

    acme.admin.delete(f"/members/{acme.ids['i']}")

    assert acme.pools()["premium"] == "0/1"
    assert acme.audit("invitation_ended")[0]["data"]["how"] == "revoked"


def test_an_invitation_names_a_tier(world):
    acme = world(premium=1, standard=1)

    acme.invite("i", tier="standard", emails=[{"value": "i@example.com"}], name={"givenName": "I"})

    assert acme.held("i") == ("standard", "override")
    assert acme.scim.get(f"/Users/{acme.ids['i']}")["emails"][0]["value"] == "i@example.com"


def test_an_invitation_into_a_full_tier_is_refused_with_a_quote(world):
    acme = world(premium=0, standard=1)

    body = {"userName": "i", "tier": "premium"}
    status, problem = acme.admin.refusal("POST", "/members", body)

    assert (status, problem["code"]) == (409, "seat_unavailable")
    assert problem["quote"]["lines"][0]["tier"] == "premium"
    assert acme.scim.get("/Users")["totalResults"] == 0


def test_an_owner_buys_the_seat_along_with_the_invitation(world):
    acme = world(premium=0, standard=1)

    acme.invite("i", tier="premium", purchase=True)

    assert acme.held("i") == ("premium", "override")
    assert acme.pools() == {"premium": "1/1", "standard": "0/1"}
    assert len(acme.invoices()) == 1
    status, _ = acme.admin.refusal("POST", "/members", {"userName": "k", "tier": "premium", "purchase": True})
    assert status == 403


def test_a_name_is_invited_once(world):
    acme = world(premium=2)
    acme.invite("i")

    status, problem = acme.admin.refusal("POST", "/members", {"userName": "I"})

    assert (status, problem["code"]) == (409, "uniqueness")


def test_the_same_invitation_under_the_same_key_is_one(world):
    acme = world(premium=2)
    key = {"Idempotency-Key": "k"}

    first = acme.admin.post("/members", {"userName": "i"}, **key)
    again = acme.admin.post("/members", {"userName": "i"}, **key)

    assert first == again
    assert acme.pools()["premium"] == "1/2"


def test_an_admin_invites_users_only(world):
    acme = world(premium=1)

    assert acme.admin.refusal("POST", "/members", {"userName": "i", "role": "admin"})[0] == 403
    assert acme.invite("i", role="admin")["role"] == "admin"
    assert acme.owner.refusal("POST", "/members", {"userName": "k", "role": "primary_owner"})[0] == 422


# -- roles


def test_there_is_one_primary_owner(world, client_of):
    acme = world(premium=3)
    acme.push("a", "b")
    acme.role("a", "primary_owner")

    status, _ = acme.owner.refusal("PATCH", f"/members/{acme.ids['b']}", {"role": "primary_owner"})
    assert status == 403, "an owner cannot depose the primary owner"

    primary = client_of(acme, member=acme.ids["a"])
    assert primary.patch(f"/members/{acme.ids['b']}", {"role": "primary_owner"})["role"] == "primary_owner"
    assert acme.member("a")["role"] == "owner"


def seat_of(acme, name):
    return f"/members/{acme.ids[name]}/seat"


def test_nobody_takes_the_primary_owner_away(world):
    acme = world(premium=2)
    acme.push("a", "b")
    acme.role("a", "primary_owner")
    user = f"/Users/{acme.ids['a']}"
    replace = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    bulk = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "DELETE", "path": user},
            {"method": "PATCH", "path": user, "data": replace},
        ],
    }
    version = acme.version()

    for method, path, body in (
        ("DELETE", user, None),
        ("PATCH", user, replace),
        ("PUT", user, {"userName": "a", "active": False}),
    ):
        status, error = acme.scim.refusal(method, path, body)
        assert (status, error["detail"].split(":")[0]) == (403, "primary_owner_protected")
    done = acme.scim.post("/Bulk", bulk)
    assert [operation["status"] for operation in done["Operations"]] == ["403", "403"]
    status, problem = acme.owner.refusal("DELETE", f"/members/{acme.ids['a']}")
    assert (status, problem["code"]) == (403, "primary_owner_protected")
    assert acme.owner.refusal("PATCH", f"/members/{acme.ids['a']}", {"role": "user"})[0] == 403
    assert acme.admin.refusal("PUT", seat_of(acme, "a"), {"tier": "unassigned"})[0] == 403
    both = {"a": acme.ids["a"], "b": acme.ids["b"]}
    assert acme.admin.refusal("POST", "/seats/swap", both)[0] == 403

    assert acme.version() == version
    assert acme.owner.put(seat_of(acme, "a"), {"tier": "unassigned"})["tier"] == "unassigned"


def test_the_last_owner_stays(world):
    acme = world(premium=2)
    acme.push("a", "b")
    acme.role("a", "owner")

    assert acme.scim.refusal("DELETE", f"/Users/{acme.ids['a']}")[0] == 403
    status, problem = acme.owner.refusal("PATCH", f"/members/{acme.ids['a']}", {"role": "user"})
    assert (status, problem["code"]) == (403, "last_owner_protected")

    acme.role("b", "owner")
    assert acme.role("a", "user")["role"] == "user"


def test_an_admin_does_not_remove_an_owner(world):
    acme = world(premium=2)
    acme.push("a", "b")
    acme.role("a", "owner")
    acme.role("b", "owner")

    assert acme.admin.refusal("DELETE", f"/members/{acme.ids['a']}")[0] == 403
    acme.owner.delete(f"/members/{acme.ids['a']}")


def test_only_owners_give_roles(world):
    acme = world(premium=1)
    acme.push("a")

    assert acme.admin.refusal("PATCH", f"/members/{acme.ids['a']}", {"role": "owner"})[0] == 403
    assert acme.owner.refusal("PATCH", f"/members/{acme.ids['a']}", {"role": "emperor"})[0] == 422


def test_groups_give_roles_and_the_highest_counts(world):
    acme = world(premium=2)
    acme.push("a")
    acme.group("eng", tier="premium")
    acme.group("lead", tier="premium")
    acme.owner.put(f"/mappings/{acme.ids['eng']}", {"tier": "premium", "role": "admin"})
    acme.owner.put(f"/mappings/{acme.ids['lead']}", {"tier": "premium", "role": "owner"})

    acme.patch_group("eng", add=("a",))
    assert acme.member("a")["role"] == "admin"
    acme.patch_group("lead", add=("a",))
    assert acme.member("a")["role"] == "owner"

    acme.invite("o", role="owner")
    acme.admin.post(f"/members/{acme.ids['o']}/accept")
    acme.patch_group("lead", remove=("a",))
    assert acme.member("a")["role"] == "admin"
    status, problem = acme.owner.refusal("PATCH", f"/members/{acme.ids['a']}", {"role": "user"})
    assert (status, problem["code"]) == (409, "managed_by_mapping")
    acme.patch_group("eng", remove=("a",))
    assert acme.member("a")["role"] == "user"
    assert [event["after"] for event in acme.audit("role_changed") if event["data"]["by"] == "mapping"] == [
        "admin",
        "owner",
        "admin",
        "user",
    ]


def test_no_group_takes_the_last_owner_away(world):
    acme = world(premium=1)
    acme.push("a")
    acme.group("lead", "a", tier="premium")
    acme.owner.put(f"/mappings/{acme.ids['lead']}", {"tier": "premium", "role": "owner"})
    assert acme.member("a")["role"] == "owner"

    acme.scim.delete(f"/Groups/{acme.ids['lead']}")

    assert acme.member("a")["role"] == "owner"


def test_no_group_makes_a_primary_owner(world):
    acme = world(premium=1)
    acme.group("lead", tier="premium")

    body = {"tier": "premium", "role": "primary_owner"}
    assert acme.owner.refusal("PUT", f"/mappings/{acme.ids['lead']}", body)[0] == 422


def test_mappings_never_touch_the_primary_owner(world):
    acme = world(premium=1, standard=1)
    acme.push("a")
    acme.role("a", "primary_owner")

    acme.group("staff", "a", tier="standard")

    assert acme.held("a") == ("premium", "default")
    assert acme.seat("a")["explain"]["rule"] == "C2"


def test_the_role_of_a_person_is_that_of_the_moment(world, client_of):
    acme = world(premium=2)
    acme.push("a", "b")
    acme.role("a", "admin")
    person = client_of(acme, member=acme.ids["a"])
    assert person.get("/seats")

    acme.role("a", "user")

    assert person.refusal("GET", "/seats")[0] == 403


# -- seats by policy


def test_who_is_in_no_mapped_group_can_be_suspended_and_comes_back(world):
    acme = world(premium=2, unmapped_policy="remove")
    acme.group("eng", tier="premium")

    acme.push("u")
    assert acme.member("u")["status"] == "suspended"
    assert acme.seat("u")["status"] == "released"
    assert acme.pools()["premium"] == "0/2"

    acme.patch_group("eng", add=("u",))
    assert (acme.member("u")["status"], acme.tier("u")) == ("active", "premium")
    acme.patch_group("eng", remove=("u",))
    assert acme.member("u")["status"] == "suspended"
    assert acme.seat("u")["explain"]["rule"] == "C5"


@pytest.fixture
def two_owners(world):
    """Both are in a mapped group, outside of which nobody stays."""
    acme = world(premium=3, unmapped_policy="remove")
    acme.push("a", "b")
    acme.role("a", "owner")
    acme.role("b", "owner")
    acme.group("eng", "a", "b", tier="premium")
    return acme


def test_the_last_owner_stays_also_in_no_mapped_group(two_owners):
    two_owners.patch_group("eng", remove=("a",))
    two_owners.patch_group("eng", remove=("b",))

    assert two_owners.member("a")["status"] == "suspended"
    assert (two_owners.member("b")["status"], two_owners.tier("b")) == ("active", "premium")
    assert two_owners.seat("b")["explain"]["rule"] == "C6"


def test_owners_who_would_leave_together_stay(two_owners):
    two_owners.patch_group("eng", remove=("a", "b"))

    assert [two_owners.member(name)["status"] for name in ("a", "b")] == ["active", "active"]


def test_an_owner_whom_the_policy_suspends_is_none(two_owners):
    two_owners.patch_group("eng", remove=("a",))

    off = {"op": "replace", "path": "active", "value": False}
    status, problem = two_owners.scim.refusal(
        "PATCH",
        f"/Users/{two_owners.ids['b']}",
        {"schemas": [PATCH_OP], "Operations": [off]},
    )

    assert (status, problem["detail"].split(":")[0]) == (403, "last_owner_protected")


def test_who_is_in_no_mapped_group_can_go_without_a_seat(world):
    acme = world(premium=2, unmapped_policy="unassigned")
    acme.group("eng", tier="premium")

    acme.push("u")

    seat = acme.seat("u")
    assert (seat["tier"], seat["status"], seat["source"]) == ("unassigned", "unassigned", "none")


@pytest.mark.parametrize(
    "named",
    [
        {"entitlements": [{"type": "seat", "value": "standard"}]},
        {"roles": [{"type": "seatType", "value": "Standard"}]},
    ],
)
def test_the_identity_provider_names_the_tier_where_it_may(world, named):
    acme = world(premium=2, standard=2, named_tiers=True)

    acme.push("u", **named)
    assert acme.held("u") == ("standard", "mapping")
    assert acme.seat("u")["explain"]["rule"] == "C3"

    attribute = next(iter(named))
    acme.patch_user("u", {"op": "replace", "path": f"{attribute}.value", "value": "premium"})
    assert acme.held("u") == ("premium", "mapping")
    acme.patch_user("u", {"op": "remove", "path": attribute})
    assert acme.held("u") == ("premium", "default")


def test_a_tier_that_nobody_sells_is_named_in_vain(world):
    acme = world(premium=1, named_tiers=True)

    acme.push("u", entitlements=[{"type": "seat", "value": "platinum"}])

    assert acme.held("u") == ("premium", "default")


def test_named_tiers_are_off_unless_switched_on(world):
    acme = world(premium=1, standard=1)

    acme.push("u", entitlements=[{"type": "seat", "value": "standard"}])
    assert acme.tier("u") == "premium"
    acme.settings(named_tiers=True)

    assert acme.held("u") == ("standard", "mapping")


def test_the_last_owner_stays_and_the_others_follow_their_groups(world):
    acme = world(premium=2)
    acme.push("ada", "ben")
    for group, name, role in (("owners", "ada", "owner"), ("admins", "ben", "admin")):
        acme.group(group, name)
        acme.owner.put(f"/mappings/{acme.ids[group]}", {"tier": "premium", "role": role})
    acme.settings(group_mappings="on")

    acme.settings(group_mappings="off")

    assert [acme.member(name)["role"] for name in ("ada", "ben")] == ["owner", "user"]


def test_who_leaves_keeps_their_role_to_the_end(world):
    acme = world(premium=1)
    acme.push("ada")
    acme.group("admins", "ada")
    acme.owner.put(f"/mappings/{acme.ids['admins']}", {"tier": "premium", "role": "admin"})
    acme.settings(group_mappings="on")
    before = len(acme.audit("role_changed"))

    acme.remove("ada")

    assert len(acme.audit("role_changed")) == before


def at_once(*requests):
    with ThreadPoolExecutor(len(requests)) as pool:
        return [future.result().status_code for future in [pool.submit(*request) for request in requests]]


def test_two_are_not_made_primary_owner_at_once(world):
    for _ in range(5):
        acme = world(premium=2)
        acme.push("ada", "ben")
        paths = [f"/members/{acme.ids[name]}" for name in ("ada", "ben")]

        statuses = at_once(
            *[(acme.owner.request, "PATCH", path, {"role": "primary_owner"}) for path in paths]
        )

        assert sorted(statuses) == [200, 403]
        assert sorted(acme.member(name)["role"] for name in ("ada", "ben")) == ["primary_owner", "user"]


def test_the_last_two_owners_cannot_both_leave_at_once(world):
    for _ in range(5):
        acme = world(premium=2)
        acme.push("ada", "ben")
        for name in ("ada", "ben"):
            acme.role(name, "owner")
        paths = [f"/members/{acme.ids[name]}" for name in ("ada", "ben")]

        statuses = at_once(*[(acme.owner.request, "PATCH", path, {"role": "user"}) for path in paths])

        assert sorted(statuses) == [200, 403]


def test_whom_the_mappings_suspend_administers_nothing_until_they_are_back(world, client_of):
    acme = world(premium=2, unmapped_policy="remove")
    acme.push("ada", "ben")
    acme.role("ada", "admin")
    ada = client_of(acme, member=acme.ids["ada"])
    acme.group("eng", "ada", "ben", tier="premium")
    assert ada.get("/seats")

    acme.patch_group("eng", remove=("ada",))
    assert ada.refusal("GET", "/seats")[0] == 401

    acme.patch_group("eng", add=("ada",))
    assert ada.get("/seats")

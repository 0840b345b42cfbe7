"""The login hook: scenarios O20, O21, every mode, and who gets in (seat rule B6)."""

from __future__ import annotations

import pytest


def test_a_first_login_takes_the_highest_seat_and_a_later_one_keeps_it(world):
    """O20."""
    acme = world(premium=0, standard=1, provisioning_mode="jit")

    first = acme.login("j")
    acme.buy(premium=1)
    again = acme.login("j")

    assert [first["decision"], again["decision"]] == ["allow", "allow"]
    assert [first["created"], again["created"]] == [True, False]
    assert (again["seat"]["tier"], again["seat"]["source"]) == ("standard", "jit")
    assert acme.pools()["premium"] == "0/1"


def test_asserted_groups_move_people_at_login(world):
    """O21."""
    acme = world(premium=1, standard=1, provisioning_mode="jit")
    acme.group("eng", tier="premium")
    acme.group("staff", tier="standard")

    assert acme.login("j", ["eng"])["seat"]["tier"] == "premium"
    assert acme.login("j", ["staff"])["seat"]["tier"] == "standard"
    assert acme.pools() == {"premium": "0/1", "standard": "1/1"}


def test_groups_are_asserted_by_id_external_id_or_name(world):
    acme = world(premium=3, provisioning_mode="jit")
    acme.group("eng", tier="premium")
    acme.scim.put(f"/Groups/{acme.ids['eng']}", {"displayName": "eng", "externalId": "00g1"})

    for number, name in enumerate([acme.ids["eng"], "00g1", "ENG"]):
        acme.login(f"j{number}", [name])

    assert [acme.seat(f"j{number}")["source"] for number in range(3)] == ["mapping"] * 3


def test_groups_that_are_not_spoken_of_stay(world):
    acme = world(premium=1, provisioning_mode="jit")
    acme.group("eng", tier="premium")
    acme.login("j", ["eng"])

    acme.login("j")
    assert acme.held("j") == ("premium", "mapping")
    acme.login("j", [])
    assert acme.held("j") == ("premium", "jit")


@pytest.mark.parametrize("mode", ["scim", "manual"])
def test_in_other_modes_a_login_provisions_nobody(world, mode):
    acme = world(premium=1, provisioning_mode=mode)

    decision = acme.login("j")

    assert decision == {
        "decision": "deny",
        "reason": "not_provisioned",
        "created": False,
        "member": None,
        "seat": None,
    }
    assert acme.scim.get("/Users")["totalResults"] == 0


@pytest.mark.parametrize("mode", ["scim", "manual"])
def test_in_other_modes_a_login_changes_no_groups(world, mode):
    acme = world(premium=1, standard=1, provisioning_mode=mode)
    acme.push("u")
    acme.group("staff", "u", tier="standard")
    acme.group("eng", tier="premium")
    version = acme.version()

    assert acme.login("u", ["eng"])["seat"]["tier"] == "standard"
    assert acme.version() == version


def test_who_was_deactivated_stays_out_under_another_name_too(world):
    acme = world(premium=2, provisioning_mode="jit")
    acme.push("u", externalId="00u1")
    acme.set_active("u", False)

    assert acme.login("u")["reason"] == "suspended"
    assert acme.login("renamed", externalId="00u1")["reason"] == "suspended"
    assert acme.scim.get("/Users")["totalResults"] == 1


def test_who_finds_no_seat_waits_and_is_not_let_in(world):
    acme = world(premium=0, standard=0, provisioning_mode="jit")

    decision = acme.login("j")

    assert (decision["decision"], decision["reason"]) == ("deny", "no_seat")
    assert acme.queue() == [("j", "any")]


def test_where_people_without_a_seat_are_refused_nothing_is_stored(world):
    acme = world(premium=0, standard=0, provisioning_mode="jit", exhausted_policy="reject")

    assert acme.login("j")["reason"] == "no_seat"
    assert acme.scim.get("/Users")["totalResults"] == 0


def test_who_is_in_no_mapped_group_is_let_in_only_where_the_policy_says(world):
    acme = world(premium=2, provisioning_mode="jit", unmapped_policy="remove")
    acme.group("eng", tier="premium")

    assert acme.login("j", [])["reason"] == "not_provisioned"
    assert acme.scim.get("/Users")["totalResults"] == 0

    assert acme.login("k", ["eng"])["decision"] == "allow"
    assert acme.login("k", [])["reason"] == "suspended"
    assert acme.login("k", ["eng"])["decision"] == "allow"


def test_a_first_login_accepts_an_invitation(world):
    acme = world(premium=1, provisioning_mode="jit")
    acme.invite("i")

    decision = acme.login("i")

    assert (decision["decision"], decision["created"]) == ("allow", False)
    assert acme.member("i")["status"] == "active"


def test_the_same_login_twice_changes_nothing(world):
    acme = world(premium=1, provisioning_mode="jit")
    acme.group("eng", tier="premium")
    acme.login("j", ["eng"])
    version, events = acme.version(), acme.audit()

    acme.login("j", ["eng"])

    assert (acme.version(), acme.audit()) == (version, events)


def test_a_first_login_tells_the_role_that_a_group_gives(world):
    acme = world(premium=2, provisioning_mode="jit")
    acme.group("admins")
    acme.owner.put(f"/mappings/{acme.ids['admins']}", {"tier": "premium", "role": "admin"})
    acme.settings(group_mappings="on")

    decision = acme.login("ada", ["admins"])

    assert decision["member"]["role"] == "admin"
    assert decision["seat"]["source"] == "mapping"


def test_an_invited_person_without_a_mapped_group_is_denied_and_stays_invited(world):
    acme = world(premium=1, provisioning_mode="jit", unmapped_policy="remove")
    acme.invite("ben")
    acme.group("eng", tier="premium")

    refused = acme.login("ben", groups=[])
    welcome = acme.login("ben", groups=["eng"])

    assert (refused["decision"], refused["reason"]) == ("deny", "suspended")
    assert (welcome["decision"], acme.member("ben")["status"]) == ("allow", "active")

"""What falls due: one organization's trouble is its own, and nothing is done twice or by mistake."""

from __future__ import annotations

from datetime import timedelta

from scim_server.operations import access, due, seat_rules
from scim_server.store import organizations


def call_of(acme, at):
    return access.system_call(acme.organization_id, actor="test", at=at, request_id="test")


def test_trouble_with_one_organization_keeps_no_other_waiting(world, database, clock, monkeypatch):
    broken, sound = world(standard=1), world(standard=1)
    real = organizations.get

    def fail(tx, organization_id):
        if organization_id == broken.organization_id:
            raise RuntimeError("broken")
        return real(tx, organization_id)

    monkeypatch.setattr(due.organizations, "get", fail)
    clock.set("2026-02-01")

    done = {one.organization_id: one for one in due.run_all(database, clock())}

    assert str(done[broken.organization_id].error) == "broken"
    assert (done[sound.organization_id].steps, done[sound.organization_id].error) == (1, None)


def test_what_is_done_is_not_due_again(world, database, clock):
    acme = world(standard=1)
    clock.set("2026-04-15")

    assert [one.steps for one in due.run_all(database, clock())] == [3]
    assert list(due.run_all(database, clock())) == []
    assert [one["number"] for one in acme.invoices()] == [1, 2, 3]


def test_an_override_that_was_prolonged_does_not_expire(world, database, clock):
    acme = world(premium=1, standard=1)
    acme.push("a")
    acme.override("a", "standard", expires_at="2026-01-16T00:00:00Z")
    acme.override("a", "standard", expires_at="2026-01-20T00:00:00Z")

    late = call_of(acme, clock() + timedelta(days=2))
    database.run(seat_rules.expire_override, late, acme.ids["a"])

    assert acme.seat("a")["override"]["expires_at"] == "2026-01-20T00:00:00Z"


def test_an_override_of_somebody_who_is_gone_does_no_harm(world, database, clock):
    acme = world(standard=1)

    database.run(seat_rules.expire_override, call_of(acme, clock()), "nobody")

    assert acme.audit("override_cleared") == []


def test_a_period_begins_at_midnight_in_the_billing_time_zone(world, clock):
    acme = world(standard=1, time_zone="America/Los_Angeles")

    clock.set("2026-02-01T07:59")
    assert acme.invoices() == []
    clock.set("2026-02-01T08:00")

    [invoice] = acme.invoices()
    assert invoice["issued_at"] == "2026-02-01T08:00:00Z"

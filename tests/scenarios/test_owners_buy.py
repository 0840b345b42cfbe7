"""Purchases, reductions, bills: scenarios O3, O4, O14–O19, over HTTP on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scim_server.operations import access, organizations

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SMALL = {"min_total": 1}


def full_house(world):
    """The state after O2: six people, five seats."""
    acme = world(premium=2, standard=3)
    acme.push("u1", "u2", "u3", "u4", "u5", "u6")
    return acme


def test_a_purchase_serves_the_queue(world):
    """O3."""
    acme = full_house(world)

    acme.buy(standard=1)

    assert acme.held("u6") == ("standard", "default")
    assert acme.queue() == []
    assert acme.pools()["standard"] == "4/4"


def test_a_purchase_moves_nobody_who_has_a_seat(world):
    """O4."""
    acme = full_house(world)

    acme.buy(premium=3)

    assert acme.tier("u6") == "premium"
    assert acme.tiers("u3", "u4", "u5") == ["standard"] * 3
    assert acme.pools()["premium"] == "3/5"


def test_a_team_gives_up_free_seats_only(world):
    """O14."""
    acme = world(premium=5, standard=0, **SMALL)
    acme.push("a", "b", "c")

    lines = {"lines": [{"tier": "premium", "quantity": -3}]}
    status, problem = acme.owner.refusal("POST", "/seats/quotes", lines)
    assert (status, problem["code"], problem["missing"]) == (409, "seats_in_use", 1)
    assert acme.pools()["premium"] == "3/5"

    invoice = acme.buy(premium=-2)
    assert invoice["total_minor"] == 0
    assert acme.pools()["premium"] == "3/3"


def test_an_enterprise_contract_is_not_reduced(world):
    """O15."""
    acme = world(premium=4, standard=21, plan="enterprise", billing="annual")
    acme.push("a", "b", "c")
    version = acme.version()

    lines = {"lines": [{"tier": "premium", "quantity": -1}]}
    status, problem = acme.owner.refusal("POST", "/seats/quotes", lines)
    assert (status, problem["code"]) == (409, "reduction_not_allowed")
    assert acme.version() == version

    acme.override("c", "standard")
    assert acme.pools() == {"premium": "2/4", "standard": "1/21"}
    assert acme.invoices() == []


def test_the_worked_example_of_an_annual_contract(world, clock):
    """O16."""
    clock.set("2025-01-01")
    prices = {"standard": 4000, "premium": 10000}
    acme = world(standard=100, plan="enterprise", billing="annual", term_start="2025-01-01", prices=prices)
    clock.set("2025-03-01")

    invoice = acme.buy(standard=5, premium=10)

    assert [line["amount_minor"] for line in invoice["lines"]] == [200_000, 1_000_000]
    assert [line["basis"] for line in invoice["lines"]] == ["10/12", "10/12"]
    assert (invoice["total_minor"], invoice["currency"], invoice["number"]) == (1_200_000, "USD", 1)
    assert [one["id"] for one in acme.invoices()] == [invoice["id"]]
    assert acme.pools() == {"premium": "0/10", "standard": "0/105"}


def test_the_monthly_bill_of_a_team(world, clock):
    """O17."""
    clock.set("2025-01-01")
    acme = world(standard=10, term_start="2025-01-01", prices={"standard": 3000})
    clock.set("2025-01-15T12:00")

    quote = acme.quote(standard=5)
    assert quote["next_bill"] == {"date": "2025-02-01", "before_minor": 30000, "after_minor": 45000}
    assert acme.confirm(quote)["total_minor"] == 7742
    following = acme.owner.get("/invoices/next")
    assert (following["date"], following["total_minor"]) == ("2025-02-01", 45000)


def test_an_upgrade_trades_the_standard_seat_in(world, clock):
    """O18."""
    clock.set("2025-01-15T12:00")
    prices = {"standard": 3000, "premium": 15000}
    acme = world(premium=1, standard=3, term_start="2025-01-01", prices=prices)
    acme.push("a", "b", "c")

    path = f"/members/{acme.ids['b']}/seat"
    seat = acme.owner.put(path, {"tier": "premium", "purchase": True})

    assert (seat["tier"], seat["source"]) == ("premium", "override")
    [invoice] = acme.invoices()
    assert invoice["total_minor"] == 6194
    assert invoice["lines"][0]["traded_in"] == "standard"
    assert acme.pools() == {"premium": "2/2", "standard": "1/2"}


def test_an_upgrade_where_every_seat_is_taken(world):
    acme = world(premium=1, standard=1)
    acme.push("a", "b")

    acme.owner.put(f"/members/{acme.ids['b']}/seat", {"tier": "premium", "purchase": True})

    assert acme.pools() == {"premium": "2/2", "standard": "0/0"}


def test_an_admin_cannot_buy_along(world):
    acme = world(premium=1, standard=1)
    acme.push("a", "b")

    body = {"tier": "premium", "purchase": True}
    assert acme.admin.refusal("PUT", f"/members/{acme.ids['b']}/seat", body)[0] == 403
    assert acme.invoices() == []


def test_who_goes_frees_a_seat_and_no_money(world, clock):
    """O19."""
    clock.set("2025-01-10")
    prices = {"standard": 3000}
    acme = world(standard=5, term_start="2025-01-01", prices=prices, min_total=2)
    acme.push("a", "b", "c", "d", "e")

    acme.admin.delete(f"/members/{acme.ids['e']}")
    assert acme.pools()["standard"] == "4/5"
    assert acme.invoices() == []
    assert acme.owner.get("/invoices/next")["total_minor"] == 15000

    acme.buy(standard=-1)
    assert acme.owner.get("/invoices/next")["total_minor"] == 12000


# -- two steps


def test_nothing_is_bought_without_an_explicit_yes_and_a_key(world):
    acme = world(standard=1)
    quote = acme.quote(standard=1)
    path = f"/seats/quotes/{quote['id']}/confirm"

    for body, headers in (
        (None, {"Idempotency-Key": "k"}),
        ({}, {"Idempotency-Key": "k"}),
        ({"accept": False}, {"Idempotency-Key": "k"}),
        ({"accept": True}, {}),
    ):
        assert acme.owner.refusal("POST", path, body, **headers)[0] == 422
    assert acme.pools()["standard"] == "0/1"


def test_the_same_key_answers_the_same_invoice(world):
    acme = world(standard=1)
    quote = acme.quote(standard=1)

    first, again = acme.confirm(quote, "once"), acme.confirm(quote, "once")

    assert first == again
    assert acme.pools()["standard"] == "0/2"
    assert len(acme.invoices()) == 1


def test_a_key_belongs_to_one_request(world):
    acme = world(standard=1)
    acme.confirm(acme.quote(standard=1), "once")
    other = acme.quote(standard=2)

    path = f"/seats/quotes/{other['id']}/confirm"
    status, problem = acme.owner.refusal("POST", path, {"accept": True}, **{"Idempotency-Key": "once"})

    assert (status, problem["code"]) == (422, "idempotency_key_reused")


def test_a_quote_holds_only_for_what_it_was_made_for(world, clock):
    acme = world(standard=2)
    changed, expired, twice = acme.quote(standard=1), acme.quote(standard=1), acme.quote(standard=1)

    acme.confirm(twice)
    for quote in (changed, twice):
        path = f"/seats/quotes/{quote['id']}/confirm"
        key = {"Idempotency-Key": quote["id"] + "-again"}
        status, problem = acme.owner.refusal("POST", path, {"accept": True}, **key)
        assert (status, problem["code"]) == (409, "quote_stale")

    clock.advance(hours=25)
    path = f"/seats/quotes/{expired['id']}/confirm"
    key = {"Idempotency-Key": "x"}
    assert acme.owner.refusal("POST", path, {"accept": True}, **key)[1]["code"] == "quote_stale"
    assert len(acme.invoices()) == 1


def test_a_quote_of_yesterday_has_yesterdays_price(world, clock):
    acme = world(standard=1)
    quote = acme.quote(standard=1)

    clock.advance(hours=23)

    path = f"/seats/quotes/{quote['id']}/confirm"
    key = {"Idempotency-Key": "x"}
    assert acme.owner.refusal("POST", path, {"accept": True}, **key)[1]["code"] == "quote_stale"


def test_a_quote_keeps_its_price_until_the_day_ends(world, clock):
    clock.set("2025-01-15T00:00")
    acme = world(standard=1, term_start="2025-01-01", prices={"standard": 3000})

    quote = acme.quote(standard=5)
    clock.advance(seconds=30)

    assert (quote["total_minor"], quote["expires_at"]) == (8226, "2025-01-16T00:00:00Z")
    assert acme.confirm(quote)["total_minor"] == 8226


def test_a_new_price_makes_a_quote_stale(world, database):
    acme = world(standard=1)
    quote = acme.quote(standard=1)
    call = access.system_call(acme.organization_id, actor="command", at=NOW, request_id="test")
    database.run(organizations.set_prices, call, {"standard": 1})

    key = {"Idempotency-Key": "x"}
    path = f"/seats/quotes/{quote['id']}/confirm"
    assert acme.owner.refusal("POST", path, {"accept": True}, **key)[1]["code"] == "quote_stale"


def test_seats_of_a_tier_are_one_line_with_one_rounding(world, clock):
    clock.set("2025-01-15T12:00")
    acme = world(standard=1, term_start="2025-01-01", prices={"standard": 3000})
    one = {"tier": "standard", "quantity": 1}

    quote = acme.owner.post("/seats/quotes", {"lines": [one] * 5})

    assert [(line["quantity"], line["amount_minor"]) for line in quote["lines"]] == [(5, 7742)]


def test_seats_are_bought_and_given_up_in_one_purchase(world):
    acme = world(premium=5, standard=5)
    acme.push("a")

    invoice = acme.buy(premium=-4, standard=3)

    assert [(line["kind"], line["quantity"]) for line in invoice["lines"]] == [
        ("reduction", -4),
        ("purchase", 3),
    ]
    assert invoice["lines"][0]["amount_minor"] == 0
    assert acme.pools() == {"premium": "1/1", "standard": "0/8"}


@pytest.mark.parametrize("accept", [1, "true", "yes", None])
def test_only_true_is_a_yes(world, accept):
    acme = world(standard=1)
    quote = acme.quote(standard=1)

    path = f"/seats/quotes/{quote['id']}/confirm"
    status, _ = acme.owner.refusal("POST", path, {"accept": accept}, **{"Idempotency-Key": "k"})

    assert status == 422
    assert acme.owner.refusal("POST", "/members", {"userName": "ada", "purchase": accept})[0] == 422
    assert acme.invoices() == []


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ({"premium": 200}, "above_maximum"),
        ({"premium": -8}, "below_minimum"),
    ],
)
def test_a_plan_has_a_least_and_a_most(world, lines, code):
    acme = world(premium=10)

    body = {"lines": [{"tier": tier, "quantity": count} for tier, count in lines.items()]}
    status, problem = acme.owner.refusal("POST", "/seats/quotes", body)

    assert (status, problem["code"]) == (409, code)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [{"tier": "gold", "quantity": 1}],
        [{"tier": "standard", "quantity": 0}],
        [{"tier": "standard", "quantity": "5"}],
        [{"tier": "standard", "quantity": 1.5}],
        [{"tier": "standard", "quantity": 5}, {"tier": "standard", "quantity": -5}],
        [{"tier": "standard", "quantity": 10**12}],
        [{"tier": "standard", "quantity": 10**6}] * 10,
    ],
)
def test_a_quote_that_makes_no_sense_is_refused(world, lines):
    acme = world(standard=1)

    assert acme.owner.refusal("POST", "/seats/quotes", {"lines": lines})[0] == 422


# -- what comes with time


def test_a_scheduled_reduction_takes_effect_with_the_next_period(world, clock):
    acme = world(premium=3, standard=3, reduction_effective="renewal", **SMALL)
    acme.push("a", "b", "c")

    acme.buy(premium=-1)
    acme.buy(premium=-1)
    assert acme.pools()["premium"] == "3/3"
    assert [one["quantity"] for one in acme.owner.get("/seats/scheduled")["items"]] == [1, 1]
    assert acme.owner.get("/invoices/next")["total_minor"] == 15000 + 3 * 3000

    clock.set("2026-02-01")

    assert acme.pools() == {"premium": "1/1", "standard": "2/3"}
    assert acme.tiers("a", "b", "c") == ["premium", "standard", "standard"], "the newest move"
    assert acme.owner.get("/seats/scheduled")["items"] == []
    assert acme.invoices()[-1]["total_minor"] == 15000 + 3 * 3000
    assert acme.invoices()[-1]["kind"] == "renewal"


def test_periods_end_by_the_clock_also_where_it_goes_before_the_organization_was_made(
    world, clock, client_of
):
    """As in a test that lives in another year than the command that made the organization."""
    clock.set("2027-06-10")
    acme = world(premium=3, reduction_effective="renewal", **SMALL)
    acme.owner, another = client_of(acme, "owner"), client_of(acme, "owner")
    clock.set("2026-01-15")

    acme.buy(premium=-1)
    assert acme.pools()["premium"] == "0/3"
    clock.set("2026-02-01")

    assert acme.pools()["premium"] == "0/2"
    assert [invoice["kind"] for invoice in acme.invoices()] == ["purchase", "renewal"]

    clock.set("2026-01-20")
    another.get("/seats")
    clock.set("2026-02-02")
    assert [invoice["kind"] for invoice in acme.invoices()] == ["purchase", "renewal"], "not charged twice"


def test_a_scheduled_reduction_can_be_taken_back(world, clock):
    acme = world(premium=3, standard=3, reduction_effective="renewal", **SMALL)
    acme.buy(premium=-1)
    [one] = acme.owner.get("/seats/scheduled")["items"]

    acme.owner.delete(f"/seats/scheduled/{one['id']}")
    clock.set("2026-02-01")

    assert acme.pools()["premium"] == "0/3"


def test_a_contract_is_renewed_with_the_seats_in_use(world, clock):
    acme = world(premium=5, standard=5, plan="enterprise", billing="annual", term_start="2025-02-01")
    acme.push("a", "b", "c")
    assert acme.owner.get("/invoices/next")["total_minor"] == 3 * 15000 * 12

    clock.set("2026-02-01")

    assert acme.pools() == {"premium": "3/3", "standard": "0/0"}
    [renewal] = acme.invoices()
    assert (renewal["kind"], renewal["total_minor"]) == ("renewal", 3 * 15000 * 12)
    assert renewal["issued_at"] == "2026-02-01T00:00:00Z"


def test_a_contract_that_begins_later_keeps_its_seats_until_its_term_ends(world, clock):
    acme = world(premium=5, standard=5, plan="enterprise", billing="annual", term_start="2026-02-01")
    acme.push("a")
    assert acme.owner.get("/invoices/next")["date"] == "2027-02-01"

    clock.set("2026-02-01")
    assert acme.pools()["premium"] == "1/5"
    assert acme.invoices() == []

    clock.set("2027-02-01")
    assert acme.pools() == {"premium": "1/1", "standard": "0/0"}


def test_periods_that_nobody_asked_in_are_billed_all_the_same(world, clock):
    acme = world(standard=1)

    clock.set("2026-04-15")

    assert [one["number"] for one in acme.invoices()] == [1, 2, 3]
    assert [one["issued_at"][:10] for one in acme.invoices()] == ["2026-02-01", "2026-03-01", "2026-04-01"]


# -- bought by itself


def test_seats_are_bought_by_themselves_up_to_the_cap(world):
    acme = world(premium=0, standard=1, exhausted_policy="auto_purchase", auto_purchase_monthly_cap=2)

    acme.push("a", "b", "c", "d")

    assert acme.tiers("a", "b", "c", "d") == ["standard", "standard", "standard", "unassigned"]
    assert acme.pools()["standard"] == "3/3"
    assert [one["kind"] for one in acme.invoices()] == ["automatic", "automatic"]
    assert acme.queue() == [("d", "any")]


def test_a_mapped_tier_is_bought_by_itself_too(world):
    acme = world(premium=0, standard=2, exhausted_policy="auto_purchase")
    acme.push("a")

    acme.group("eng", "a", tier="premium")

    assert acme.held("a") == ("premium", "mapping")
    assert acme.pools() == {"premium": "1/1", "standard": "0/2"}


def test_a_contract_buys_nothing_by_itself(world):
    acme = world(standard=1, plan="enterprise", billing="annual")

    body = {"settings": {"exhausted_policy": "auto_purchase"}}
    status, problem = acme.owner.refusal("PATCH", "/organization", body)

    assert (status, problem["code"]) == (422, "invalid_setting")


def test_a_purchase_stands_in_the_audit_trail(world):
    acme = world(standard=1)

    acme.buy(standard=2)

    [event] = acme.audit("allocation_changed")
    assert (event["before"], event["after"]) == (
        {"premium": 0, "standard": 1},
        {"premium": 0, "standard": 3},
    )
    assert event["channel"] == "admin"


def test_before_and_after_stand_beside_every_change(world):
    acme = world(premium=1, standard=3, reduction_effective="renewal", **SMALL)
    acme.push("a")
    acme.invite("b")
    acme.admin.post(f"/members/{acme.ids['b']}/accept")
    acme.override("a", "standard")
    acme.clear_override("a")
    acme.group("eng", "a", tier="standard")
    acme.role("b", "owner")
    acme.buy(standard=1)
    acme.buy(standard=-1)
    [reduction] = acme.owner.get("/seats/scheduled")["items"]
    acme.owner.delete(f"/seats/scheduled/{reduction['id']}")
    token = acme.owner.post("/tokens", {"kind": "jit", "name": "app"})
    acme.owner.post(f"/tokens/{token['id']}/rotate")
    acme.owner.delete(f"/tokens/{token['id']}")
    acme.owner.delete(f"/mappings/{acme.ids['eng']}")
    acme.remove("a")

    events = acme.audit()

    changed = [event for event in events if event["kind"] != "group_changed"]
    assert [event["kind"] for event in changed if event["before"] is None and event["after"] is None] == []
    assert len({event["kind"] for event in changed}) >= 17
    assert all(
        event["actor"] and event["channel"] and event["request_id"] and event["at"] for event in events
    )
    revoked = next(event for event in events if event["kind"] == "token_revoked")
    assert (revoked["before"]["name"], revoked["after"]) == ("app", None)
    assert token["token"] not in str(events)


@pytest.mark.parametrize(("currency", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3)])
def test_amounts_are_in_the_minor_units_of_the_currency(world, currency, digits):
    acme = world(standard=1, currency=currency, prices={"standard": 0, "premium": 7})

    invoice = acme.buy(standard=2, premium=1)

    assert acme.owner.get("/organization")["minor_unit_digits"] == digits
    assert (invoice["currency"], [line["amount_minor"] for line in invoice["lines"]]) == (currency, [0, 4])


def with_an_override_that_waits(world, **seats):
    """An organization in which x has come back to an override whose tier is full by now."""
    acme = world(**seats)
    acme.push("x")
    acme.override("x", "premium")
    acme.set_active("x", False)
    acme.push("p")
    acme.set_active("x", True)
    return acme


def test_the_seat_of_an_upgrade_goes_to_whom_it_was_bought_for(world):
    acme = with_an_override_that_waits(world, premium=1, standard=2)
    acme.push("ben")

    acme.owner.put(f"/members/{acme.ids['ben']}/seat", {"tier": "premium", "purchase": True})

    assert acme.held("ben") == ("premium", "override")
    assert acme.queue() == [("x", "premium")]
    assert acme.pools() == {"premium": "2/2", "standard": "1/1"}


def test_the_seat_of_a_quote_for_a_member_goes_to_that_member(world):
    acme = with_an_override_that_waits(world, premium=1, standard=2)
    acme.push("ben")
    _, refusal = acme.admin.refusal("PUT", f"/members/{acme.ids['ben']}/seat", {"tier": "premium"})

    acme.confirm(refusal["quote"])

    assert acme.held("ben") == ("premium", "override")
    assert acme.queue() == [("x", "premium")]


def test_the_seat_that_is_bought_with_an_invitation_is_the_invited_persons(world):
    acme = with_an_override_that_waits(world, premium=1)

    invited = acme.invite("new", tier="premium", purchase=True)

    assert invited["seat"]["tier"] == "premium"
    assert acme.queue() == [("x", "premium")]


def test_any_seat_that_is_bought_with_an_invitation_is_the_invited_persons(world):
    acme = world(premium=1)
    acme.push("ada", "waits")

    invited = acme.invite("new", purchase=True)

    assert invited["seat"]["tier"] == "standard"
    assert acme.queue() == [("waits", "any")]


def test_in_a_new_month_seats_are_bought_for_those_who_wait_longer_too(world, clock):
    acme = world(premium=1, exhausted_policy="auto_purchase", auto_purchase_monthly_cap=2)
    acme.push("ada", "ben", "cy", "dee")
    assert acme.queue() == [("dee", "any")]

    clock.set("2026-02-02")
    acme.push("eve")

    assert acme.tiers("dee", "eve") == ["standard", "standard"]
    assert acme.pools()["standard"] == "4/4"


def test_no_more_is_bought_by_itself_than_is_needed(world):
    acme = world(premium=0, standard=1, exhausted_policy="wait")
    acme.push("ada", "ben")
    acme.group("eng", "ada", tier="premium")

    acme.settings(exhausted_policy="auto_purchase")

    assert acme.tiers("ada", "ben") == ["premium", "standard"]
    assert acme.pools() == {"premium": "1/1", "standard": "1/1"}


@pytest.mark.parametrize("limit", ["auto_purchase_monthly_cap", "max_total"])
def test_a_higher_limit_buys_seats_for_those_who_wait(world, limit):
    seats = {"auto_purchase_monthly_cap": 1, "max_total": 2}
    acme = world(premium=1, exhausted_policy="auto_purchase", **{limit: seats[limit]})
    acme.push("ada", "ben", "cy")
    assert acme.queue() == [("cy", "any")]

    acme.settings(**{limit: seats[limit] + 1})

    assert acme.tiers("ben", "cy") == ["standard", "standard"]
    assert acme.pools() == {"premium": "1/1", "standard": "2/2"}


@pytest.mark.parametrize("policy", ["auto_purchase", "wait", "reject"])
def test_what_is_given_up_is_not_bought_again_at_once(world, clock, policy):
    acme = world(premium=2, standard=2, min_total=0, reduction_effective="renewal", exhausted_policy=policy)
    acme.push("ada", "ben")
    acme.group("eng", "ada", "ben", tier="premium")
    acme.buy(premium=-1)

    clock.set("2026-02-01T00:00:00")

    assert acme.pools() == {"premium": "1/1", "standard": "1/2"}
    assert acme.seat("ben")["status"] == "held_waiting"

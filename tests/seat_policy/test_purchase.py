"""What a purchase costs, what a plan allows, what comes at the end of a period (seat rules B6, B9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seat_policy import (
    PLAN_SETTINGS,
    Billing,
    Offer,
    Plan,
    Pool,
    ReductionEffective,
    Refusal,
    Settings,
    Terms,
    Wanted,
    automatic_purchase,
    format_minor,
    next_invoice,
    offer,
    reduce_pools,
    renewal_of,
    upgrade_offer,
)
from seat_policy.allocation import Outcome
from seat_policy.proration import charge_minor, share_left
from tests.seat_policy.builders import pools

TEAM = Terms(Plan.TEAM, Billing.MONTHLY, date(2025, 1, 1), ZoneInfo("UTC"))
CONTRACT = replace(TEAM, plan=Plan.ENTERPRISE, billing=Billing.ANNUAL)
PRICES = {"premium": 15000, "standard": 3000}
DAY = date(2025, 1, 15)
DEFAULTS = Settings()
LATER = Settings(reduction_effective=ReductionEffective.RENEWAL)


def quote(before, *wanted, terms=TEAM, settings=DEFAULTS, scheduled=None):
    lines = [Wanted(tier, quantity) for tier, quantity in wanted]
    return offer(before, lines, terms, settings, PRICES, DAY, scheduled)


def allocated(of) -> dict[str, int]:
    return {pool.tier: pool.allocated for pool in of}


def test_an_offer_has_a_line_for_each_tier_and_action():
    made = quote(pools("0/1", "0/1"), ("standard", 5), ("premium", -1))

    assert isinstance(made, Offer)
    assert [(line.tier, line.quantity, line.amount_minor) for line in made.lines] == [
        ("standard", 5, 8226),
        ("premium", -1, 0),
    ]
    assert allocated(made.pools) == {"premium": 0, "standard": 6}


@pytest.mark.parametrize(
    ("before", "wanted", "settings", "code", "facts"),
    [
        (pools("3/5"), ("premium", -3), Settings(), "seats_in_use", {"missing": 1}),
        (pools("0/6"), ("premium", -2), PLAN_SETTINGS[Plan.TEAM], "below_minimum", {"minimum": 5}),
        (pools("0/6"), ("premium", 145), PLAN_SETTINGS[Plan.TEAM], "above_maximum", {"maximum": 150}),
        (pools("0/1"), ("premium", -2), LATER, "seats_in_use", {"missing": 1}),
        (pools("2/2", "1/1"), ("premium", -1), LATER, "seats_in_use", {"missing": 1}),
        (pools("3/5", "2/2"), ("standard", -2), LATER, "seats_in_use", {"missing": 2}),
        (pools("3/3", "0/2"), ("premium", -3), LATER, "seats_in_use", {"missing": 1}),
    ],
)
def test_a_plan_refuses_with_the_number_behind_it(before, wanted, settings, code, facts):
    refused = quote(before, wanted, settings=settings)

    assert isinstance(refused, Refusal)
    assert refused.code == code
    assert facts.items() <= refused.facts.items()


def test_a_contract_is_not_reduced_in_its_term():
    refused = quote(pools("0/5"), ("premium", -1), terms=CONTRACT)

    assert isinstance(refused, Refusal)
    assert refused.code == "reduction_not_allowed"


def test_scheduled_reductions_add_up():
    before = pools("0/3")

    assert isinstance(quote(before, ("premium", -1), settings=LATER, scheduled={"premium": 2}), Offer)
    assert isinstance(quote(before, ("premium", -1), settings=LATER, scheduled={"premium": 3}), Refusal)
    assert isinstance(quote(before, ("premium", -1), scheduled={"premium": 3}), Refusal)


def test_no_reduction_takes_the_room_that_a_scheduled_one_needs():
    before = pools("3/3", "0/2")

    assert isinstance(quote(before, ("standard", -1), scheduled={"premium": 1}), Offer)
    refused = quote(before, ("standard", -2), scheduled={"premium": 1})

    assert isinstance(refused, Refusal)
    assert (refused.code, refused.facts["missing"]) == ("seats_in_use", 1)


def test_an_upgrade_trades_a_seat_in_and_never_pays_back():
    made = upgrade_offer(pools("1/1", "2/2"), "standard", "premium", TEAM, PRICES, DAY)
    assert allocated(made.pools) == {"premium": 2, "standard": 1}
    assert made.total_minor == charge_minor(TEAM, 12000, 1, DAY)

    odd = upgrade_offer(pools("1/1", "2/2"), "standard", "premium", TEAM, {"premium": 1, "standard": 2}, DAY)
    assert odd.total_minor == 0


def test_a_contract_is_renewed_with_what_is_in_use_and_at_least_its_minimum():
    assert allocated(renewal_of(pools("2/9", "3/9"), Settings())) == {"premium": 2, "standard": 3}
    assert allocated(renewal_of(pools("2/9", "3/9"), Settings(min_total=20))) == {
        "premium": 2,
        "standard": 18,
    }


def test_the_next_invoice_has_no_line_for_what_nobody_bought():
    [line] = next_invoice(pools("0/0", "5/5"), TEAM, PRICES)

    assert (line.tier, line.amount_minor) == ("standard", 15000)


# -- reductions at the end of a period

tiers = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda pair: f"{min(pair)}/{max(pair)}")


@given(tiers, tiers, st.integers(0, 8), st.integers(0, 8))
def test_a_reduction_never_takes_a_seat_from_somebody_who_finds_no_other(premium, standard, less_p, less_s):
    before = pools(premium, standard)

    reduced = reduce_pools(before, {"premium": less_p, "standard": less_s})

    upper, lower = before
    moved = reduced.surplus.get("premium", 0)
    assert reduced.surplus.get("standard", 0) == 0
    assert upper.used - moved <= reduced.allocated["premium"] <= upper.allocated
    assert lower.used + moved <= reduced.allocated["standard"] <= lower.allocated
    assert reduced.allocated["premium"] >= upper.allocated - less_p
    assert reduced.allocated["standard"] >= lower.allocated - less_s


def test_the_surplus_of_a_higher_tier_moves_down():
    reduced = reduce_pools(pools("3/3", "1/3"), {"premium": 2})

    assert reduced.surplus == {"premium": 2}
    assert reduced.allocated == {"premium": 1, "standard": 3}


# -- bought by itself


def unmet(*desired: str, before: list[Pool]) -> Outcome:
    waiting = tuple((f"u{number}", tier) for number, tier in enumerate(desired))
    return Outcome((), tuple(before), waiting)


def test_what_is_bought_by_itself_stays_under_cap_and_maximum():
    full = pools("0/0", "2/2")
    wants = unmet("premium", "any", before=full)

    assert automatic_purchase(wants, Settings(), 9) == "premium"
    assert automatic_purchase(wants, Settings(), 10) is None
    assert automatic_purchase(wants, Settings(auto_purchase_monthly_cap=1), 5) is None
    assert automatic_purchase(wants, Settings(max_total=2), 0) is None


def test_who_asks_for_any_seat_gets_one_of_the_lowest_tier_bought():
    full = pools("0/0", "2/2")

    assert automatic_purchase(unmet("any", "premium", before=full), Settings(), 0) == "standard"
    assert automatic_purchase(unmet(before=full), Settings(), 0) is None


# -- money


@given(st.integers(0, 11))
def test_the_shares_of_the_months_sum_to_the_whole_term(month):
    left = share_left(CONTRACT, date(2025, month + 1, 1)).fraction
    elapsed = sum(
        (share_left(CONTRACT, date(2025, 1, 1)).fraction / 12 for _ in range(month)), start=0 * left
    )

    assert left + elapsed == 1


@given(st.dates(date(2025, 1, 1), date(2025, 1, 31)))
def test_the_days_that_are_left_and_those_that_are_gone_sum_to_the_period(day):
    left = share_left(TEAM, day).fraction

    assert left * 31 + (day - date(2025, 1, 1)).days == 31


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123456, "USD", "1,234.56 USD"),
        (123456, "JPY", "123,456 JPY"),
        (123456, "KWD", "123.456 KWD"),
        (123456, "CLF", "12.3456 CLF"),
        (-5, "EUR", "-0.05 EUR"),
    ],
)
def test_amounts_are_written_in_the_units_of_their_currency(amount, currency, text):
    assert format_minor(amount, currency) == text

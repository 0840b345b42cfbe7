"""What a change costs, to the cent (seat rule B9)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seat_policy.proration import (
    Billing,
    Period,
    Plan,
    Terms,
    charge_minor,
    half_up,
    month_after,
    period_of,
    share_left,
    start_of,
)

UTC_ZONE = ZoneInfo("UTC")


def team(anchor: str, billing: Billing = Billing.MONTHLY, zone: str = "UTC") -> Terms:
    return Terms(Plan.TEAM, billing, date.fromisoformat(anchor), ZoneInfo(zone))


def enterprise(anchor: str) -> Terms:
    return Terms(Plan.ENTERPRISE, Billing.ANNUAL, date.fromisoformat(anchor), UTC_ZONE)


def at(text: str) -> datetime | date:
    if "T" not in text:
        return date.fromisoformat(text)
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("terms", "when", "quantity", "month_price", "charge", "basis"),
    [
        (enterprise("2025-01-01"), "2025-03-01", 5, 4000, 200_000, "10/12"),
        (enterprise("2025-01-01"), "2025-03-01", 10, 10000, 1_000_000, "10/12"),
        (enterprise("2025-01-01"), "2025-03-15", 5, 4000, 190_968, "296/372"),
        (enterprise("2025-01-01"), "2025-01-01", 1, 4000, 48_000, "12/12"),
        (team("2025-01-01"), "2025-01-15T12:00", 5, 3000, 7_742, "16/31"),
        (team("2025-01-01"), "2025-01-15", 5, 3000, 8_226, "17/31"),
        (team("2025-01-01", Billing.ANNUAL), "2025-04-01T00:00", 5, 2500, 113_014, "275/365"),
        (team("2025-01-01"), "2025-01-15T12:00", 1, 12000, 6_194, "16/31"),
        (team("2025-01-01", Billing.ANNUAL), "2025-07-01T00:00", 2, 8000, 96_789, "184/365"),
    ],
)
def test_the_published_and_worked_examples_come_out(terms, when, quantity, month_price, charge, basis):
    assert charge_minor(terms, month_price, quantity, at(when)) == charge
    assert str(share_left(terms, at(when))) == basis


def test_periods_are_counted_from_the_original_anchor_day():
    terms = team("2025-01-31")

    assert period_of(terms, date(2025, 2, 27)) == Period(date(2025, 1, 31), date(2025, 2, 28))
    assert period_of(terms, date(2025, 2, 28)) == Period(date(2025, 2, 28), date(2025, 3, 31))
    assert period_of(terms, date(2025, 3, 31)).start == date(2025, 3, 31)


def test_leap_days_count():
    assert share_left(team("2024-02-01"), date(2024, 2, 1)).denominator == 29
    assert share_left(team("2024-01-01", Billing.ANNUAL), date(2024, 1, 1)).denominator == 366


def test_days_begin_at_midnight_in_the_billing_time_zone():
    terms = team("2025-01-01", zone="America/Los_Angeles")

    assert period_of(terms, at("2025-02-01T07:59")) == Period(date(2025, 1, 1), date(2025, 2, 1))
    assert str(share_left(terms, at("2025-02-01T08:00"))) == "28/28"


def test_a_day_that_has_no_midnight_begins_behind_the_gap():
    """Clocks in Havana go from 00:00 to 01:00 on this day."""
    terms = team("2026-03-08", zone="America/Havana")

    assert start_of(terms, date(2026, 3, 8)) == at("2026-03-08T05:00")
    assert str(share_left(terms, start_of(terms, date(2026, 3, 8)))) == "31/31"
    assert str(share_left(terms, at("2026-03-08T05:01"))) == "30/31"


def test_a_day_of_23_or_25_hours_is_a_day():
    terms = team("2026-03-01", zone="America/New_York")

    assert [str(share_left(terms, at(f"2026-03-{day}T12:00"))) for day in ("07", "08", "09")] == [
        "24/31",
        "23/31",
        "22/31",
    ]


def test_the_months_of_a_contract_are_counted_from_its_anchor_day():
    leap, month_end = enterprise("2024-02-29"), enterprise("2025-01-31")

    assert str(share_left(leap, date(2025, 2, 27))) == "1/360"
    assert period_of(leap, date(2025, 2, 28)).start == date(2025, 2, 28)
    assert str(share_left(month_end, date(2025, 2, 28))) == "11/12"
    assert str(share_left(month_end, date(2025, 3, 30))) == "311/372"
    assert str(share_left(month_end, date(2025, 3, 31))) == "10/12"


@pytest.mark.parametrize("terms", [team("2026-01-01"), enterprise("2026-01-01")])
def test_what_is_bought_before_the_first_period_is_charged_for_all_of_it(terms):
    early = at("2025-12-15T12:00")

    assert period_of(terms, early).start == date(2026, 1, 1)
    assert share_left(terms, early).fraction == 1


def test_what_is_free_costs_nothing():
    assert charge_minor(team("2025-01-01"), 0, 1000, at("2025-01-15")) == 0


def test_a_half_is_rounded_up():
    assert [half_up(n) for n in (0, 1)] == [0, 1]
    assert charge_minor(team("2025-02-01"), 1, 1, at("2025-02-15")) == 1


instants = st.dates(date(2024, 1, 1), date(2028, 12, 31)).flatmap(
    lambda day: st.times().map(lambda time: datetime.combine(day, time, UTC))
)
terms = st.builds(
    Terms,
    st.sampled_from(list(Plan)),
    st.sampled_from(list(Billing)),
    st.dates(date(2023, 1, 1), date(2024, 1, 1)),
    st.sampled_from([UTC_ZONE, ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")]),
)


@given(terms, instants)
def test_a_share_is_never_negative_nor_more_than_the_whole(terms, when):
    share = share_left(terms, when)

    assert 0 <= share.fraction <= 1


@given(terms, instants, st.integers(1, 100), st.integers(0, 100_000))
def test_the_seats_of_a_line_cost_what_they_cost_one_by_one_but_for_the_rounding(
    terms, when, quantity, price
):
    together = charge_minor(terms, price, quantity, when)
    apart = quantity * charge_minor(terms, price, 1, when)

    assert abs(together - apart) <= quantity


@given(terms, instants, st.integers(1, 50), st.integers(1, 100_000))
def test_later_never_costs_more_within_a_period(terms, when, quantity, price):
    later = when + timedelta(hours=30)
    if period_of(terms, when) == period_of(terms, later):
        assert charge_minor(terms, price, quantity, later) <= charge_minor(terms, price, quantity, when)


@given(terms, instants)
def test_periods_follow_each_other_without_a_gap(terms, when):
    period = period_of(terms, when)

    assert period_of(terms, period.end).start == period.end
    assert period.start < period.end == month_after(period.end, 0)

"""What does a change cost for the rest of the period? Integers and fractions, never floats (seat rule B9).

Money is in minor units. There is one rounding for each line of an invoice, half up.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from fractions import Fraction
from math import floor
from zoneinfo import ZoneInfo


class Plan(StrEnum):
    TEAM = "team"
    ENTERPRISE = "enterprise"


class Billing(StrEnum):
    MONTHLY = "monthly"
    ANNUAL = "annual"


@dataclass(frozen=True, slots=True)
class Terms:
    """How an organization is billed. ``anchor`` is the first day of its first period.

    Enterprise is billed by the year and prorated by months, whatever ``billing`` says. What
    happens before the anchor counts as its first moment: the first period is charged in full.
    """

    plan: Plan
    billing: Billing
    anchor: date
    time_zone: ZoneInfo

    @property
    def months(self) -> int:
        """The months of a period."""
        return 1 if self.plan is Plan.TEAM and self.billing is Billing.MONTHLY else 12


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period: from ``start`` to the day before ``end``, at midnight in the billing time zone."""

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a period that is left. ``numerator`` of ``denominator``, not reduced: it is shown as the basis."""

    numerator: int
    denominator: int

    @property
    def fraction(self) -> Fraction:
        return Fraction(self.numerator, self.denominator)

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


def period_of(terms: Terms, at: datetime | date) -> Period:
    """Return the period that an instant, or a day, falls into; the first one before there is any."""
    day = max(local_day(terms, at), terms.anchor)
    number = ((day.year - terms.anchor.year) * 12 + day.month - terms.anchor.month) // terms.months
    while month_after(terms.anchor, number * terms.months) > day:
        number -= 1
    while month_after(terms.anchor, (number + 1) * terms.months) <= day:
        number += 1
    return Period(
        month_after(terms.anchor, number * terms.months),
        month_after(terms.anchor, (number + 1) * terms.months),
    )


def share_left(terms: Terms, at: datetime | date) -> Share:
    """Return how much of the period is left for a purchase at an instant, or at the beginning of a day.

    Team: whole days left of the days of the period. Enterprise: months left of twelve, the
    purchase day counts; within a month, by its days.
    """
    if local_day(terms, at) < terms.anchor:
        at = terms.anchor
    period, day = period_of(terms, at), local_day(terms, at)
    if terms.plan is Plan.ENTERPRISE:
        return _months_left(terms, period, day)
    whole = (period.end - day).days - (0 if _begins_the_day(terms, at) else 1)
    return Share(whole, (period.end - period.start).days)


def charge_minor(terms: Terms, month_price_minor: int, quantity: int, at: datetime | date) -> int:
    """Return what ``quantity`` seats cost from now to the end of the period; never negative."""
    share = share_left(terms, at).fraction
    return max(half_up(quantity * month_price_minor * terms.months * share), 0)


def period_price_minor(terms: Terms, month_price_minor: int, quantity: int) -> int:
    """Return what seats cost for a whole period."""
    return quantity * month_price_minor * terms.months


def half_up(amount: Fraction | int) -> int:
    """Round to the nearest whole, a half upwards."""
    return floor(amount + Fraction(1, 2))


def month_after(anchor: date, months: int) -> date:
    """Return the day that lies some months behind (or before) an anchor, clamped to the end of its month."""
    index = anchor.year * 12 + anchor.month - 1 + months
    year, month = divmod(index, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(anchor.day, last))


def start_of(terms: Terms, day: date) -> datetime:
    """Return the instant, in UTC, at which a day begins in the billing time zone.

    Where clocks are put forward at midnight, that is the first instant behind the gap.
    """
    return datetime.combine(day, time(), terms.time_zone).astimezone(UTC)


def local_day(terms: Terms, at: datetime | date) -> date:
    """Return the day of an instant in the billing time zone."""
    return at.astimezone(terms.time_zone).date() if isinstance(at, datetime) else at


def _begins_the_day(terms: Terms, at: datetime | date) -> bool:
    return not isinstance(at, datetime) or at == start_of(terms, local_day(terms, at))


def _months_left(terms: Terms, period: Period, day: date) -> Share:
    """Months behind the running one, plus the share of the running one that is left."""
    elapsed = 0
    while _month_of_term(terms, period, elapsed + 1) <= day:
        elapsed += 1
    start = _month_of_term(terms, period, elapsed)
    end = _month_of_term(terms, period, elapsed + 1)
    days, left = (end - start).days, (end - day).days
    if left == days:
        return Share(12 - elapsed, 12)
    return Share((11 - elapsed) * days + left, 12 * days)


def _month_of_term(terms: Terms, period: Period, number: int) -> date:
    """Return when a month of the term begins, counted from the original anchor day."""
    months = (period.start.year - terms.anchor.year) * 12 + period.start.month - terms.anchor.month
    return month_after(terms.anchor, months + number)

"""Quote lines, the rules of the plans, and whether a quote still holds (seat rules B6, B8, B9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from seat_policy.allocation import Outcome
from seat_policy.model import ANY, Pool, ReductionEffective, Settings
from seat_policy.proration import Plan, Terms, charge_minor, period_price_minor, share_left


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many seats more of a tier; a negative ``quantity`` is a reduction."""

    tier: str
    quantity: int


class LineKind(StrEnum):
    PURCHASE = "purchase"
    REDUCTION = "reduction"
    UPGRADE = "upgrade"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a quote or an invoice.

    ``unit_price_minor`` is the price of one seat for a month; ``amount_minor`` what all seats
    of the line cost for ``basis`` of the period. ``traded_in``: the tier whose seat an
    upgrade gives back.
    """

    kind: LineKind
    tier: str
    quantity: int
    unit_price_minor: int
    amount_minor: int
    basis: str
    traded_in: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a change would cost, and the pools after it."""

    lines: tuple[Line, ...]
    pools: tuple[Pool, ...]

    @property
    def total_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change is not possible; ``facts`` are the numbers behind it."""

    code: str
    reason: str
    facts: Mapping[str, int | str]


def offer(
    pools: Sequence[Pool],
    wanted: Sequence[Wanted],
    terms: Terms,
    settings: Settings,
    month_prices_minor: Mapping[str, int],
    at: datetime | date,
    scheduled: Mapping[str, int] | None = None,
) -> Offer | Refusal:
    """Return what a purchase or a reduction would cost, or why it is not possible.

    ``wanted`` names each tier once: there is one line, and one rounding, for all its seats.
    ``scheduled`` are the reductions, by tier, that wait for the end of the period already.
    """
    before = dict(scheduled or {})
    later, after = dict(before), {pool.tier: pool for pool in pools}
    for want in wanted:
        pool = after[want.tier]
        refusal = _refusal_of(want, pool, terms, settings, later.get(want.tier, 0))
        if refusal is not None:
            return refusal
        if is_scheduled(want, settings):
            later[want.tier] = later.get(want.tier, 0) - want.quantity
        else:
            after[want.tier] = replace(pool, allocated=pool.allocated + want.quantity)
    refusal = _refusal_of_total(pools, before, tuple(after.values()), later, wanted, settings)
    lines = (_line(want, month_prices_minor[want.tier], terms, at) for want in wanted)
    return refusal or Offer(tuple(lines), tuple(after.values()))


def is_scheduled(want: Wanted, settings: Settings) -> bool:
    """Whether a change waits for the end of the period (``reduction_effective: renewal``)."""
    return want.quantity < 0 and settings.reduction_effective is ReductionEffective.RENEWAL


def upgrade_offer(
    pools: Sequence[Pool],
    from_tier: str,
    to_tier: str,
    terms: Terms,
    month_prices_minor: Mapping[str, int],
    at: datetime | date,
) -> Offer:
    """Return what it costs to trade a seat in for one of a higher tier: the difference of the prices."""
    difference = max(month_prices_minor[to_tier] - month_prices_minor[from_tier], 0)
    amount = charge_minor(terms, difference, 1, at)
    line = Line(LineKind.UPGRADE, to_tier, 1, difference, amount, str(share_left(terms, at)), from_tier)
    step = {from_tier: -1, to_tier: 1}
    after = tuple(replace(pool, allocated=pool.allocated + step.get(pool.tier, 0)) for pool in pools)
    return Offer((line,), after)


def next_invoice(
    pools: Sequence[Pool], terms: Terms, month_prices_minor: Mapping[str, int]
) -> tuple[Line, ...]:
    """Return what the next period costs, tier by tier, with the seats that there will be."""
    return tuple(
        Line(
            LineKind.PURCHASE,
            pool.tier,
            pool.allocated,
            month_prices_minor[pool.tier],
            period_price_minor(terms, month_prices_minor[pool.tier], pool.allocated),
            f"{terms.months}/{terms.months}",
        )
        for pool in pools
        if pool.allocated
    )


def renewal_of(pools: Sequence[Pool], settings: Settings) -> tuple[Pool, ...]:
    """Return the pools of the next term of an Enterprise contract: the seats in use, at least its minimum."""
    in_use = [replace(pool, allocated=pool.used) for pool in pools]
    missing = settings.min_total - sum(pool.allocated for pool in in_use)
    if missing > 0:  # which the contract has in the lowest tier
        lowest = min(in_use, key=lambda pool: pool.rank)
        in_use[in_use.index(lowest)] = replace(lowest, allocated=lowest.allocated + missing)
    return tuple(in_use)


@dataclass(frozen=True, slots=True)
class Reduction:
    """What scheduled reductions come to: the allocations, and how many of a tier have to move down."""

    allocated: Mapping[str, int]
    surplus: Mapping[str, int]


def reduce_pools(pools: Sequence[Pool], scheduled: Mapping[str, int]) -> Reduction:
    """Apply the reductions that were scheduled for now, by tier (seat rule B6).

    A tier may shrink below what is used: its surplus moves down, as far as there is room. What
    would leave somebody without any seat is not reduced.
    """
    by_rank = sorted(pools, key=lambda pool: -pool.rank)
    allocated, surplus, moved_in = {}, {}, 0
    for index, pool in enumerate(by_rank):
        used = pool.used + moved_in
        room = sum(max(below.free, 0) for below in by_rank[index + 1 :])
        moved_in = min(max(used - max(pool.allocated - scheduled.get(pool.tier, 0), 0), 0), room)
        allocated[pool.tier] = min(
            max(pool.allocated - scheduled.get(pool.tier, 0), used - moved_in), pool.allocated
        )
        surplus[pool.tier] = moved_in
    return Reduction(allocated, {tier: count for tier, count in surplus.items() if count})


def _unmet(pools: Sequence[Pool], scheduled: Mapping[str, int]) -> int:
    """Return how many of the scheduled seats could not be given up, if their day were today."""
    possible = reduce_pools(pools, scheduled).allocated
    return sum(possible[pool.tier] - pool.allocated + scheduled.get(pool.tier, 0) for pool in pools)


def _line(want: Wanted, month_price_minor: int, terms: Terms, at: datetime | date) -> Line:
    kind = LineKind.PURCHASE if want.quantity > 0 else LineKind.REDUCTION
    amount = charge_minor(terms, month_price_minor, max(want.quantity, 0), at)
    return Line(kind, want.tier, want.quantity, month_price_minor, amount, str(share_left(terms, at)))


def _refusal_of(want: Wanted, pool: Pool, terms: Terms, settings: Settings, scheduled: int) -> Refusal | None:
    if want.quantity >= 0:
        return None
    if terms.plan is Plan.ENTERPRISE:
        return Refusal(
            "reduction_not_allowed",
            "Seats of an Enterprise contract cannot be reduced within its term; "
            "what is not in use falls away at the renewal.",
            {"tier": want.tier},
        )
    left = pool.allocated - scheduled
    missing = -want.quantity - (left if is_scheduled(want, settings) else min(pool.free, left))
    if missing <= 0:
        return None
    return Refusal(
        "seats_in_use",
        f"{missing} more {want.tier} seats must be free first: remove members or give them another tier.",
        {"tier": want.tier, "missing": missing},
    )


def _refusal_of_total(
    pools: Sequence[Pool],
    scheduled: Mapping[str, int],
    after: Sequence[Pool],
    later: Mapping[str, int],
    wanted: Sequence[Wanted],
    settings: Settings,
) -> Refusal | None:
    change = sum(want.quantity for want in wanted)
    total = sum(pool.allocated for pool in after) - sum(later.values())
    missing = _unmet(after, later) - _unmet(pools, scheduled)
    if any(want.quantity < 0 for want in wanted) and missing > 0:
        return Refusal(
            "seats_in_use",
            f"{missing} more seats must be free first: remove members or give them another tier.",
            {"missing": missing},
        )
    if change < 0 and total < settings.min_total:
        return Refusal(
            "below_minimum",
            f"The plan has at least {settings.min_total} seats.",
            {"minimum": settings.min_total, "total": total},
        )
    if change > 0 and settings.max_total is not None and total > settings.max_total:
        return Refusal(
            "above_maximum",
            f"The plan has at most {settings.max_total} seats.",
            {"maximum": settings.max_total, "total": total},
        )
    return None


# The smallest and the largest number of seats of a plan, where the organization sets no other.
PLAN_SETTINGS: Mapping[Plan, Settings] = {
    Plan.TEAM: Settings(min_total=5, max_total=150),
    Plan.ENTERPRISE: Settings(),
}


def automatic_purchase(outcome: Outcome, settings: Settings, bought_this_month: int) -> str | None:
    """Return the tier of which a seat is to be bought, because an event left somebody without what they ask for.

    One seat at a time: who moves up to it leaves one that the next may have. Who asks for any
    seat gets one of the lowest tier: nothing dearer is bought without anybody's word.
    """
    total = sum(pool.allocated for pool in outcome.pools)
    is_full = settings.max_total is not None and total >= settings.max_total
    if not outcome.unmet or is_full or bought_this_month >= settings.auto_purchase_monthly_cap:
        return None
    _, desired = outcome.unmet[0]
    return min(outcome.pools, key=lambda pool: pool.rank).tier if desired == ANY else desired

"""Buying and reducing seats: quote, confirm, and the purchase that comes with an assignment (seat rules B6, B9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from scim_server.call import Call
from scim_server.errors import ConfirmationRequired, InvalidSetting, NotFound, PurchaseRefused, QuoteStale
from scim_server.events import Event, ReductionCancelled, ReductionScheduled
from scim_server.ids import new_id
from scim_server.operations import invoices, seats
from scim_server.operations.idempotency import once
from scim_server.operations.seats import Situation
from scim_server.store import billing as store
from scim_server.store import event_log, organizations
from scim_server.store import seats as seat_store
from scim_server.store.billing import Invoice, Quote, ScheduledReduction
from scim_server.store.organizations import Organization
from scim_server.store.seat_rules import Override
from scim_server.store.transaction import Transaction
from seat_policy import (
    Line,
    LineKind,
    Member,
    Offer,
    Plan,
    Pool,
    Refusal,
    Wanted,
    is_scheduled,
    local_day,
    next_invoice,
    offer,
    period_of,
    start_of,
    upgrade_offer,
)

MAX_LINES = 20
MAX_SEATS = 10_000_000  # of a tier, so that no amount outgrows 64 bits, not even for a year


@dataclass(frozen=True, slots=True)
class Bought:
    """Seats that were charged for: the situation with them, what is to be stored, what happened."""

    situation: Situation
    allocated: Mapping[str, int]
    invoice: Invoice
    happened: list[Event]


@dataclass(frozen=True, slots=True)
class Shop:
    """What an offer is made from: the organization, its pools under lock, its prices."""

    organization: Organization
    situation: Situation
    prices: Mapping[str, int]
    scheduled: Mapping[str, int]

    @property
    def pools(self) -> tuple[Pool, ...]:
        return self.situation.rules.pools


def quote(
    tx: Transaction, call: Call, lines: Sequence[Mapping[str, Any]], *, key: str | None = None
) -> dict[str, Any]:
    """Say what a purchase or a reduction would cost; nothing is bought (the first of two steps).

    Raises PurchaseRefused where the plan does not allow it.
    """

    def carry_out() -> dict[str, Any]:
        shop = _shop(tx, call, seats.lock(tx, call))
        wanted = _wanted(shop, lines)
        return _stored_quote(tx, call, shop, _offer_of(shop, call.at, wanted))

    return once(tx, call, key, ["quote", list(lines)], carry_out)


def quote_for_member(tx: Transaction, call: Call, member_id: str | None, tier: str) -> dict[str, Any]:
    """Say what the seat would cost that a member cannot get because none is free (None: a new member)."""
    situation = seats.lock(tx, call)
    shop = _shop(tx, call, situation)
    made = _offer_for(shop, call.at, _held_by(tx, call, member_id), tier)
    return _stored_quote(tx, call, shop, made, member_id=member_id, tier=tier)


def confirm(tx: Transaction, call: Call, quote_id: str, *, accept: bool, key: str | None) -> dict[str, Any]:
    """Buy what was quoted, charge for it and serve the queue, all at once (the second step).

    Raises ConfirmationRequired without an explicit yes or without a key, QuoteStale where
    anything changed since the quote was made.
    """
    if not accept:
        raise ConfirmationRequired('Nothing is bought without an explicit yes: send {"accept": true}.')
    if not key:
        raise ConfirmationRequired("Send the header Idempotency-Key, so that nothing is ever charged twice.")

    def carry_out() -> dict[str, Any]:
        situation = seats.lock(tx, call)
        shop = _shop(tx, call, situation)
        quoted = store.quote(tx, call.organization_id, quote_id)
        _refuse_stale(shop, call, quoted)
        made = _offer_again(tx, shop, call, quoted)
        if made.total_minor != quoted.total_minor:
            raise QuoteStale("The price has changed since; ask for a new quote.")
        return _carry_out(tx, call, shop, quoted, made)

    return once(tx, call, key, ["confirm", quote_id], carry_out)


def buy_for(tx: Transaction, call: Call, situation: Situation, held: str | None, tier: str) -> Bought:
    """Charge for the seat that somebody is to get.

    Who holds a lower tier trades that seat in and pays the difference (seat rule B6). The
    caller assigns the seat, and stores the allocation with it, in the same transaction.
    """
    shop = _shop(tx, call, situation)
    return _charge(tx, call, shop, _offer_for(shop, call.at, held, tier))


def scheduled(tx: Transaction, call: Call) -> dict[str, Any]:
    """Return the reductions that wait for the end of the period."""
    return {"items": [_scheduled_shown(one) for one in store.scheduled(tx, call.organization_id)]}


def cancel_scheduled(tx: Transaction, call: Call, reduction_id: str) -> None:
    """Take a scheduled reduction back. Raises NotFound."""
    seats.lock(tx, call)
    waiting = {one.id: one for one in store.scheduled(tx, call.organization_id)}
    if reduction_id not in waiting:
        raise NotFound(f"No reduction {reduction_id[:100]} is scheduled.")
    store.unschedule(tx, call.organization_id, reduction_id)
    seat_store.touch_organization(tx, call.organization_id)
    one = waiting[reduction_id]
    cancelled = ReductionCancelled(one.id, one.tier, one.quantity, one.effective_on.isoformat())
    event_log.append(tx, call, [cancelled])


def allocation_delta(before: Sequence[Pool], after: Sequence[Pool]) -> dict[str, int]:
    """Return how many seats of each tier were bought or, negative, given up."""
    had = {pool.tier: pool.allocated for pool in before}
    return {pool.tier: pool.allocated - had[pool.tier] for pool in after if pool.allocated != had[pool.tier]}


# -- offers


def _shop(tx: Transaction, call: Call, situation: Situation) -> Shop:
    return Shop(
        organizations.get(tx, call.organization_id),
        situation,
        invoices.prices(tx, call),
        store.scheduled_by_tier(tx, call.organization_id),
    )


def _wanted(shop: Shop, lines: Sequence[Mapping[str, Any]]) -> list[Wanted]:
    """Read what is wanted of each tier; lines of the same tier are one, for one rounding (seat rule B9)."""
    tiers = [pool.tier for pool in shop.pools]
    if not lines or len(lines) > MAX_LINES:
        raise InvalidSetting(f"lines must have 1 to {MAX_LINES} lines.")
    total: Counter[str] = Counter()
    for line in lines:
        if line["tier"] not in tiers:
            raise InvalidSetting(f"tier must be one of {', '.join(tiers)}.")
        total[line["tier"]] += line["quantity"]
    if 0 in total.values():
        raise InvalidSetting("quantity must not be 0: positive buys seats, negative gives them up.")
    allocated = {pool.tier: pool.allocated for pool in shop.pools}
    if any(allocated[tier] + quantity > MAX_SEATS for tier, quantity in total.items()):
        raise InvalidSetting(f"There can be {MAX_SEATS} seats of a tier at most.")
    return [Wanted(tier, quantity) for tier, quantity in total.items()]


def _offer_of(shop: Shop, at: datetime, wanted: Sequence[Wanted]) -> Offer:
    made = offer(
        shop.pools,
        wanted,
        shop.organization.terms,
        shop.situation.settings,
        shop.prices,
        at,
        shop.scheduled,
    )
    if isinstance(made, Refusal):
        raise PurchaseRefused(made.reason, code=made.code, **made.facts)
    return made


def _offer_for(shop: Shop, at: datetime, held: str | None, tier: str) -> Offer:
    ranks = {pool.tier: pool.rank for pool in shop.pools}
    if held is not None and ranks[held] < ranks[tier]:
        return upgrade_offer(shop.pools, held, tier, shop.organization.terms, shop.prices, at)
    return _offer_of(shop, at, [Wanted(tier, 1)])


def _offer_again(tx: Transaction, shop: Shop, call: Call, quoted: Quote) -> Offer:
    """Make the offer of a quote once more, as of the moment when it was quoted."""
    at = quoted.created_at
    if quoted.tier is not None:
        return _offer_for(shop, at, _held_by(tx, call, quoted.member_id), quoted.tier)
    return _offer_of(shop, at, [Wanted(line.tier, line.quantity) for line in quoted.lines])


def _held_by(tx: Transaction, call: Call, member_id: str | None) -> str | None:
    if member_id is None:
        return None
    members = seat_store.members(tx, call.organization_id, [member_id], with_mappings=False)
    if not members:
        raise NotFound(f"There is no member {member_id[:100]}.")
    return members[0].seat.tier


def _refuse_stale(shop: Shop, call: Call, quoted: Quote) -> None:
    if quoted.expires_at <= call.at:
        raise QuoteStale("The quote has expired; ask for a new one.")
    if quoted.version != shop.situation.rules.version:
        raise QuoteStale("The organization has changed since the quote was made; ask for a new one.")


# -- carrying out


def _stored_quote(
    tx: Transaction,
    call: Call,
    shop: Shop,
    made: Offer,
    *,
    member_id: str | None = None,
    tier: str | None = None,
) -> dict[str, Any]:
    quoted = Quote(
        id=new_id(),
        version=shop.situation.rules.version,
        lines=made.lines,
        total_minor=made.total_minor,
        member_id=member_id,
        tier=tier,
        created_at=call.at,
        expires_at=_end_of_day(shop, call.at),
    )
    store.insert_quote(tx, call.organization_id, quoted)
    return _quote_shown(shop, call, quoted, made)


def _end_of_day(shop: Shop, at: datetime) -> datetime:
    """Return until when a price holds: with the next day there is less of the period to pay for."""
    terms = shop.organization.terms
    return start_of(terms, local_day(terms, at) + timedelta(days=1))


def _carry_out(tx: Transaction, call: Call, shop: Shop, quoted: Quote, made: Offer) -> dict[str, Any]:
    member = _buyer(tx, call, shop, quoted)
    bought = _charge(tx, call, shop, made, quoted.id)
    happened = [*bought.happened, *_schedule(tx, call, shop, made.lines)]
    if not bought.allocated:
        seat_store.touch_organization(tx, call.organization_id)
    if member is not None and quoted.tier is not None:
        override = Override(quoted.tier, call.actor, call.at, None, None)
        happened += seats.give(
            tx, call, bought.situation, member, override, "purchase", allocated=bought.allocated
        )
    else:
        happened += seats.settle(tx, call, bought.situation, [], "purchase", allocated=bought.allocated)
    event_log.append(tx, call, happened)
    return invoices.shown(bought.invoice)


def _buyer(tx: Transaction, call: Call, shop: Shop, quoted: Quote) -> Member | None:
    """Return the member whom a quote is to give a seat. Raises ManagedByMapping where the seat would not be theirs."""
    if quoted.member_id is None:
        return None
    [member] = seat_store.members(
        tx, call.organization_id, [quoted.member_id], with_mappings=shop.situation.maps_groups
    )
    seats.refuse_where_mappings_rule(shop.situation, member)
    return member


def _charge(tx: Transaction, call: Call, shop: Shop, made: Offer, quote_id: str | None = None) -> Bought:
    invoice = invoices.issue(tx, call, invoices.PURCHASE, made.lines, quote_id)
    return Bought(
        situation=replace(shop.situation, rules=replace(shop.situation.rules, pools=made.pools)),
        allocated=allocation_delta(shop.pools, made.pools),
        invoice=invoice,
        happened=[invoices.allocation_changed(invoice, shop.pools, made.pools)],
    )


def _schedule(tx: Transaction, call: Call, shop: Shop, lines: Sequence[Line]) -> list[Event]:
    """Store the reductions among some lines that wait for the end of the period."""
    end = period_of(shop.organization.terms, call.at).end
    happened: list[Event] = []
    for line in lines:
        if line.kind is LineKind.REDUCTION and is_scheduled(
            Wanted(line.tier, line.quantity), shop.situation.settings
        ):
            reduction = ScheduledReduction(new_id(), line.tier, -line.quantity, end, call.actor, call.at)
            store.schedule(tx, call.organization_id, reduction)
            happened.append(ReductionScheduled(reduction.id, line.tier, reduction.quantity, end.isoformat()))
    return happened


def _quote_shown(shop: Shop, call: Call, quoted: Quote, made: Offer) -> dict[str, Any]:
    """Show a quote with its effect on the next bill."""
    terms = shop.organization.terms
    end = period_of(terms, call.at).end

    def next_total(pools: Sequence[Pool], scheduled: Mapping[str, int]) -> int:
        if terms.plan is not Plan.ENTERPRISE:
            pools = invoices.pools_of_next_period(shop.organization, pools, scheduled)
        return sum(line.amount_minor for line in next_invoice(pools, terms, shop.prices))

    later = dict(shop.scheduled)
    for line in made.lines:
        if is_scheduled(Wanted(line.tier, line.quantity), shop.situation.settings):
            later[line.tier] = later.get(line.tier, 0) - line.quantity
    return {
        "id": quoted.id,
        "version": quoted.version,
        "member_id": quoted.member_id,
        "lines": [invoices.line_shown(line) for line in quoted.lines],
        "total_minor": quoted.total_minor,
        "currency": shop.organization.currency,
        "next_bill": {
            "date": end.isoformat(),
            "before_minor": next_total(shop.pools, shop.scheduled),
            "after_minor": next_total(made.pools, later),
        },
        "expires_at": quoted.expires_at,
    }


def _scheduled_shown(reduction: ScheduledReduction) -> dict[str, Any]:
    return {
        "id": reduction.id,
        "tier": reduction.tier,
        "quantity": reduction.quantity,
        "effective_on": reduction.effective_on.isoformat(),
        "actor": reduction.actor,
        "created_at": reduction.created_at,
    }

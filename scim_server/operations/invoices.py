"""Invoices: what was charged, and what the next period will cost (seat rule B9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from scim_server.call import Call
from scim_server.events import AllocationChanged
from scim_server.ids import new_id
from scim_server.operations.listing import Listing, Page, cursor
from scim_server.store import billing as store
from scim_server.store import organizations
from scim_server.store import seats as seat_store
from scim_server.store.billing import Invoice
from scim_server.store.organizations import Organization
from scim_server.store.transaction import Transaction
from seat_policy import (
    PLAN_SETTINGS,
    Line,
    Offer,
    Plan,
    Pool,
    Settings,
    Terms,
    Wanted,
    local_day,
    next_invoice,
    offer,
    period_of,
    reduce_pools,
    renewal_of,
    settings_from,
    start_of,
)

PURCHASE, AUTOMATIC, RENEWAL = "purchase", "automatic", "renewal"


def issue(
    tx: Transaction, call: Call, kind: str, lines: Sequence[Line], quote_id: str | None = None
) -> Invoice:
    """Write an invoice under the next number. The organization is locked already."""
    return store.insert_invoice(
        tx,
        call.organization_id,
        invoice_id=new_id(),
        kind=kind,
        lines=lines,
        quote_id=quote_id,
        actor=call.actor,
        at=call.at,
    )


def charge_automatically(tx: Transaction, call: Call, bought: Mapping[str, int]) -> AllocationChanged:
    """Charge for seats that nobody ordered one by one; the pools are raised by the caller."""
    organization = organizations.get(tx, call.organization_id)
    pools = seat_store.rules(tx, call.organization_id).pools
    before = [replace(pool, allocated=pool.allocated - bought.get(pool.tier, 0)) for pool in pools]
    wanted = [Wanted(tier, quantity) for tier, quantity in sorted(bought.items())]
    unlimited = Settings(max_total=None)
    made = offer(before, wanted, organization.terms, unlimited, prices(tx, call), call.at)
    assert isinstance(made, Offer)
    invoice = issue(tx, call, AUTOMATIC, made.lines)
    return allocation_changed(invoice, before, pools)


def allocation_changed(invoice: Invoice, before: Sequence[Pool], after: Sequence[Pool]) -> AllocationChanged:
    """Return the event of a change in what is bought."""
    return AllocationChanged(
        invoice.id,
        invoice_number=invoice.number,
        total_minor=invoice.total_minor,
        currency=invoice.currency,
        before={pool.tier: pool.allocated for pool in before},
        after={pool.tier: pool.allocated for pool in after},
    )


def bought_automatically_this_month(tx: Transaction, call: Call) -> int:
    """Return how many seats were bought by themselves in this calendar month of the billing time zone."""
    terms = organizations.get(tx, call.organization_id).terms
    first = start_of(terms, local_day(terms, call.at).replace(day=1))
    issued = store.invoices_of_kind(tx, call.organization_id, AUTOMATIC, first)
    return sum(line.quantity for invoice in issued for line in invoice.lines)


def prices(tx: Transaction, call: Call) -> dict[str, int]:
    """Return what a seat of each tier costs for a month, in minor units."""
    return {tier.tier: tier.month_price_minor for tier in organizations.tiers(tx, call.organization_id)}


def search(tx: Transaction, call: Call, page: Page) -> Listing:
    """Return a page of invoices, oldest first."""
    place = page.position(int)
    after = 0 if place is None else place[0]
    found = store.invoices_after(tx, call.organization_id, after=after, limit=page.limit + 1)
    shown_ones = [shown(invoice) for invoice in found[: page.limit]]
    has_more = len(found) > page.limit
    return Listing(shown_ones, cursor([found[page.limit - 1].number]) if has_more else None)


def get(tx: Transaction, call: Call, invoice_id: str) -> dict[str, Any]:
    """Return an invoice. Raises NotFound."""
    return shown(store.invoice(tx, call.organization_id, invoice_id))


def following(tx: Transaction, call: Call) -> dict[str, Any]:
    """Return what the next period or renewal will cost as things stand, line by line."""
    organization = organizations.get(tx, call.organization_id)
    rules = seat_store.rules(tx, call.organization_id)
    scheduled = store.scheduled_by_tier(tx, call.organization_id)
    pools = pools_of_next_period(organization, rules.pools, scheduled)
    lines = next_invoice(pools, organization.terms, prices(tx, call))
    period = period_of(organization.terms, start_of(organization.terms, _period_end(organization, call.at)))
    return {
        "date": period.start.isoformat(),
        "issued_at": start_of(organization.terms, period.start),
        "period_start": period.start.isoformat(),
        "period_end": period.end.isoformat(),
        "lines": [line_shown(line) for line in lines],
        "total_minor": sum(line.amount_minor for line in lines),
        "currency": organization.currency,
    }


def pools_of_next_period(
    organization: Organization, pools: Sequence[Pool], scheduled: Mapping[str, int]
) -> tuple[Pool, ...]:
    """Return the allocation that the next period begins with, as things stand."""
    if organization.plan == Plan.ENTERPRISE:
        return renewal_of(pools, settings_of(organization, pools))
    reduced = reduce_pools(pools, scheduled)
    return tuple(replace(pool, allocated=reduced.allocated[pool.tier]) for pool in pools)


def settings_of(organization: Organization, pools: Sequence[Pool]) -> Settings:
    """Return the seat settings of an organization."""
    tiers = [pool.tier for pool in pools]
    settings = settings_from(organization.settings, tiers, base=PLAN_SETTINGS[Plan(organization.plan)])
    assert isinstance(settings, Settings)
    return settings


def shown(invoice: Invoice) -> dict[str, Any]:
    """Return an invoice as the Admin API shows it."""
    return {
        "id": invoice.id,
        "number": invoice.number,
        "kind": invoice.kind,
        "issued_at": invoice.issued_at,
        "lines": [line_shown(line) for line in invoice.lines],
        "total_minor": invoice.total_minor,
        "currency": invoice.currency,
        "quote_id": invoice.quote_id,
        "actor": invoice.actor,
    }


def line_shown(line: Line) -> dict[str, Any]:
    """Return a line of a quote or an invoice as the Admin API shows it."""
    return {
        "kind": line.kind.value,
        "tier": line.tier,
        "quantity": line.quantity,
        "unit_price_minor": line.unit_price_minor,
        "amount_minor": line.amount_minor,
        "basis": line.basis,
        "traded_in": line.traded_in,
    }


def _period_end(organization: Organization, at: datetime) -> Any:
    terms: Terms = organization.terms
    return period_of(terms, at).end

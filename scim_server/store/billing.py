"""Quotes, invoices and scheduled reductions: what was offered, what was charged, what comes at renewal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping, bindparam, delete, func, insert, select, update

from scim_server.errors import NotFound
from scim_server.store.prepared import Prepared
from scim_server.store.tables import Instant, invoices, organizations, quotes, scheduled_reductions
from scim_server.store.transaction import Transaction
from seat_policy import Line, LineKind


@dataclass(frozen=True, slots=True)
class Quote:
    """What a change would cost. ``version``: that of the organization it was made for.

    ``member_id`` and ``tier``: whom the purchase is to give a seat of which tier; None for nobody.
    """

    id: str
    version: int
    lines: tuple[Line, ...]
    total_minor: int
    member_id: str | None
    tier: str | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invoice:
    """What was charged. ``kind``: purchase, automatic or renewal."""

    id: str
    number: int
    kind: str
    issued_at: datetime
    lines: tuple[Line, ...]
    total_minor: int
    currency: str
    quote_id: str | None
    actor: str


@dataclass(frozen=True, slots=True)
class ScheduledReduction:
    """So many seats fewer of a tier from a day on."""

    id: str
    tier: str
    quantity: int
    effective_on: date
    actor: str
    created_at: datetime


_GET_QUOTE = Prepared(
    select(quotes).where(
        quotes.c.organization_id == bindparam("organization_id"), quotes.c.id == bindparam("id")
    )
)
_FORGET_QUOTES = Prepared(
    delete(quotes).where(
        quotes.c.organization_id == bindparam("organization_id"),
        quotes.c.expires_at <= bindparam("before", type_=Instant()),
    )
)
_NEXT_NUMBER = Prepared(
    update(organizations)
    .where(organizations.c.id == bindparam("in_organization"))
    .values(invoice_count=organizations.c.invoice_count + 1)
    .returning(organizations.c.invoice_count, organizations.c.currency)
)
_of_organization = invoices.c.organization_id == bindparam("organization_id")
_GET_INVOICE = Prepared(select(invoices).where(_of_organization, invoices.c.id == bindparam("id")))
_INVOICES_AFTER = Prepared(
    select(invoices)
    .where(_of_organization, invoices.c.number > bindparam("after"))
    .order_by(invoices.c.number)
    .limit(bindparam("limit"))
)
_OF_KIND_SINCE = Prepared(
    select(invoices).where(
        _of_organization,
        invoices.c.kind == bindparam("kind"),
        invoices.c.issued_at >= bindparam("since", type_=Instant()),
    )
)
_SCHEDULED = Prepared(
    select(scheduled_reductions)
    .where(scheduled_reductions.c.organization_id == bindparam("organization_id"))
    .order_by(scheduled_reductions.c.id)
)
_SCHEDULED_BY_TIER = Prepared(
    select(scheduled_reductions.c.tier, func.sum(scheduled_reductions.c.quantity))
    .where(scheduled_reductions.c.organization_id == bindparam("organization_id"))
    .group_by(scheduled_reductions.c.tier)
)
_UNSCHEDULE = Prepared(
    delete(scheduled_reductions).where(
        scheduled_reductions.c.organization_id == bindparam("organization_id"),
        scheduled_reductions.c.id == bindparam("id"),
    )
)
_UNSCHEDULE_ALL = Prepared(
    delete(scheduled_reductions).where(scheduled_reductions.c.organization_id == bindparam("organization_id"))
)


def insert_quote(tx: Transaction, organization_id: str, quote: Quote) -> None:
    row = {**_plain(quote), "organization_id": organization_id, "lines": _text_of(quote.lines)}
    tx.execute(insert(quotes), row)


def quote(tx: Transaction, organization_id: str, quote_id: str) -> Quote:
    """Raises NotFound."""
    found = tx.execute(_GET_QUOTE, {"organization_id": organization_id, "id": quote_id}).mappings()
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"There is no quote {quote_id[:100]}.")
    return Quote(**_own(row, lines=_lines_of(row["lines"])))


def forget_quotes(tx: Transaction, organization_id: str, before: datetime) -> None:
    """Delete quotes that expired before an instant."""
    tx.execute(_FORGET_QUOTES, {"organization_id": organization_id, "before": before})


def insert_invoice(
    tx: Transaction,
    organization_id: str,
    *,
    invoice_id: str,
    kind: str,
    lines: Sequence[Line],
    quote_id: str | None,
    actor: str,
    at: datetime,
) -> Invoice:
    """Store an invoice under the next number. The organization must be locked: numbers have no gaps."""
    number, currency = tx.execute(_NEXT_NUMBER, {"in_organization": organization_id}).one()
    total = sum(line.amount_minor for line in lines)
    invoice = Invoice(invoice_id, number, kind, at, tuple(lines), total, currency, quote_id, actor)
    row = {**_plain(invoice), "organization_id": organization_id, "lines": _text_of(invoice.lines)}
    tx.execute(insert(invoices), row)
    return invoice


def invoice(tx: Transaction, organization_id: str, invoice_id: str) -> Invoice:
    """Raises NotFound."""
    found = tx.execute(_GET_INVOICE, {"organization_id": organization_id, "id": invoice_id}).mappings()
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"There is no invoice {invoice_id[:100]}.")
    return _invoice_of(row)


def invoices_after(tx: Transaction, organization_id: str, *, after: int, limit: int) -> list[Invoice]:
    """Return up to ``limit`` invoices behind a number, oldest first."""
    parameters = {"organization_id": organization_id, "after": after, "limit": limit}
    return [_invoice_of(row) for row in tx.execute(_INVOICES_AFTER, parameters).mappings()]


def invoices_of_kind(tx: Transaction, organization_id: str, kind: str, since: datetime) -> list[Invoice]:
    """Return the invoices of a kind from an instant on."""
    parameters = {"organization_id": organization_id, "kind": kind, "since": since}
    return [_invoice_of(row) for row in tx.execute(_OF_KIND_SINCE, parameters).mappings()]


def schedule(tx: Transaction, organization_id: str, reduction: ScheduledReduction) -> None:
    """Store a reduction that waits for the end of the period."""
    row = {**_plain(reduction), "effective_on": reduction.effective_on.isoformat()}
    tx.execute(insert(scheduled_reductions), {**row, "organization_id": organization_id})


def scheduled(tx: Transaction, organization_id: str) -> list[ScheduledReduction]:
    """Return the reductions that wait, in the order in which they were asked for."""
    rows = tx.execute(_SCHEDULED, {"organization_id": organization_id}).mappings()
    return [
        ScheduledReduction(**_own(row, effective_on=date.fromisoformat(row["effective_on"]))) for row in rows
    ]


def scheduled_by_tier(tx: Transaction, organization_id: str) -> dict[str, int]:
    """Return how many seats of each tier fall away at the end of the period."""
    rows = tx.execute(_SCHEDULED_BY_TIER, {"organization_id": organization_id})
    return {tier: int(quantity) for tier, quantity in rows}


def unschedule(tx: Transaction, organization_id: str, reduction_id: str) -> None:
    tx.execute(_UNSCHEDULE, {"organization_id": organization_id, "id": reduction_id})


def unschedule_all(tx: Transaction, organization_id: str) -> None:
    tx.execute(_UNSCHEDULE_ALL, {"organization_id": organization_id})


def _invoice_of(row: RowMapping) -> Invoice:
    return Invoice(**_own(row, lines=_lines_of(row["lines"])))


def _plain(record: Any) -> dict[str, Any]:
    """Return the fields of a record without going into them."""
    return {name: getattr(record, name) for name in record.__slots__}


def _own(row: Mapping[Any, Any], **decoded: Any) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name != "organization_id"}, **decoded}


def _text_of(lines: Sequence[Line]) -> str:
    return orjson.dumps([asdict(line) for line in lines]).decode()


def _lines_of(text: str) -> tuple[Line, ...]:
    return tuple(Line(**{**line, "kind": LineKind(line["kind"])}) for line in orjson.loads(text))

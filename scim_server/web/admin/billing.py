"""Buying and reducing seats in two steps, and the invoices."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from scim_server.operations import invoices, purchases
from scim_server.operations.listing import Listing
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import (
    Flag,
    Instant,
    LineSchema,
    PageSchema,
    QuoteSchema,
    day,
    page_of,
)
from scim_server.web.authentication import needs
from scim_server.web.http import look, no_content, perform
from seat_policy import Action

billing = AdminBlueprint("billing", __name__, description="Quotes, purchases, reductions, invoices")


_PLAN_REFUSES = ("reduction_not_allowed", "seats_in_use", "below_minimum", "above_maximum")


class WantedSchema(Schema):
    """So many seats more of a tier; a negative quantity is a reduction."""

    tier = fields.String(required=True)
    quantity = fields.Integer(required=True, strict=True, validate=validate.Range(-1_000_000, 1_000_000))


class AskQuoteSchema(Schema):
    lines = fields.List(
        fields.Nested(WantedSchema), required=True, validate=validate.Length(1, purchases.MAX_LINES)
    )


class ConfirmSchema(Schema):
    """``accept`` must be true: nothing is bought without an explicit yes."""

    accept = Flag(load_default=False)


class InvoiceSchema(Schema):
    """What was charged. ``kind``: purchase, automatic or renewal."""

    id = fields.String(required=True)
    number = fields.Integer(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(invoices.KINDS))
    issued_at = Instant(required=True)
    lines = fields.List(fields.Nested(LineSchema), required=True)
    total_minor = fields.Integer(required=True)
    currency = fields.String(required=True)
    quote_id = fields.String(required=True, allow_none=True)
    actor = fields.String(required=True)


class ScheduledSchema(Schema):
    """A reduction that waits for the end of the period."""

    id = fields.String(required=True)
    tier = fields.String(required=True)
    quantity = fields.Integer(required=True)
    effective_on = day()
    actor = fields.String(required=True)
    created_at = Instant(required=True)


class ScheduledListSchema(Schema):
    items = fields.List(fields.Nested(ScheduledSchema), required=True)


@billing.call("POST", "/seats/quotes")
@needs(Action.BILLING)
@billing.idempotent
@billing.body(AskQuoteSchema)
@billing.answer(QuoteSchema, 201)
@billing.conflicts(*_PLAN_REFUSES)
def quote_seats(headers: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Say what a purchase or a reduction would cost, and what it does to the next bill; nothing is bought"""
    return perform(purchases.quote, body["lines"], **headers)


@billing.call("POST", "/seats/quotes/<quote_id>/confirm")
@needs(Action.BILLING)
@billing.idempotent
@billing.body(ConfirmSchema)
@billing.answer(InvoiceSchema, 201)
@billing.conflicts("quote_stale", *_PLAN_REFUSES)
def confirm_quote(headers: dict[str, Any], body: dict[str, Any], quote_id: str) -> dict[str, Any]:
    """Buy what was quoted; the queue is served at once. The header Idempotency-Key is required"""
    return perform(purchases.confirm, quote_id, **body, **headers)


@billing.call("GET", "/seats/scheduled")
@needs(Action.BILLING)
@billing.answer(ScheduledListSchema)
def list_scheduled() -> dict[str, Any]:
    """List reductions that wait for the end of the period"""
    return look(purchases.scheduled)


@billing.call("DELETE", "/seats/scheduled/<reduction_id>")
@needs(Action.BILLING)
@billing.answer(None, 204)
def delete_scheduled(reduction_id: str) -> Any:
    """Take a scheduled reduction back"""
    perform(purchases.cancel_scheduled, reduction_id)
    return no_content()


# -- invoices


class NextInvoiceSchema(Schema):
    """What the next period or renewal will cost as things stand."""

    date = day()
    issued_at = Instant(required=True)
    period_start = day()
    period_end = day()
    lines = fields.List(fields.Nested(LineSchema), required=True)
    total_minor = fields.Integer(required=True)
    currency = fields.String(required=True)


@billing.call("GET", "/invoices")
@needs(Action.BILLING)
@billing.query(PageSchema)
@billing.answer(page_of(InvoiceSchema))
def list_invoices(query: dict[str, Any]) -> Listing:
    """List what was charged, oldest first"""
    return look(invoices.search, query["page"])


@billing.call("GET", "/invoices/next")
@needs(Action.BILLING)
@billing.answer(NextInvoiceSchema)
def get_next_invoice() -> dict[str, Any]:
    """Say what the next period or renewal will cost, line by line"""
    return look(invoices.following)


@billing.call("GET", "/invoices/<invoice_id>")
@needs(Action.BILLING)
@billing.answer(InvoiceSchema)
def get_invoice(invoice_id: str) -> dict[str, Any]:
    """Look at an invoice"""
    return look(invoices.get, invoice_id)

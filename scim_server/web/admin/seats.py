"""Seats: how many there are, who waits, what happened; swaps, and what waits for an owner."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from scim_server.operations import held, seat_rules
from scim_server.operations import seats as operations
from scim_server.operations.listing import Listing
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import (
    Changes,
    DryRunSchema,
    Instant,
    MemberSeatSchema,
    PageSchema,
    choice,
    page_of,
)
from scim_server.web.authentication import needs
from scim_server.web.http import look, perform
from seat_policy import Action, Source

seats = AdminBlueprint("seats", __name__, description="Seats, the queue for them, their history")


class PoolSchema(Schema):
    """All seats of a tier."""

    tier = fields.String(required=True)
    rank = fields.Integer(required=True)
    allocated = fields.Integer(required=True)
    used = fields.Integer(required=True)
    free = fields.Integer(required=True)
    reserved = fields.Integer(
        required=True, metadata={"description": "Of the free ones, kept for an administrator's next action."}
    )
    waiting = fields.Integer(required=True)


class OverviewSchema(Schema):
    version = fields.Integer(required=True)
    waiting_for_any = fields.Integer(required=True)
    tiers = fields.List(fields.Nested(PoolSchema), required=True)


class WaitingSchema(Schema):
    """A place in the queue."""

    position = fields.Integer(required=True)
    member_id = fields.String(required=True)
    user_name = fields.String(required=True)
    holds = fields.String(required=True)
    desired_tier = fields.String(required=True)
    source = choice(Source, required=True)
    waiting_since = Instant(required=True)


class SeatEventSchema(Schema):
    """One change of one member's seat."""

    id = fields.String(required=True)
    at = Instant(required=True)
    member_id = fields.String(required=True)
    from_tier = fields.String(required=True)
    to_tier = fields.String(required=True)
    desired_tier = fields.String(required=True, allow_none=True)
    source = choice(Source, required=True)
    cause = fields.String(required=True)
    rule = fields.String(required=True)
    actor = fields.String(required=True)
    request_id = fields.String(required=True)


class HistoryQuerySchema(PageSchema):
    member_id = fields.String(load_default=None)


@seats.call("GET", "/seats")
@seats.answer(OverviewSchema)
def get_seats() -> dict[str, Any]:
    """Look at each tier's seats, highest rank first"""
    return look(operations.overview)


@seats.call("GET", "/seats/waiting")
@seats.query(PageSchema)
@seats.answer(page_of(WaitingSchema))
def list_waiting(query: dict[str, Any]) -> Listing:
    """List who waits, in the order in which they are served"""
    return look(operations.waiting, query["page"])


@seats.call("GET", "/seats/events")
@seats.query(HistoryQuerySchema)
@seats.answer(page_of(SeatEventSchema))
def list_seat_events(query: dict[str, Any]) -> Listing:
    """List what happened to seats, oldest first"""
    return look(operations.history, query["page"], query["member_id"])


class SwapSchema(Schema):
    """The ids of two members."""

    a = fields.String(required=True)
    b = fields.String(required=True)


class SwappedSchema(Schema):
    a = fields.Nested(MemberSeatSchema, required=True)
    b = fields.Nested(MemberSeatSchema, required=True)


@seats.call("POST", "/seats/swap")
@needs(Action.REASSIGN)
@seats.body(SwapSchema)
@seats.answer(SwappedSchema)
@seats.conflicts("nothing_to_swap", "managed_by_mapping")
def swap_seats(body: dict[str, Any]) -> dict[str, Any]:
    """Exchange the tiers of two members at once; no free seat is needed"""
    return perform(seat_rules.swap, body["a"], body["b"])


class ReprocessedSchema(Schema):
    dry_run = fields.Boolean(required=True)
    changes = Changes(required=True)


@seats.call("POST", "/seats/reprocess")
@needs(Action.CONFIGURE)
@seats.query(DryRunSchema)
@seats.answer(ReprocessedSchema)
def reprocess_seats(query: dict[str, Any]) -> dict[str, Any]:
    """Evaluate everybody who has no override anew"""
    return perform(operations.reprocess, **query)


class HeldSchema(Schema):
    """An event whose seat part waits for an owner, and what it would change."""

    id = fields.String(required=True)
    cause = fields.String(required=True)
    at = Instant(required=True)
    actor = fields.String(required=True)
    request_id = fields.String(required=True)
    seats_taken = fields.Integer(required=True)
    changes = Changes(required=True)


class DecidedSchema(HeldSchema):
    decision = fields.String(required=True, validate=validate.OneOf(("confirmed", "rejected")))


@seats.call("GET", "/seats/held")
@seats.query(PageSchema)
@seats.answer(page_of(HeldSchema))
def list_held(query: dict[str, Any]) -> Listing:
    """List events that would take many seats and wait for an owner"""
    return look(held.search, query["page"])


@seats.call("POST", "/seats/held/<held_id>/confirm")
@needs(Action.CONFIGURE)
@seats.answer(DecidedSchema)
def confirm_held(held_id: str) -> dict[str, Any]:
    """Carry the seat part of a held event out"""
    return perform(held.confirm, held_id)


@seats.call("POST", "/seats/held/<held_id>/reject")
@needs(Action.CONFIGURE)
@seats.answer(DecidedSchema)
def reject_held(held_id: str) -> dict[str, Any]:
    """Let everybody whom a held event concerns keep what they hold"""
    return perform(held.reject, held_id)

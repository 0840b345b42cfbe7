"""Seats: how many there are, who waits, what happened."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from scim_server.operations import seats as operations
from scim_server.operations.listing import Listing
from scim_server.web.admin.blueprint import AdminBlueprint
from scim_server.web.admin.schemas import Instant, PageSchema, page_of
from scim_server.web.http import look

seats = AdminBlueprint("seats", __name__, description="Seats, the queue for them, their history")


class PoolSchema(Schema):
    """All seats of a tier."""

    tier = fields.String(required=True)
    rank = fields.Integer(required=True)
    allocated = fields.Integer(required=True)
    used = fields.Integer(required=True)
    free = fields.Integer(required=True)
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
    source = fields.String(required=True)
    waiting_since = Instant(required=True)


class SeatEventSchema(Schema):
    """One change of one member's seat."""

    id = fields.String(required=True)
    at = Instant(required=True)
    member_id = fields.String(required=True)
    from_tier = fields.String(required=True)
    to_tier = fields.String(required=True)
    desired_tier = fields.String(required=True, allow_none=True)
    source = fields.String(required=True)
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

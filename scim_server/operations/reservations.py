"""Reservations: free seats that are kept for an administrator's next action (seat rule B6, ``reserve_seconds``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from scim_server.call import Call
from scim_server.events import SeatReserved
from scim_server.operations import seats
from scim_server.operations.seats import Situation
from scim_server.scim.values import format_date_time
from scim_server.store import event_log, organizations
from scim_server.store import seats as store
from scim_server.store.seats import Reservation
from scim_server.store.transaction import Transaction
from seat_policy import Member


def reserve(
    tx: Transaction, call: Call, situation: Situation, member: Member, seconds: int
) -> tuple[Situation, SeatReserved]:
    """Keep the seat that a member is about to give up for the next action of this administrator."""
    tier = str(member.seat.tier)
    until = call.at + timedelta(seconds=seconds)
    kept = [*situation.rules.reservations, Reservation(tier, call.actor, until)]
    organizations.note_due(tx, call.organization_id, until)
    reserved = SeatReserved(member.id, tier, format_date_time(until))
    return _keeping(tx, call, situation, kept), reserved


def use_own(tx: Transaction, call: Call, situation: Situation) -> Situation:
    """Free the seats that were kept for this action of this administrator, and those kept too long."""
    before = situation.rules.reservations
    kept = [one for one in before if one.actor != call.actor and one.until > call.at]
    return situation if len(kept) == len(before) else _keeping(tx, call, situation, kept)


def expire(tx: Transaction, call: Call) -> None:
    """Give the seats to the queue that were kept for an action which did not come."""
    situation = seats.lock(tx, call)
    kept = [one for one in situation.rules.reservations if one.until > call.at]
    if len(kept) == len(situation.rules.reservations):
        return
    situation = _keeping(tx, call, situation, kept)
    event_log.append(tx, call, seats.serve(tx, call, situation, "reservation_expired"))


def _keeping(tx: Transaction, call: Call, situation: Situation, kept: Sequence[Reservation]) -> Situation:
    before = situation.rules.reservations
    for tier in sorted({one.tier for one in (*before, *kept)}):
        now = [one for one in kept if one.tier == tier]
        if now != [one for one in before if one.tier == tier]:
            store.reserve(tx, call.organization_id, tier, now)
    return replace(situation, rules=replace(situation.rules, reservations=tuple(kept)))

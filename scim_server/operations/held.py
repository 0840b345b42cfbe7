"""Held events: the removal guard's, until an owner confirms or rejects them (setting ``removal_guard``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scim_server.call import Call
from scim_server.events import Event, HeldSeatsDecided
from scim_server.operations import seats
from scim_server.operations.listing import Listing, Page, listing
from scim_server.operations.seats import Situation
from scim_server.store import event_log
from scim_server.store import held as store
from scim_server.store import seats as seat_store
from scim_server.store.held import HeldEvent
from scim_server.store.transaction import Transaction
from seat_policy import ANY, Member, claim_of

Settle = Callable[[Transaction, Call, Situation, list[Member], str], list[Event]]


def search(tx: Transaction, call: Call, page: Page) -> Listing:
    """Return a page of the held events, oldest first."""
    found = store.held_after(tx, call.organization_id, after=page.after(), limit=page.limit + 1)
    return listing([_shown(held) for held in found], page)


def confirm(tx: Transaction, call: Call, held_id: str) -> dict[str, Any]:
    """Carry the seat part of a held event out, as the rules and the groups are now. Raises NotFound."""
    return _decide(tx, call, held_id, "confirmed", _evaluate)


def reject(tx: Transaction, call: Call, held_id: str) -> dict[str, Any]:
    """Let everybody whom a held event concerns keep what they hold. Raises NotFound.

    Whose mapping is gone keeps the seat by default; the next event that concerns a member is
    judged by the rules again.
    """
    return _decide(tx, call, held_id, "rejected", _keep)


def _decide(tx: Transaction, call: Call, held_id: str, decision: str, settle: Settle) -> dict[str, Any]:
    situation = seats.lock(tx, call)
    held = store.take(tx, call.organization_id, held_id)
    members = seat_store.members(
        tx, call.organization_id, held.member_ids, with_mappings=situation.maps_groups
    )
    happened = settle(tx, call, situation, members, held.cause)
    event_log.append(tx, call, [HeldSeatsDecided(held.id, held.cause, decision), *happened])
    return {**_shown(held), "decision": decision}


def _evaluate(
    tx: Transaction, call: Call, situation: Situation, members: list[Member], cause: str
) -> list[Event]:
    return seats.settle(tx, call, situation, members, cause, is_guarded=False)


def _keep(
    tx: Transaction, call: Call, situation: Situation, members: list[Member], cause: str
) -> list[Event]:
    """Evaluate only those who have no mapping any more, and let them keep their seat by default."""
    keeping = seats.keeping_seats(situation)
    unmapped = [
        member
        for member in members
        if claim_of(member, keeping.settings, situation.rules.pools).desired == ANY
    ]
    return seats.settle(tx, call, keeping, unmapped, cause, is_guarded=False)


def _shown(held: HeldEvent) -> dict[str, Any]:
    return {
        "id": held.id,
        "cause": held.cause,
        "at": held.at,
        "actor": held.actor,
        "request_id": held.request_id,
        "seats_taken": held.seats_taken,
        "changes": held.changes,
    }

"""The audit trail: who did what, when, through which door, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim_server import events
from scim_server.call import Call
from scim_server.operations.listing import Listing, Page, listing
from scim_server.store import event_log
from scim_server.store.transaction import Transaction


def _kinds(*of: type[events.Event]) -> frozenset[str]:
    return frozenset(event_log.kind_of(event) for event in of)


def search(tx: Transaction, call: Call, page: Page, *, kind: str | None, subject_id: str | None) -> Listing:
    """Return a page of everything that happened in the organization, oldest first."""
    logged = event_log.read(
        tx,
        call.organization_id,
        after=page.after(),
        limit=page.limit + 1,
        kind=kind,
        subject_id=subject_id,
    )
    return listing([_shown(event) for event in logged], page)


_CAME = _kinds(
    events.UserCreated,
    events.GroupCreated,
    events.InvitationSent,
    events.ReductionScheduled,
    events.OrganizationCreated,
    events.TokenCreated,
    events.TokenRotated,
    events.SchemaDeclared,
)
_WENT = _kinds(
    events.UserDeleted,
    events.GroupDeleted,
    events.InvitationEnded,
    events.ReductionCancelled,
    events.TokenRevoked,
    events.TokenRotated,
)
_SEAT_CHANGED = event_log.kind_of(events.SeatChanged)


def _shown(event: event_log.LoggedEvent) -> dict[str, Any]:
    """``before`` and ``after`` stand beside the rest of what an event says."""
    before, after = _before_and_after(event.kind, event.data)
    data = {name: value for name, value in event.data.items() if name not in ("before", "after")}
    return {
        "id": event.id,
        "at": event.at,
        "kind": event.kind,
        "subject_id": event.subject_id,
        "actor": event.actor,
        "channel": event.channel,
        "request_id": event.request_id,
        "before": before,
        "after": after,
        "data": data,
    }


def _before_and_after(kind: str, data: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what was and what is: nothing was before what came, nothing is after what went."""
    if kind == _SEAT_CHANGED:
        after = {"tier": data["to_tier"], "source": data["source"], "desired_tier": data["desired_tier"]}
        return {"tier": data["from_tier"]}, after
    if kind in _CAME or kind in _WENT:
        return (data if kind in _WENT else None), (data if kind in _CAME else None)
    return data.get("before"), data.get("after")

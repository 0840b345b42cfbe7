"""The audit trail: who did what, when, through which door, before and after."""

from __future__ import annotations

from typing import Any

from scim_server.call import Call
from scim_server.operations.listing import Listing, Page, listing
from scim_server.store import event_log
from scim_server.store.transaction import Transaction


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


def _shown(event: event_log.LoggedEvent) -> dict[str, Any]:
    """``before`` and ``after`` stand beside the rest of what an event says, where it says them."""
    data = dict(event.data)
    return {
        "id": event.id,
        "at": event.at,
        "kind": event.kind,
        "subject_id": event.subject_id,
        "actor": event.actor,
        "channel": event.channel,
        "request_id": event.request_id,
        "before": data.pop("before", None),
        "after": data.pop("after", None),
        "data": data,
    }

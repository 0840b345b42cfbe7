"""Members: the people of an organization as its administrators see them."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection

from scim_server.call import Call
from scim_server.operations.listing import Listing, Page, listing
from scim_server.store import members as store
from scim_server.store import users
from scim_server.store.seats import status_of
from scim_server.store.users import GroupReference, UserRecord
from seat_policy import UNASSIGNED


def search(
    tx: Connection,
    call: Call,
    page: Page,
    *,
    tier: str | None,
    source: str | None,
    status: str | None,
    q: str | None,
    group_id: str | None,
) -> Listing:
    """Return a page of members, those who joined first at the head."""
    records = store.find(
        tx,
        call.organization_id,
        after=page.after(),
        limit=page.limit + 1,
        tier=tier,
        source=source,
        status=status,
        q=q,
        group_id=group_id,
    )
    groups = users.groups_of(tx, call.organization_id, [record.id for record in records])
    return listing([described(record, groups.get(record.id, [])) for record in records], page)


def get(tx: Connection, call: Call, member_id: str) -> dict[str, Any]:
    """Return one member. Raises NotFound."""
    record = users.get(tx, call.organization_id, member_id)
    groups = users.groups_of(tx, call.organization_id, [member_id]).get(member_id, [])
    return described(record, groups)


def described(record: UserRecord, groups: list[GroupReference]) -> dict[str, Any]:
    """Return a member as the Admin API shows them."""
    document = orjson.loads(record.document)
    return {
        "id": record.id,
        "user_name": document["userName"],
        "external_id": document.get("externalId"),
        "display_name": document.get("displayName"),
        "status": status_of(active=record.active, invited=record.invited).value,
        "role": record.role,
        "seat": seat_of_record(record),
        "groups": [{"id": group.id, "display_name": group.display} for group in groups],
        "created_at": record.created_at,
    }


def seat_of_record(record: UserRecord) -> dict[str, Any]:
    """Return what a member holds and waits for."""
    return {
        "tier": record.tier or UNASSIGNED,
        "source": record.source,
        "status": record.seat_status,
        "desired_tier": record.desired,
        "waiting_since": record.waiting_since,
        "can_use": record.active and not record.invited and record.tier is not None,
    }

"""Events whose seat part waits for an owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping, bindparam, delete, insert, select

from scim_server.errors import NotFound
from scim_server.store.prepared import Prepared
from scim_server.store.tables import held_events
from scim_server.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event that would take ``seats_taken`` seats; ``changes`` is its preview as it was when it happened."""

    id: str
    cause: str
    member_ids: list[str]
    changes: list[dict[str, Any]]
    seats_taken: int
    at: datetime
    actor: str
    request_id: str


_of_organization = held_events.c.organization_id == bindparam("organization_id")
_this = _of_organization & (held_events.c.id == bindparam("id"))
_AFTER = Prepared(
    select(held_events)
    .where(_of_organization, held_events.c.id > bindparam("after"))
    .order_by(held_events.c.id)
    .limit(bindparam("limit"))
)
_GET = Prepared(select(held_events).where(_this))
_DELETE = Prepared(delete(held_events).where(_this))


def insert_held(tx: Transaction, organization_id: str, held: HeldEvent) -> None:
    row = {name: getattr(held, name) for name in HeldEvent.__slots__}
    for name in ("member_ids", "changes"):
        row[name] = orjson.dumps(row[name]).decode()
    tx.execute(insert(held_events), {**row, "organization_id": organization_id})


def held_after(tx: Transaction, organization_id: str, *, after: str, limit: int) -> Sequence[HeldEvent]:
    """Return up to ``limit`` held events behind an id, oldest first."""
    parameters = {"organization_id": organization_id, "after": after, "limit": limit}
    return [_held_of(row) for row in tx.execute(_AFTER, parameters).mappings()]


def take(tx: Transaction, organization_id: str, held_id: str) -> HeldEvent:
    """Return a held event and forget it. Raises NotFound."""
    parameters = {"organization_id": organization_id, "id": held_id}
    row = tx.execute(_GET, parameters).mappings().one_or_none()
    if row is None or tx.execute(_DELETE, parameters).rowcount == 0:
        raise NotFound(f"No event {held_id[:100]} is held.")
    return _held_of(row)


def _held_of(row: RowMapping) -> HeldEvent:
    values = {name: row[name] for name in HeldEvent.__slots__}
    for name in ("member_ids", "changes"):
        values[name] = orjson.loads(values[name])
    return HeldEvent(**values)

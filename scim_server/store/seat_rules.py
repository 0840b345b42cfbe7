"""Mappings from groups to tiers, and administrators' overrides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from scim_server.store.prepared import Prepared
from scim_server.store.tables import Instant, assignments, group_mappings, groups
from scim_server.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Override:
    """What an administrator decided for a member, who and why; ``expires_at`` None: for good."""

    tier: str
    by: str
    at: datetime
    reason: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredMapping:
    """A group's mapping to a tier (and a role), with the group's name for people."""

    group_id: str
    display_name: str
    tier: str
    priority: int | None
    role: str | None


_select_mappings = select(
    group_mappings.c.group_id,
    groups.c.display_name,
    group_mappings.c.tier,
    group_mappings.c.priority,
    group_mappings.c.role,
).join(
    groups,
    (groups.c.organization_id == group_mappings.c.organization_id)
    & (groups.c.id == group_mappings.c.group_id),
)
_of_organization = group_mappings.c.organization_id == bindparam("organization_id")
_this = _of_organization & (group_mappings.c.group_id == bindparam("of_group"))
_MAPPINGS_AFTER = Prepared(
    _select_mappings.where(_of_organization, group_mappings.c.group_id > bindparam("after"))
    .order_by(group_mappings.c.group_id)
    .limit(bindparam("limit"))
)
_GET_MAPPING = Prepared(_select_mappings.where(_this))
_INSERT_MAPPING = Prepared(insert(group_mappings))
_UPDATE_MAPPING = Prepared(
    update(group_mappings).where(
        group_mappings.c.organization_id == bindparam("in_organization"),
        group_mappings.c.group_id == bindparam("of_group"),
    )
)
_DELETE_MAPPING = Prepared(delete(group_mappings).where(_this))

_this_seat = (assignments.c.organization_id == bindparam("in_organization")) & (
    assignments.c.member_id == bindparam("of_member")
)
_GET_OVERRIDE = Prepared(
    select(
        assignments.c.override_tier,
        assignments.c.override_by,
        assignments.c.override_at,
        assignments.c.override_reason,
        assignments.c.override_expires_at,
    ).where(_this_seat)
)
_has_expiry = (assignments.c.organization_id == bindparam("organization_id")) & (
    assignments.c.override_expires_at.is_not(None)
)
_EXPIRED_OVERRIDES = Prepared(
    select(assignments.c.member_id)
    .where(_has_expiry, assignments.c.override_expires_at <= bindparam("at", type_=Instant()))
    .order_by(assignments.c.override_expires_at)
    .limit(bindparam("limit"))
)
_NEXT_EXPIRY = Prepared(
    select(assignments.c.override_expires_at)
    .where(_has_expiry)
    .order_by(assignments.c.override_expires_at)
    .limit(1)
)
_SET_OVERRIDE = Prepared(update(assignments).where(_this_seat).values(version=assignments.c.version + 1))


def mappings(tx: Transaction, organization_id: str, *, after: str, limit: int) -> Sequence[StoredMapping]:
    """Return up to ``limit`` mappings behind the group id ``after``."""
    parameters = {"organization_id": organization_id, "after": after, "limit": limit}
    return [StoredMapping(*row) for row in tx.execute(_MAPPINGS_AFTER, parameters)]


def mapping(tx: Transaction, organization_id: str, group_id: str) -> StoredMapping | None:
    row = tx.execute(_GET_MAPPING, {"organization_id": organization_id, "of_group": group_id}).one_or_none()
    return None if row is None else StoredMapping(*row)


def set_mapping(
    tx: Transaction,
    organization_id: str,
    group_id: str,
    *,
    tier: str,
    priority: int | None,
    role: str | None,
    at: datetime,
) -> None:
    """Store a group's mapping, in the place of the one that it had."""
    values = {"tier": tier, "priority": priority, "role": role, "changed_at": at}
    key = {"in_organization": organization_id, "of_group": group_id}
    if tx.execute(_UPDATE_MAPPING, {**key, **values}).rowcount == 0:
        tx.execute(_INSERT_MAPPING, {"organization_id": organization_id, "group_id": group_id, **values})


def delete_mapping(tx: Transaction, organization_id: str, group_id: str) -> None:
    tx.execute(_DELETE_MAPPING, {"organization_id": organization_id, "of_group": group_id})


def override_of(tx: Transaction, organization_id: str, member_id: str) -> Override | None:
    return ask_for_override(tx, organization_id, member_id)()


def ask_for_override(tx: Transaction, organization_id: str, member_id: str) -> Callable[[], Override | None]:
    """Do as ``override_of``, but wait for the answer only where it is called."""
    asked = tx.execute(_GET_OVERRIDE, {"in_organization": organization_id, "of_member": member_id})

    def answer() -> Override | None:
        row = asked.one_or_none()
        return None if row is None or row.override_tier is None else Override(*row)

    return answer


def set_override(tx: Transaction, organization_id: str, member_id: str, override: Override | None) -> None:
    """Store what an administrator decided; None clears it."""
    tx.execute(
        _SET_OVERRIDE,
        {"in_organization": organization_id, "of_member": member_id, **_override_columns(override)},
    )


def expired_overrides(tx: Transaction, organization_id: str, at: datetime, limit: int) -> list[str]:
    """Return the ids of members whose override has expired."""
    parameters = {"organization_id": organization_id, "at": at, "limit": limit}
    return list(tx.execute(_EXPIRED_OVERRIDES, parameters).scalars())


def next_override_expiry(tx: Transaction, organization_id: str) -> datetime | None:
    """Return when the next override expires."""
    found: datetime | None = tx.execute(
        _NEXT_EXPIRY, {"organization_id": organization_id}
    ).scalar_one_or_none()
    return found


def _override_columns(override: Override | None) -> Mapping[str, Any]:
    return {
        "override_tier": override and override.tier,
        "override_by": override and override.by,
        "override_at": override and override.at,
        "override_reason": override and override.reason,
        "override_expires_at": override and override.expires_at,
    }

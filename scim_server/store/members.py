"""Members as an administrator looks for them: people with their role, status and seat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, or_, select

from scim_server.scim.values import fold
from scim_server.store.tables import assignments, memberships, users
from scim_server.store.text_functions import contains_text
from scim_server.store.transaction import Transaction
from scim_server.store.users import SELECT_USERS, UserRecord, is_behind

# As members are shown: ``unmapped_policy: remove`` suspends too, and releases the seat.
_suspended = ~users.c.active | (assignments.c.status == "released")
_STATUS = {
    "active": ~_suspended & ~users.c.invited,
    "invited": ~_suspended & users.c.invited,
    "suspended": _suspended,
}


def find(
    tx: Transaction,
    organization_id: str,
    *,
    after: str,
    limit: int,
    tier: str | None = None,
    source: str | None = None,
    status: str | None = None,
    q: str | None = None,
    group_id: str | None = None,
) -> Sequence[UserRecord]:
    """Return members behind the id ``after``, oldest first; ``q`` is a part of userName or displayName.

    ``tier`` "unassigned" finds who holds nothing; ``status`` is that of the member or that of the seat.
    """
    where: list[ColumnElement[bool]] = [users.c.organization_id == organization_id, is_behind(after)]
    if tier is not None:
        where.append(assignments.c.tier.is_(None) if tier == "unassigned" else assignments.c.tier == tier)
    if source is not None:
        where.append(assignments.c.source == source)
    if status is not None:
        where.append(_STATUS.get(status, assignments.c.status == status))
    if q is not None:
        part: ColumnElement[str] = bindparam("q", fold(q))
        where.append(
            or_(
                contains_text(users.c.user_name_key, part),
                contains_text(func.coalesce(users.c.display_name_key, ""), part),
            )
        )
    if group_id is not None:
        where.append(users.c.id.in_(_members_of(organization_id, group_id)))
    statement = SELECT_USERS.where(*where).order_by(users.c.id).limit(limit)
    return [UserRecord(*row) for row in tx.execute(statement)]


def _members_of(organization_id: str, group_id: str) -> Any:
    return select(memberships.c.member_id).where(
        memberships.c.organization_id == organization_id, memberships.c.group_id == group_id
    )

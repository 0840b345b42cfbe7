"""Users: rows in, records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from scim_server.errors import NotFound, NotUnique
from scim_server.scim.attributes import ResourceType
from scim_server.scim.values import Json, fold
from scim_server.store import attribute_values, indexing
from scim_server.store.arrays import among
from scim_server.store.integrity import broken_constraint
from scim_server.store.tables import assignments, groups, memberships, users


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A stored user with their seat. ``document`` is canonical JSON text without derived attributes.

    ``version`` is that of the document plus that of the seat, so that it changes with either.
    """

    id: str
    document: str
    active: bool
    invited: bool
    role: str
    created_at: datetime
    modified_at: datetime
    version: int
    tier: str | None
    source: str
    seat_status: str
    desired: str | None
    waiting_since: datetime | None

    def as_json(self) -> Json:
        """Return the document, decoded."""
        document: Json = orjson.loads(self.document)
        return document


@dataclass(frozen=True, slots=True)
class GroupReference:
    """A group that a user is a direct member of."""

    id: str
    display: str


_user = (
    users.c.id,
    users.c.document,
    users.c.active,
    users.c.invited,
    users.c.role,
    users.c.created_at,
    users.c.modified_at,
    (users.c.version + assignments.c.version).label("version"),
    assignments.c.tier,
    assignments.c.source,
    assignments.c.status.label("seat_status"),
    assignments.c.desired,
    assignments.c.waiting_since,
)
users_with_seats = users.join(
    assignments,
    (assignments.c.organization_id == users.c.organization_id) & (assignments.c.member_id == users.c.id),
)
SELECT_USERS = select(*_user).select_from(users_with_seats)

_of_organization = users.c.organization_id == bindparam("organization_id")
_this = _of_organization & (users.c.id == bindparam("id"))
_GET = SELECT_USERS.where(_this)
_GET_BY_NAME = SELECT_USERS.where(_of_organization, users.c.user_name_key == bindparam("user_name_key"))
_GET_INACTIVE_BY_EXTERNAL_ID = (
    SELECT_USERS.where(
        _of_organization, users.c.external_id == bindparam("external_id"), users.c.active.is_(False)
    )
    .order_by(users.c.id)
    .limit(1)
)
_LOCK = select(users.c.id).where(_this).with_for_update(key_share=True)
_LOCK_TO_DELETE = select(users.c.id).where(_this).with_for_update()
_INSERT = insert(users)
_REPLACE = (
    update(users)
    .where(users.c.organization_id == bindparam("in_organization"), users.c.id == bindparam("user_id"))
    .values(version=users.c.version + 1)
)
_SET_PASSWORD = (
    update(users)
    .where(users.c.organization_id == bindparam("in_organization"), users.c.id == bindparam("user_id"))
    .values(password_hash=bindparam("hash"))
)
_DELETE = delete(users).where(_this)
_DELETE_SEAT = delete(assignments).where(
    assignments.c.organization_id == bindparam("organization_id"), assignments.c.member_id == bindparam("id")
)
_GROUPS_OF = (
    select(memberships.c.member_id, groups.c.id, groups.c.display_name)
    .select_from(
        memberships.join(
            groups,
            (groups.c.organization_id == memberships.c.organization_id)
            & (groups.c.id == memberships.c.group_id),
        )
    )
    .where(
        memberships.c.organization_id == bindparam("organization_id"), among(memberships.c.member_id, "ids")
    )
    .order_by(memberships.c.member_id, groups.c.id)
)
_TOUCH_SEATS = (
    update(assignments)
    .where(
        assignments.c.organization_id == bindparam("in_organization"), among(assignments.c.member_id, "ids")
    )
    .values(version=assignments.c.version + 1)
)


def insert_user(
    tx: Connection,
    organization_id: str,
    user_id: str,
    resource_type: ResourceType,
    document: Json,
    *,
    password_hash: str | None,
    role: str,
    invited: bool,
    joined_by: str,
    at: datetime,
) -> None:
    """Store a user. Raises NotUnique where the userName is taken in this organization (any letter case)."""
    row = {
        "organization_id": organization_id,
        "id": user_id,
        "role": role,
        "invited": invited,
        "joined_by": joined_by,
        "password_hash": password_hash,
        "version": 1,
        "created_at": at,
        **_columns(resource_type, document, at),
    }
    _write(tx, _INSERT, row, document)
    attribute_values.insert_rows(tx, organization_id, user_id, indexing.value_rows(resource_type, document))


def replace_document(
    tx: Connection,
    organization_id: str,
    user_id: str,
    resource_type: ResourceType,
    before: Json,
    document: Json,
    *,
    at: datetime,
) -> None:
    """Put a document in the place of another and count its version up. Raises NotUnique."""
    row = {"in_organization": organization_id, "user_id": user_id, **_columns(resource_type, document, at)}
    _write(tx, _REPLACE, row, document)
    attribute_values.replace_rows(
        tx,
        organization_id,
        user_id,
        before=indexing.value_rows(resource_type, before),
        after=indexing.value_rows(resource_type, document),
    )


def set_password(tx: Connection, organization_id: str, user_id: str, password_hash: str) -> None:
    """Keep the hash of a new password."""
    tx.execute(_SET_PASSWORD, {"in_organization": organization_id, "user_id": user_id, "hash": password_hash})


def get(tx: Connection, organization_id: str, user_id: str) -> UserRecord:
    """Raises NotFound, also for a user of another organization."""
    row = tx.execute(_GET, {"organization_id": organization_id, "id": user_id}).mappings().one_or_none()
    if row is None:
        raise not_found(user_id)
    return record_of(row)


def find_by_name(tx: Connection, organization_id: str, user_name: str) -> UserRecord | None:
    """Return the user of this name in any letter case."""
    found = tx.execute(_GET_BY_NAME, {"organization_id": organization_id, "user_name_key": fold(user_name)})
    row = found.mappings().one_or_none()
    return None if row is None else record_of(row)


def find_inactive_by_external_id(tx: Connection, organization_id: str, external_id: str) -> UserRecord | None:
    """Return the oldest inactive user of this externalId."""
    parameters = {"organization_id": organization_id, "external_id": external_id}
    row = tx.execute(_GET_INACTIVE_BY_EXTERNAL_ID, parameters).mappings().one_or_none()
    return None if row is None else record_of(row)


def lock(tx: Connection, organization_id: str, user_id: str, *, to_delete: bool = False) -> UserRecord:
    """Hold the user's row until the transaction ends, then read it. Raises NotFound."""
    statement = _LOCK_TO_DELETE if to_delete else _LOCK
    if tx.dialect.name != "sqlite":  # which has one writer anyway
        tx.execute(statement, {"organization_id": organization_id, "id": user_id})
    return get(tx, organization_id, user_id)


def delete_user(tx: Connection, organization_id: str, user_id: str) -> None:
    """Remove the user, their values and their seat; memberships are the caller's to remove first."""
    parameters = {"organization_id": organization_id, "id": user_id}
    attribute_values.delete_rows(tx, organization_id, user_id)
    tx.execute(_DELETE_SEAT, parameters)
    tx.execute(_DELETE, parameters)


def groups_of(
    tx: Connection, organization_id: str, user_ids: Sequence[str]
) -> Mapping[str, list[GroupReference]]:
    """Return the direct groups of each of some users; who has none is absent."""
    found: dict[str, list[GroupReference]] = {}
    for member_id, group_id, display in tx.execute(
        _GROUPS_OF, {"organization_id": organization_id, "ids": user_ids}
    ):
        found.setdefault(member_id, []).append(GroupReference(group_id, display))
    return found


def touch(tx: Connection, organization_id: str, user_ids: Sequence[str]) -> None:
    """Count up the versions of users whose derived attributes (``groups``) changed."""
    if user_ids:
        tx.execute(_TOUCH_SEATS, {"in_organization": organization_id, "ids": sorted(user_ids)})


def record_of(row: RowMapping) -> UserRecord:
    return UserRecord(**row)


def not_found(user_id: str) -> NotFound:
    return NotFound(f"There is no user {user_id[:100]}.")


def _columns(resource_type: ResourceType, document: Json, at: datetime) -> dict[str, Any]:
    attribute = resource_type.by_key
    external_id = document.get("externalId")
    display_name = document.get("displayName")
    return {
        "user_name_key": indexing.key_of(attribute["username"], document["userName"]),
        "external_id": external_id and indexing.key_of(attribute["externalid"], external_id),
        "display_name_key": display_name and fold(display_name),
        "active": document.get("active", False),
        "document": orjson.dumps(document).decode(),
        "search": orjson.dumps(indexing.search_document(resource_type, document)).decode(),
        "modified_at": at,
    }


def _write(tx: Connection, statement: Any, row: Mapping[str, Any], document: Json) -> None:
    try:
        tx.execute(statement, row)
    except IntegrityError as error:
        if broken_constraint(error) == "uq_users_user_name":
            raise NotUnique(f"A user with the userName {document['userName']} already exists.") from error
        raise

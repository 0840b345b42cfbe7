"""Users: rows in, records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    insert,
    null,
    select,
    type_coerce,
    update,
)

from scim_server.errors import NotFound, NotUnique
from scim_server.scim.attributes import ResourceType
from scim_server.scim.values import Json, differing, fold
from scim_server.store import attribute_values, indexing
from scim_server.store.arrays import among, in_chunks, pairs_text
from scim_server.store.prepared import Prepared
from scim_server.store.tables import Instant, assignments, groups, memberships, microseconds_of, users
from scim_server.store.transaction import Transaction
from seat_policy import Seat, seat_status


class UserRecord(NamedTuple):
    """A stored user with their seat. ``document`` is canonical JSON text without derived attributes.

    ``version`` is that of the document plus that of the seat, so that it changes with either.
    """

    id: str
    document: str
    active: bool
    invited: bool
    invitation_expires_at: datetime | None
    role: str
    own_role: str
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


class ShownUser(NamedTuple):
    """What a client is shown of a user, as the database has it: instants are microseconds since 1970.

    ``groups`` is JSON text, the pairs of id and display name of their direct groups, in any order.
    """

    id: str
    document: str
    created_at: int
    modified_at: int
    version: int
    active: bool
    invited: bool
    tier: str | None
    source: str
    seat_status: str
    desired: str | None
    waiting_since: int | None
    groups: str | None
    role: str
    """Which is not shown, and decides whether the user may be suspended."""

    def as_json(self) -> Json:
        """Return the document, decoded."""
        document: Json = orjson.loads(self.document)
        return document


@dataclass(frozen=True, slots=True)
class Form:
    """A document in the form in which it is stored: the columns that follow from it, and a row for each of its values.

    It depends on nothing else, so it is made before anybody waits for the transaction that stores it.
    """

    document: Json
    columns: Mapping[str, Any]
    values: Sequence[attribute_values.Row]


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to store; ``invited_until`` where they have to accept an invitation first."""

    id: str
    form: Form
    role: str
    joined_by: str
    password_hash: str | None = None
    invited_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupReference:
    """A group that a user is a direct member of."""

    id: str
    display: str


# In the order of UserRecord's fields.
_user = (
    users.c.id,
    users.c.document,
    users.c.active,
    users.c.invited,
    users.c.invitation_expires_at,
    users.c.role,
    users.c.own_role,
    users.c.created_at,
    users.c.modified_at,
    (users.c.version + assignments.c.version).label("version"),
    assignments.c.tier,
    assignments.c.source,
    assignments.c.status.label("seat_status"),
    assignments.c.desired,
    assignments.c.waiting_since,
)
# Everybody has a seat row. That it is joined from the left keeps PostgreSQL from reading the seats of all the
# organization before it looks who is asked for; where a filter asks about seats, it knows that it may.
users_with_seats = users.outerjoin(
    assignments,
    (assignments.c.organization_id == users.c.organization_id) & (assignments.c.member_id == users.c.id),
)
SELECT_USERS = select(*_user).select_from(users_with_seats)
_memberships_with_groups = memberships.join(
    groups,
    (groups.c.organization_id == memberships.c.organization_id) & (groups.c.id == memberships.c.group_id),
)
_groups_of_one = (
    select(pairs_text(groups.c.id, groups.c.display_name))
    .select_from(_memberships_with_groups)
    .where(
        memberships.c.organization_id == bindparam("organization_id"), memberships.c.member_id == users.c.id
    )
    .scalar_subquery()
)


def select_shown_users(*, with_groups: bool) -> Select[Any]:
    """Return the statement of ShownUser's fields, in their order; nothing is made of what the database says."""
    return select(
        users.c.id,
        users.c.document,
        _as_it_is(users.c.created_at),
        _as_it_is(users.c.modified_at),
        (users.c.version + assignments.c.version).label("version"),
        _as_it_is(users.c.active),
        _as_it_is(users.c.invited),
        assignments.c.tier,
        assignments.c.source,
        assignments.c.status.label("seat_status"),
        assignments.c.desired,
        _as_it_is(assignments.c.waiting_since),
        (_groups_of_one if with_groups else null()).label("groups"),
        users.c.role,
    ).select_from(users_with_seats)


def _as_it_is(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return type_coerce(column, BigInteger).label(column.key)


def is_behind(user_id: Any) -> ColumnElement[bool]:
    """Return the condition that a user comes after the one with an id, for lists that may be found by their seats.

    It is said of the seat too, or PostgreSQL would read the seats of all who come before.
    """
    return and_(users.c.id > user_id, assignments.c.member_id > user_id)


_of_organization = users.c.organization_id == bindparam("organization_id")
_this = _of_organization & (users.c.id == bindparam("id"))
_GET = Prepared(SELECT_USERS.where(_this), UserRecord)
_GET_BY_NAME = Prepared(
    SELECT_USERS.where(_of_organization, users.c.user_name_key == bindparam("user_name_key")), UserRecord
)
_GET_INACTIVE_BY_EXTERNAL_ID = Prepared(
    SELECT_USERS.where(
        _of_organization, users.c.external_id == bindparam("external_id"), users.c.active.is_(False)
    )
    .order_by(users.c.id)
    .limit(1),
    UserRecord,
)
_GET_BY_EXTERNAL_ID = Prepared(
    SELECT_USERS.where(_of_organization, users.c.external_id == bindparam("external_id"))
    .order_by(users.c.id)
    .limit(1),
    UserRecord,
)
_LOCK = Prepared(select(users.c.id).where(_this).with_for_update(key_share=True))
_LOCK_ALL = Prepared(
    select(users.c.id)
    .where(_of_organization, among(users.c.id, "ids"))
    .order_by(users.c.id)
    .with_for_update(key_share=True)
)
_LOCK_TO_DELETE = Prepared(select(users.c.id).where(_this).with_for_update())
_INSERT = Prepared(insert(users))
_this_user = (users.c.organization_id == bindparam("in_organization")) & (users.c.id == bindparam("user_id"))
_REPLACE = Prepared(update(users).where(_this_user).values(version=users.c.version + 1))
_SET_PASSWORD = Prepared(update(users).where(_this_user).values(password_hash=bindparam("hash")))
_SET_OWN_ROLE = Prepared(
    update(users).where(_this_user).values(own_role=bindparam("given"), role=bindparam("counts"))
)
_SET_ROLES = Prepared(
    update(users)
    .where(users.c.organization_id == bindparam("in_organization"), among(users.c.id, "ids"))
    .values(role=bindparam("counts"))
)
_ACCEPT = Prepared(
    update(users)
    .where(_this_user)
    .values(invited=False, invitation_expires_at=None, version=users.c.version + 1)
)
_has_invitation = _of_organization & users.c.invitation_expires_at.is_not(None)
_EXPIRED_INVITATIONS = Prepared(
    select(users.c.id)
    .where(_has_invitation, users.c.invitation_expires_at <= bindparam("at", type_=Instant()))
    .order_by(users.c.invitation_expires_at)
    .limit(bindparam("limit"))
)
_NEXT_EXPIRY = Prepared(
    select(users.c.invitation_expires_at)
    .where(_has_invitation)
    .order_by(users.c.invitation_expires_at)
    .limit(1)
)
_DELETE = Prepared(delete(users).where(_this))
_DELETE_SEAT = Prepared(
    delete(assignments).where(
        assignments.c.organization_id == bindparam("organization_id"),
        assignments.c.member_id == bindparam("id"),
    )
)
_GROUPS_OF = Prepared(
    select(memberships.c.member_id, groups.c.id, groups.c.display_name)
    .select_from(_memberships_with_groups)
    .where(
        memberships.c.organization_id == bindparam("organization_id"), among(memberships.c.member_id, "ids")
    )
    .order_by(memberships.c.member_id, groups.c.id)
)
_GET_SHOWN = Prepared(select_shown_users(with_groups=True).where(_this), ShownUser)
_LOCK_SEATS = Prepared(
    select(assignments.c.member_id)
    .where(
        assignments.c.organization_id == bindparam("organization_id"), among(assignments.c.member_id, "ids")
    )
    .order_by(assignments.c.member_id)
    .with_for_update(key_share=True)
)
_TOUCH_SEATS = Prepared(
    update(assignments)
    .where(
        assignments.c.organization_id == bindparam("in_organization"), among(assignments.c.member_id, "ids")
    )
    .values(version=assignments.c.version + 1)
)


def form_of(resource_type: ResourceType, document: Json) -> Form:
    """Return the form in which a valid document is stored. Raises InvalidValue for a value too long to be found."""
    return Form(document, _columns(resource_type, document), indexing.value_rows(resource_type, document))


def insert_users(tx: Transaction, organization_id: str, newcomers: Sequence[NewUser], at: datetime) -> None:
    """Store users. Raises NotUnique where a userName is taken in this organization (any letter case)."""
    rows = [
        {
            "organization_id": organization_id,
            "id": user.id,
            "role": user.role,
            "own_role": user.role,
            "invited": user.invited_until is not None,
            "invitation_expires_at": user.invited_until,
            "joined_by": user.joined_by,
            "password_hash": user.password_hash,
            "version": 1,
            "created_at": at,
            "modified_at": at,
            **user.form.columns,
        }
        for user in newcomers
    ]
    _write(tx, _INSERT, rows, ", ".join(user.form.document["userName"] for user in newcomers[:2]))
    attribute_values.insert_rows(tx, organization_id, {user.id: user.form.values for user in newcomers})


def replace_document(
    tx: Transaction,
    organization_id: str,
    user_id: str,
    resource_type: ResourceType,
    before: Json,
    document: Json,
    *,
    at: datetime,
) -> str:
    """Put a document in the place of another, count its version up, and return the stored text.

    Columns that stay as they are are left alone: SQLite would write their indexes anew. Raises NotUnique.
    """
    had, has = differing(before, document)
    columns = _columns(resource_type, document)
    changed = had.keys() | has.keys()
    row = {
        "in_organization": organization_id,
        "user_id": user_id,
        "modified_at": at,
        **{
            name: value
            for name, value in columns.items()
            if name not in _FOLLOWS_FROM or not _FOLLOWS_FROM[name].isdisjoint(changed)
        },
    }
    _write(tx, _REPLACE, row, document["userName"])
    attribute_values.replace_rows(
        tx,
        organization_id,
        user_id,
        before=indexing.value_rows(resource_type, had),
        after=indexing.value_rows(resource_type, has),
    )
    return str(columns["document"])


def set_password(tx: Transaction, organization_id: str, user_id: str, password_hash: str) -> None:
    """Keep the hash of a new password."""
    tx.execute(_SET_PASSWORD, {"in_organization": organization_id, "user_id": user_id, "hash": password_hash})


def set_own_role(tx: Transaction, organization_id: str, user_id: str, own_role: str, role: str) -> None:
    """Store the role that was given by hand, and the one that counts now."""
    key = {"in_organization": organization_id, "user_id": user_id}
    tx.execute(_SET_OWN_ROLE, {**key, "given": own_role, "counts": role})


def set_roles(tx: Transaction, organization_id: str, roles: Mapping[str, str]) -> None:
    """Store the roles that count now, by user id."""
    ids_by_role: dict[str, list[str]] = {}
    for user_id in sorted(roles):
        ids_by_role.setdefault(roles[user_id], []).append(user_id)
    for role, ids in ids_by_role.items():
        for chunk in in_chunks(ids):
            tx.execute(_SET_ROLES, {"in_organization": organization_id, "ids": chunk, "counts": role})


def accept_invitation(tx: Transaction, organization_id: str, user_id: str) -> None:
    """Make an invited user an active one; the version counts up, for the person can use the seat now."""
    tx.execute(_ACCEPT, {"in_organization": organization_id, "user_id": user_id})


def expired_invitations(tx: Transaction, organization_id: str, at: datetime, limit: int) -> list[str]:
    """Return the ids of those whose invitation has expired."""
    parameters = {"organization_id": organization_id, "at": at, "limit": limit}
    return list(tx.execute(_EXPIRED_INVITATIONS, parameters).scalars())


def next_invitation_expiry(tx: Transaction, organization_id: str) -> datetime | None:
    """Return when the next invitation expires."""
    found: datetime | None = tx.execute(
        _NEXT_EXPIRY, {"organization_id": organization_id}
    ).scalar_one_or_none()
    return found


def with_role(tx: Transaction, organization_id: str, roles: Sequence[str]) -> list[UserRecord]:
    """Return the users who have one of some roles other than ``user``, whatever their status."""
    statement = SELECT_USERS.where(
        users.c.organization_id == organization_id, users.c.role != "user", users.c.role.in_(roles)
    ).order_by(users.c.id)
    return [UserRecord(*row) for row in tx.execute(statement)]


def get(tx: Transaction, organization_id: str, user_id: str) -> UserRecord:
    """Raises NotFound, also for a user of another organization."""
    found: UserRecord | None = tx.execute(
        _GET, {"organization_id": organization_id, "id": user_id}
    ).one_or_none()
    if found is None:
        raise not_found(user_id)
    return found


def get_shown(tx: Transaction, organization_id: str, user_id: str) -> ShownUser:
    """Return a user as they are shown, with their groups, in one look. Raises NotFound."""
    found: ShownUser | None = tx.execute(
        _GET_SHOWN, {"organization_id": organization_id, "id": user_id}
    ).one_or_none()
    if found is None:
        raise not_found(user_id)
    return found


def as_shown(record: UserRecord) -> ShownUser:
    """Return what ``get_shown`` would of a user who has just been created, and is in no group."""
    return ShownUser(
        id=record.id,
        document=record.document,
        created_at=microseconds_of(record.created_at),
        modified_at=microseconds_of(record.modified_at),
        version=record.version,
        active=record.active,
        invited=record.invited,
        tier=record.tier,
        source=record.source,
        seat_status=record.seat_status,
        desired=record.desired,
        waiting_since=None if record.waiting_since is None else microseconds_of(record.waiting_since),
        groups=None,
        role=record.role,
    )


def with_seat(user: ShownUser, seat: Seat) -> ShownUser:
    """Return a user as shown once a new seat has been stored for them, which counts the version up."""
    return user._replace(
        version=user.version + 1,
        tier=seat.tier,
        source=seat.source.value,
        seat_status=seat_status(seat).value,
        desired=seat.desired,
        waiting_since=None if seat.waiting_since is None else microseconds_of(seat.waiting_since),
    )


def find_by_name(tx: Transaction, organization_id: str, user_name: str) -> UserRecord | None:
    """Return the user of this name in any letter case."""
    parameters = {"organization_id": organization_id, "user_name_key": fold(user_name)}
    found: UserRecord | None = tx.execute(_GET_BY_NAME, parameters).one_or_none()
    return found


def find_inactive_by_external_id(
    tx: Transaction, organization_id: str, external_id: str
) -> UserRecord | None:
    """Return the oldest inactive user of this externalId."""
    parameters = {"organization_id": organization_id, "external_id": external_id}
    found: UserRecord | None = tx.execute(_GET_INACTIVE_BY_EXTERNAL_ID, parameters).one_or_none()
    return found


def find_by_external_id(tx: Transaction, organization_id: str, external_id: str) -> UserRecord | None:
    """Return the oldest user of this externalId."""
    parameters = {"organization_id": organization_id, "external_id": external_id}
    found: UserRecord | None = tx.execute(_GET_BY_EXTERNAL_ID, parameters).one_or_none()
    return found


def lock(tx: Transaction, organization_id: str, user_id: str, *, to_delete: bool = False) -> UserRecord:
    """Hold the user's row until the transaction ends, then read it. Raises NotFound."""
    _hold(tx, _LOCK_TO_DELETE if to_delete else _LOCK, organization_id, user_id)
    return get(tx, organization_id, user_id)


def lock_shown(tx: Transaction, organization_id: str, user_id: str) -> ShownUser:
    """Hold the user's row until the transaction ends, then read what is shown of them. Raises NotFound."""
    _hold(tx, _LOCK, organization_id, user_id)
    return get_shown(tx, organization_id, user_id)


def _hold(tx: Transaction, statement: Prepared, organization_id: str, user_id: str) -> None:
    if tx.dialect.name != "sqlite":  # which has one writer anyway
        tx.execute(statement, {"organization_id": organization_id, "id": user_id})


def lock_all(tx: Transaction, organization_id: str, user_ids: Sequence[str]) -> None:
    """Hold the rows of several users, always in the same order."""
    if tx.dialect.name != "sqlite":
        tx.execute(_LOCK_ALL, {"organization_id": organization_id, "ids": sorted(set(user_ids))})


def delete_user(tx: Transaction, organization_id: str, user_id: str) -> None:
    """Remove the user, their values and their seat; memberships are the caller's to remove first."""
    parameters = {"organization_id": organization_id, "id": user_id}
    attribute_values.delete_rows(tx, organization_id, user_id)
    tx.execute(_DELETE_SEAT, parameters)
    tx.execute(_DELETE, parameters)


def groups_of(
    tx: Transaction, organization_id: str, user_ids: Sequence[str]
) -> Mapping[str, list[GroupReference]]:
    """Return the direct groups of each of some users; who has none is absent."""
    found: dict[str, list[GroupReference]] = {}
    for member_id, group_id, display in tx.execute(
        _GROUPS_OF, {"organization_id": organization_id, "ids": user_ids}
    ):
        found.setdefault(member_id, []).append(GroupReference(group_id, display))
    return found


def touch(tx: Transaction, organization_id: str, user_ids: Sequence[str]) -> None:
    """Count up the versions of users whose derived attributes (``groups``) changed.

    Their rows are the last that a transaction takes, in the order of their ids: whoever has some of
    them waits for nothing else.
    """
    for ids in in_chunks(sorted(user_ids)):
        if len(ids) > 1:
            lock_seats(tx, organization_id, ids)
        tx.execute(_TOUCH_SEATS, {"in_organization": organization_id, "ids": ids})


def lock_seats(tx: Transaction, organization_id: str, user_ids: Sequence[str]) -> None:
    """Hold the seats of some users, in the order of their ids."""
    if tx.dialect.name != "sqlite":  # which has one writer anyway
        tx.execute(_LOCK_SEATS, {"organization_id": organization_id, "ids": user_ids})


def not_found(user_id: str) -> NotFound:
    return NotFound(f"There is no user {user_id[:100]}.")


# The attributes that a column follows from; one that is not named follows from all of them.
_FOLLOWS_FROM: Mapping[str, frozenset[str]] = {
    "user_name_key": frozenset({"userName"}),
    "external_id": frozenset({"externalId"}),
    "display_name_key": frozenset({"displayName"}),
    "active": frozenset({"active"}),
    "named_tier": frozenset({"entitlements", "roles"}),
}


def _columns(resource_type: ResourceType, document: Json) -> dict[str, Any]:
    attribute = resource_type.by_key
    external_id = document.get("externalId")
    display_name = document.get("displayName")
    return {
        "user_name_key": indexing.key_of(attribute["username"], document["userName"]),
        "external_id": external_id and indexing.key_of(attribute["externalid"], external_id),
        "display_name_key": display_name and fold(display_name),
        "active": document.get("active", False),
        "named_tier": indexing.named_tier(document),
        "document": indexing.text_of(document),
        "search": orjson.dumps(indexing.search_document(resource_type, document)).decode(),
    }


def _write(tx: Transaction, statement: Prepared, rows: Any, user_name: str) -> None:
    taken = NotUnique(f"A user with the userName {user_name} already exists.")
    tx.refuse_with(taken, "uq_users_user_name")
    tx.execute(statement, rows)

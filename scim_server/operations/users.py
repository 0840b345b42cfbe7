"""Users: create, replace, patch, delete (RFC 7644 §3.3, §3.5, §3.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scim_server.call import Call
from scim_server.errors import NotFound
from scim_server.events import Event, UserChanged, UserCreated, UserDeleted
from scim_server.ids import new_id
from scim_server.operations import representation, roles, seats
from scim_server.operations.passwords import hash_of
from scim_server.operations.representation import Rendered
from scim_server.operations.seats import OneByOne
from scim_server.scim import patch as patching
from scim_server.scim import projection, validation
from scim_server.scim.conditions import Preconditions, require
from scim_server.scim.dialects import Deviation, PostExisting
from scim_server.scim.projection import Projection
from scim_server.scim.values import Json, differing
from scim_server.store import event_log, groups, organizations
from scim_server.store import users as store
from scim_server.store.groups import Held
from scim_server.store.indexing import named_tier
from scim_server.store.seats import status_of
from scim_server.store.tables import microseconds_of
from scim_server.store.transaction import Transaction
from scim_server.store.users import Form, NewUser, ShownUser, UserRecord
from seat_policy import NO_SEAT, Member, Role, Seat, Source, seat_status


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody to create: a valid document, with a password where there is one, and what of it is stored."""

    document: Json
    form: Form


def document_of(call: Call, body: Json) -> Newcomer:
    """Return the user that a body asks to create. Raises InvalidSyntax, InvalidValue."""
    return newcomer_of(call, validation.for_creation(call.user_type, body, call.client, call.note))


def newcomer_of(call: Call, document: Json) -> Newcomer:
    """Return the user that a valid document says."""
    shown = {name: value for name, value in document.items() if name != "password"}
    return Newcomer(document, store.form_of(call.user_type, shown))


def create(tx: Transaction, call: Call, newcomer: Newcomer, wanted: Projection | None) -> Rendered:
    """Create a user and give them the seat that the policy says (RFC 7644 §3.3).

    Raises NotUnique where the userName is taken, SeatLimitReached under ``exhausted_policy: reject``.
    """
    if call.client.post_existing is PostExisting.RESTORE_INACTIVE:
        restored = _restored(tx, call, newcomer.document, wanted)
        if restored is not None:
            return restored
    record = add(tx, call, newcomer, joined_by=Source.DEFAULT)
    return _shown(call, store.as_shown(record), projection.after_write(wanted, {}, newcomer.document))


def create_together(tx: Transaction, call: Call, newcomers: Sequence[Newcomer]) -> list[Rendered]:
    """Create several users as if one after the other, at a part of the cost.

    Raises what one of them would have been refused with, and OneByOne where each has to be created for itself.
    """
    alone = call.client.post_existing is PostExisting.RESTORE_INACTIVE
    if alone or any(one.form.columns["named_tier"] or "password" in one.document for one in newcomers):
        raise OneByOne
    records = add_all(tx, call, newcomers, joined_by=Source.DEFAULT)
    return [representation.rendered(call, call.user_type, record, None) for record in records]


def add(
    tx: Transaction,
    call: Call,
    newcomer: Newcomer,
    *,
    joined_by: Source,
    group_ids: Sequence[str] = (),
    cause: str = "user_created",
) -> UserRecord:
    """Store a new user, a member of some groups, with a seat."""
    [record] = add_all(tx, call, [newcomer], joined_by=joined_by, group_ids=group_ids, cause=cause)
    return record


def add_all(
    tx: Transaction,
    call: Call,
    newcomers: Sequence[Newcomer],
    *,
    joined_by: Source,
    group_ids: Sequence[str] = (),
    cause: str = "user_created",
) -> list[UserRecord]:
    """Store new users, members of some groups, with seats."""
    groups.lock_groups(tx, call.organization_id, group_ids)
    added = [_new_user(call, newcomer, joined_by) for newcomer in newcomers]
    ids = [user.id for user in added]
    store.insert_users(tx, call.organization_id, added, call.at)
    for group_id in group_ids:
        groups.add_members(tx, call.organization_id, group_id, dict.fromkeys(ids, "User"))
    groups.touch(tx, call.organization_id, group_ids, call.at)
    members = [_as_member(call, user) for user in added]
    given, seated = seats.seat_new_members(tx, call, members, cause, are_in_groups=bool(group_ids))
    organizations.count_users(tx, call.organization_id, len(added))
    created = [UserCreated(user.id, user.form.document["userName"]) for user in added]
    event_log.append(tx, call, [*created, *seated])
    if group_ids:  # which may have given a role too
        return [store.get(tx, call.organization_id, user_id) for user_id in ids]
    return [_record(call, user, given[user.id]) for user in added]


def _new_user(call: Call, newcomer: Newcomer, joined_by: Source) -> NewUser:
    password_hash = hash_of(call, newcomer.document.get("password"))
    return NewUser(new_id(), newcomer.form, Role.USER.value, joined_by.value, password_hash)


def _as_member(call: Call, user: NewUser) -> Member:
    return Member(
        user.id,
        call.at,
        status_of(active=user.form.columns["active"], invited=False),
        Role.USER,
        NO_SEAT,
        override=None,
        mappings=(),
        named_tier=user.form.columns["named_tier"],
        joined_by=Source(user.joined_by),
    )


def _record(call: Call, user: NewUser, seat: Seat) -> UserRecord:
    """Return a new user as reading them back would."""
    return UserRecord(
        id=user.id,
        document=user.form.columns["document"],
        active=user.form.columns["active"],
        invited=False,
        invitation_expires_at=None,
        role=user.role,
        own_role=user.role,
        created_at=call.at,
        modified_at=call.at,
        version=1,
        tier=seat.tier,
        source=seat.source.value,
        seat_status=seat_status(seat).value,
        desired=seat.desired,
        waiting_since=seat.waiting_since,
    )


def replace(
    tx: Transaction,
    call: Call,
    user_id: str,
    body: Json,
    preconditions: Preconditions | None,
    wanted: Projection | None,
) -> Rendered:
    """Put a whole user in the place of the stored one (RFC 7644 §3.5.1)."""
    record = store.lock_shown(tx, call.organization_id, user_id)
    require(preconditions, record.version)
    before = record.as_json()
    after = validation.for_replacement(call.user_type, body, before, call.client, call.note)
    return _change(tx, call, record, before, after, projection.after_write(wanted, {}, after))


def patch(
    tx: Transaction,
    call: Call,
    user_id: str,
    body: Json,
    preconditions: Preconditions | None,
    wanted: Projection | None,
) -> Rendered:
    """Apply the operations of a PatchOp, all or none (RFC 7644 §3.5.2)."""
    record = store.lock_shown(tx, call.organization_id, user_id)
    require(preconditions, record.version)
    before = record.as_json()
    patched = patching.apply(call.user_type, before, body, call.client, call.note, identifier=user_id)
    after = patched.document
    return _change(tx, call, record, before, after, projection.after_write(wanted, before, after))


def delete(tx: Transaction, call: Call, user_id: str, preconditions: Preconditions | None) -> None:
    """Remove a user, their memberships and their override; the seat goes to the queue (RFC 7644 §3.6)."""
    held = groups.lock_groups_of(tx, call.organization_id, user_id)
    record = store.lock(tx, call.organization_id, user_id, to_delete=True)
    require(preconditions, record.version)
    roles.refuse_to_lose(tx, call, record)
    removed = UserDeleted(user_id, record.as_json()["userName"])
    event_log.append(tx, call, [removed, *remove(tx, call, user_id, held, "user_deleted")])


def remove(tx: Transaction, call: Call, user_id: str, held: Held, cause: str) -> list[Event]:
    """Take a user, who is locked, out of all groups and off the seat, and forget them.

    ``held``: their groups, which are locked too. Raises LostRace where they joined another meanwhile.
    """
    left = groups.remove_from_all(tx, call.organization_id, user_id, held)
    released = seats.release(tx, call, user_id, cause)
    groups.touch(tx, call.organization_id, left(), call.at)
    store.delete_user(tx, call.organization_id, user_id)
    organizations.count_users(tx, call.organization_id, -1)
    return released


def _change(
    tx: Transaction, call: Call, record: ShownUser, before: Json, after: Json, wanted: Projection | None
) -> Rendered:
    """Store what differs; where nothing does, neither version nor time stamps move."""
    password_hash = hash_of(call, after.pop("password", None))
    if password_hash is not None:  # which nobody is ever shown, so it is no other version
        store.set_password(tx, call.organization_id, record.id, password_hash)
    if after != before:
        if is_active(before) and not is_active(after):
            roles.refuse_to_lose(tx, call, record)
        return _store_change(tx, call, record, before, after, wanted)
    return _shown(call, record, wanted)


def _store_change(
    tx: Transaction, call: Call, record: ShownUser, before: Json, after: Json, wanted: Projection | None
) -> Rendered:
    """Store a changed document, evaluate the seat where that matters, and answer."""
    text = store.replace_document(
        tx, call.organization_id, record.id, call.user_type, before, after, at=call.at
    )
    changed = _changed(call, record.id, before, after)
    cause = _what_moves_the_seat(before, after)
    seat, seated = seats.reconcile_member(tx, call, record.id, cause) if cause else (None, [])
    event_log.append(tx, call, [changed, *seated])
    now = record._replace(
        document=text,
        modified_at=microseconds_of(call.at),
        version=record.version + 1,
        active=is_active(after),
    )
    return _shown(call, now if seat is None else store.with_seat(now, seat), wanted)


def _what_moves_the_seat(before: Json, after: Json) -> str | None:
    if is_active(before) != is_active(after):
        return "user_activated" if is_active(after) else "user_deactivated"
    return "tier_named" if named_tier(before) != named_tier(after) else None


def _changed(call: Call, user_id: str, before: Json, after: Json) -> UserChanged:
    """Return the event of a changed document, with the values that differ and may be shown."""
    shown = projection.of(call.user_type, None, None)
    had, has = differing(before, after)
    return UserChanged(user_id, changed_attributes(before, after), shown.apply(had), shown.apply(has))


def is_active(document: Json) -> bool:
    """Whose ``active`` was removed is not active: nobody goes on by a misunderstanding."""
    return bool(document.get("active", False))


def changed_attributes(before: Json, after: Json) -> tuple[str, ...]:
    """Name the attributes whose values differ."""
    had, has = differing(before, after)
    return tuple(sorted(had.keys() | has.keys()))


def _restored(tx: Transaction, call: Call, document: Json, wanted: Projection | None) -> Rendered | None:
    """Bring back the inactive user whom a POST means; None where there is none, or somebody was quicker."""
    leaver = _leaver(tx, call, document)
    if leaver is None:
        return None
    try:
        record = store.lock_shown(tx, call.organization_id, leaver.id)
    except NotFound:
        return None
    if record.active:
        return None
    call.note(Deviation.RESTORE_INACTIVE)
    before = record.as_json()
    after = validation.for_replacement(call.user_type, document, before, call.client, call.note)
    return _change(tx, call, record, before, after, wanted)


def _leaver(tx: Transaction, call: Call, document: Json) -> UserRecord | None:
    """Find the inactive user whom a POST means to bring back, by userName or externalId."""
    found = store.find_by_name(tx, call.organization_id, document["userName"])
    if found is None and "externalId" in document:
        found = store.find_inactive_by_external_id(tx, call.organization_id, document["externalId"])
    return found if found is not None and not found.active else None


def _shown(call: Call, user: ShownUser, wanted: Projection | None) -> Rendered:
    body = None if wanted is None else representation.user(call, user, wanted)
    return representation.rendered(call, call.user_type, user, body)

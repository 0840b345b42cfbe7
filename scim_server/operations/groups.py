"""Groups: create, replace, patch, delete. Members are changed by difference, never read to be changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scim_server.call import Call
from scim_server.errors import InvalidValue, NotUnique
from scim_server.events import Event, GroupChanged, GroupCreated, GroupDeleted
from scim_server.ids import new_id
from scim_server.operations import representation, seats
from scim_server.operations.representation import Rendered
from scim_server.operations.users import changed_attributes
from scim_server.scim import patch as patching
from scim_server.scim import validation
from scim_server.scim.conditions import Preconditions, require
from scim_server.scim.dialects import Deviation, UnknownMember
from scim_server.scim.patch import RelationChange
from scim_server.scim.projection import Projection, after_write
from scim_server.scim.values import Json
from scim_server.store import event_log, organizations, seat_rules, users
from scim_server.store import groups as store
from scim_server.store.groups import GroupRecord, Membership
from scim_server.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Difference:
    """Who joined a group and who left it; ``skipped`` counts references to nobody."""

    joined: Sequence[str] = ()
    left: Sequence[str] = ()
    skipped: int = 0

    @property
    def touched(self) -> list[str]:
        return [*self.left, *self.joined]


def document_of(call: Call, body: Json) -> Json:
    """Return the valid document of a group to create, with its members. Raises InvalidSyntax, InvalidValue."""
    return validation.for_creation(call.group_type, body, call.client, call.note)


def create(tx: Transaction, call: Call, whole: Json, projection: Projection | None) -> Rendered:
    """Create a group with its members (RFC 7644 §3.3). Raises NotUnique where group names must be unique."""
    members = whole.get("members", [])
    document = {name: value for name, value in whole.items() if name != "members"}
    group_id = new_id()
    _refuse_namesake(tx, call, group_id, document)
    record = store.insert_group(
        tx,
        call.organization_id,
        group_id,
        call.group_type,
        document,
        unique_name=call.client.unique_group_names,
        at=call.at,
    )
    difference = _add(tx, call, group_id, [member["value"] for member in members])
    happened: list[Event] = [GroupCreated(group_id, document["displayName"])]
    if difference.joined or difference.skipped:
        happened.append(_changed(group_id, (), difference))
    event_log.append(tx, call, happened)
    organizations.count_groups(tx, call.organization_id, 1)
    users.touch(tx, call.organization_id, difference.joined)
    return _answer(tx, call, record, after_write(projection, {}, document))


def replace(
    tx: Transaction,
    call: Call,
    group_id: str,
    body: Json,
    preconditions: Preconditions | None,
    projection: Projection | None,
) -> Rendered:
    """Put a whole group in the place of the stored one; members left out are removed (RFC 7644 §3.5.1)."""
    record = store.lock(tx, call.organization_id, group_id)
    require(preconditions, record.version)
    before = record.as_json()
    after = validation.for_replacement(call.group_type, body, before, call.client, call.note)
    members = {member["value"]: member for member in after.pop("members", [])}
    change = RelationChange(cleared=True, added=members, removed=set())
    return _change(tx, call, record, before, after, change, after_write(projection, {}, after))


def patch(
    tx: Transaction,
    call: Call,
    group_id: str,
    body: Json,
    preconditions: Preconditions | None,
    projection: Projection | None,
) -> Rendered:
    """Apply the operations of a PatchOp, all or none; the cost is that of the difference (RFC 7644 §3.5.2)."""
    record = store.lock(tx, call.organization_id, group_id)
    require(preconditions, record.version)
    before = record.as_json()

    def related(added: Collection[str]) -> list[Json]:
        return _members_and(tx, call, group_id, added)

    patched = patching.apply(
        call.group_type, before, body, call.client, call.note, related, identifier=group_id
    )
    after = patched.document
    return _change(tx, call, record, before, after, patched.relation, after_write(projection, before, after))


def delete(tx: Transaction, call: Call, group_id: str, preconditions: Preconditions | None) -> None:
    """Remove a group; who held a seat because of it is evaluated anew (RFC 7644 §3.6, seat rule B6)."""
    held = store.lock_groups_of(tx, call.organization_id, group_id)
    record = store.lock(tx, call.organization_id, group_id, to_delete=True)
    require(preconditions, record.version)
    left = store.remove_all_members(tx, call.organization_id, group_id)
    above = store.remove_from_all(tx, call.organization_id, group_id, held)
    store.touch(tx, call.organization_id, above(), call.at)
    seat_rules.delete_mapping(tx, call.organization_id, group_id)
    store.delete_group(tx, call.organization_id, group_id)
    happened: list[Event] = [GroupDeleted(group_id, record.display_name, len(left))]
    if record.is_mapped:
        happened += seats.reconcile_members(tx, call, left, "group_deleted")
    event_log.append(tx, call, happened)
    organizations.count_groups(tx, call.organization_id, -1)
    users.touch(tx, call.organization_id, left)


def render(tx: Transaction, call: Call, record: GroupRecord, projection: Projection) -> Rendered:
    """Return a group as the client sees it; the members are read only where they are wanted."""
    members = store.members(tx, call.organization_id, record.id) if projection.wants("members") else []
    body = representation.group(call, record, members, projection)
    return representation.rendered(call, call.group_type, record, body)


def change_members(tx: Transaction, call: Call, group_id: str, change: RelationChange) -> Difference:
    """Bring the members of a group, whose row is locked, to what a change says."""
    if change.cleared:
        present = {member.member_id for member in store.members(tx, call.organization_id, group_id)}
        gone = present - change.added.keys()
        arriving = [member_id for member_id in change.added if member_id not in present]
    else:
        gone = change.removed - change.added.keys()
        arriving = list(change.added)
    left = store.remove_members(tx, call.organization_id, group_id, gone)
    if len(left) < len(gone):
        call.note(Deviation.REMOVE_OF_WHAT_IS_NOT_THERE)
    added = _add(tx, call, group_id, arriving)
    return Difference(added.joined, left, added.skipped)


def join(tx: Transaction, call: Call, group_id: str, change: RelationChange) -> None:
    """Change the members of a group and nothing else of it."""
    record = store.lock(tx, call.organization_id, group_id)
    before = record.as_json()
    _change(tx, call, record, before, before, change, None)


def seats_after(
    tx: Transaction, call: Call, record: GroupRecord, difference: Difference, cause: str
) -> list[Event]:
    """Evaluate those who joined or left, where the group is mapped to a tier."""
    if not (difference.touched and record.is_mapped):
        return []
    return seats.reconcile_members(tx, call, difference.touched, cause)


def _change(
    tx: Transaction,
    call: Call,
    record: GroupRecord,
    before: Json,
    after: Json,
    relation: RelationChange | None,
    projection: Projection | None,
) -> Rendered:
    """Store what differs; where nothing does, neither version nor time stamps move."""
    difference = change_members(tx, call, record.id, relation) if relation else Difference()
    if after["displayName"] != before["displayName"]:
        _refuse_namesake(tx, call, record.id, after)
    if after != before:
        record = store.replace_document(
            tx,
            call.organization_id,
            record,
            call.group_type,
            before,
            after,
            unique_name=call.client.unique_group_names,
            at=call.at,
        )
    elif difference.touched:
        store.touch(tx, call.organization_id, [record.id], call.at)
        record = record._replace(modified_at=call.at, version=record.version + 1)
    if after != before or difference.touched or difference.skipped:
        happened: list[Event] = [_changed(record.id, changed_attributes(before, after), difference)]
        happened += seats_after(tx, call, record, difference, "group_changed")
        event_log.append(tx, call, happened)
    _touch_members(tx, call, record.id, difference, renamed=after["displayName"] != before["displayName"])
    return _answer(tx, call, record, projection)


def _refuse_namesake(tx: Transaction, call: Call, group_id: str, document: Json) -> None:
    """A group that another token made may bear the name too, where that one lets names repeat."""
    name = document["displayName"]
    if call.client.unique_group_names and store.is_named(tx, call.organization_id, name, group_id):
        raise NotUnique(f"A group with the displayName {name} already exists.")


def _touch_members(
    tx: Transaction, call: Call, group_id: str, difference: Difference, *, renamed: bool
) -> None:
    """Count up the versions of the users whose ``groups`` look different now."""
    concerned = set(difference.touched)
    if renamed:
        concerned.update(member.member_id for member in store.members(tx, call.organization_id, group_id))
    users.touch(tx, call.organization_id, list(concerned))


def _add(tx: Transaction, call: Call, group_id: str, ids: Sequence[str]) -> Difference:
    if not ids:
        return Difference()
    joined = store.add_users(tx, call.organization_id, group_id, ids)
    others = set(ids).difference(joined)  # groups, members already, or nobody
    known = store.known_members(tx, call.organization_id, others)
    known.pop(group_id, None)
    unknown = [member_id for member_id in ids if member_id in others and member_id not in known]
    if unknown and call.client.unknown_member is UnknownMember.REJECT:
        raise InvalidValue(f"members: there is no user or group {unknown[0][:100]}.")
    if unknown:
        call.note(Deviation.UNKNOWN_MEMBER_SKIPPED)
    below = {member_id: kind for member_id, kind in known.items() if kind == "Group"}
    joined += store.add_members(tx, call.organization_id, group_id, below)
    return Difference(joined=joined, skipped=len(unknown))


def _members_and(tx: Transaction, call: Call, group_id: str, added: Collection[str]) -> list[Json]:
    """Return the members and those who are to be some, for a value filter: the one case in which they are read."""
    known = store.known_members(tx, call.organization_id, added) if added else {}
    members = [
        *store.members(tx, call.organization_id, group_id),
        *(Membership(member_id, kind) for member_id, kind in known.items()),
    ]
    return [representation.member_reference(call, member) for member in members]


def _changed(group_id: str, changed: tuple[str, ...], difference: Difference) -> GroupChanged:
    return GroupChanged(group_id, changed, len(difference.joined), len(difference.left), difference.skipped)


def _answer(tx: Transaction, call: Call, record: GroupRecord, projection: Projection | None) -> Rendered:
    if projection is None:
        return representation.rendered(call, call.group_type, record, None)
    return render(tx, call, record, projection)

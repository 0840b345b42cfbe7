"""Just in time: a person has signed in; are they a member, and may they in? (seat rule B6)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scim_server.call import Call
from scim_server.errors import NotUnique, SeatLimitReached
from scim_server.events import Event, GroupChanged
from scim_server.operations import members, seats, users
from scim_server.operations.seats import Situation
from scim_server.scim import validation
from scim_server.scim.dialects import unnoted
from scim_server.scim.values import Json
from scim_server.store import event_log
from scim_server.store import groups as group_store
from scim_server.store import seats as seat_store
from scim_server.store import users as store
from scim_server.store.database import LostRace
from scim_server.store.transaction import Transaction
from scim_server.store.users import UserRecord
from seat_policy import ProvisioningMode, Source, Status

_PROFILE = ("userName", "externalId", "displayName", "name", "emails")


def decide(tx: Transaction, call: Call, body: Json) -> dict[str, Any] | None:
    """Return the decision about a login that changes nothing, as most do; None where ``sign_in`` has to."""
    rules = seat_store.ask_for_rules(tx, call.organization_id)
    record = _known(tx, call, body)
    situation = seats.situation_of(rules())
    if record is None or _changes(tx, call, situation, record, body):
        return None
    return _decision(record, created=False)


def sign_in(tx: Transaction, call: Call, body: Json) -> dict[str, Any]:
    """Find or create the member, take over the groups that the login asserts, and decide.

    ``groups`` holds ids, externalIds or display names; absent says nothing of groups.
    Two first logins at once: who loses the race for the userName begins again and finds the member.
    """
    rules = seat_store.ask_for_rules(tx, call.organization_id)
    record = _known(tx, call, body)
    situation = seats.situation_of(rules())
    if record is None:
        return _first_login(tx, call, situation, body)
    if _changes(tx, call, situation, record, body):
        if body.get("groups") is not None and situation.maps_groups:
            _take_over_groups(tx, call, record.id, body["groups"])
            record = store.get(tx, call.organization_id, record.id)
        if record.invited and members.status_of_record(record) is not Status.SUSPENDED:
            members.accept(tx, call, record.id)
        record = store.get(tx, call.organization_id, record.id)
    return _decision(record, created=False)


def _changes(tx: Transaction, call: Call, situation: Situation, record: UserRecord, body: Json) -> bool:
    """Whether a login of a member says anything that is not known yet (seat rule B6)."""
    if not record.active or situation.settings.provisioning_mode is not ProvisioningMode.JIT:
        return False
    if record.invited:
        return True
    if body.get("groups") is None or not situation.maps_groups:
        return False
    present = group_store.ask_for_groups_of(tx, call.organization_id, record.id)
    asserted = set(_groups_named(tx, call, body["groups"]))
    return asserted != set(present())


def _known(tx: Transaction, call: Call, body: Json) -> UserRecord | None:
    """Find the member by userName, or by externalId where the name has changed since."""
    record = store.find_by_name(tx, call.organization_id, body["userName"])
    if record is None and body.get("externalId"):
        record = store.find_by_external_id(tx, call.organization_id, body["externalId"])
    return record


def _first_login(tx: Transaction, call: Call, situation: Situation, body: Json) -> dict[str, Any]:
    if situation.settings.provisioning_mode is not ProvisioningMode.JIT:
        return _refusal("not_provisioned")
    profile = {key: body[key] for key in _PROFILE if body.get(key) is not None}
    document = validation.for_creation(call.user_type, profile, call.client, unnoted)
    try:
        with tx.savepoint():
            record = users.add(
                tx,
                call,
                users.newcomer_of(call, document),
                joined_by=Source.JIT,
                group_ids=_groups_named(tx, call, body.get("groups") or []),
                cause="first_login",
            )
            if members.status_of_record(record) is Status.SUSPENDED:
                raise _Unmapped
    except _Unmapped:
        return _refusal("not_provisioned")
    except SeatLimitReached:
        return _refusal("no_seat")
    except NotUnique as error:
        raise LostRace from error
    return _decision(record, created=True)


class _Unmapped(Exception):
    """``unmapped_policy: remove`` and a first login without any mapped group: nothing of it is to stay."""


def _take_over_groups(tx: Transaction, call: Call, user_id: str, names: Sequence[str]) -> None:
    """Make the asserted groups the member's only ones, and evaluate them anew where that changed anything."""
    asserted = set(_groups_named(tx, call, names))
    present = set(group_store.ids_of_member(tx, call.organization_id, user_id))
    if asserted == present:
        return
    changed = sorted(asserted ^ present)
    group_store.lock_groups(tx, call.organization_id, changed)
    if not group_store.known_members(tx, call.organization_id, [user_id]):
        raise LostRace  # somebody deleted the member since they were found
    for group_id in changed:
        if group_id in asserted:
            group_store.add_members(tx, call.organization_id, group_id, {user_id: "User"})
        else:
            group_store.remove_members(tx, call.organization_id, group_id, [user_id])
    group_store.touch(tx, call.organization_id, changed, call.at)
    happened: list[Event] = [
        GroupChanged(group_id, (), joined=int(group_id in asserted), left=int(group_id not in asserted))
        for group_id in changed
    ]
    happened += seats.reconcile_members(tx, call, [user_id], "login")
    event_log.append(tx, call, happened)
    store.touch(tx, call.organization_id, [user_id])


def _groups_named(tx: Transaction, call: Call, names: Sequence[str]) -> list[str]:
    """Return the ids of the groups that a login names by id, externalId or display name; others are unknown here."""
    return group_store.find_named(tx, call.organization_id, names) if names else []


def _decision(record: UserRecord, *, created: bool) -> dict[str, Any]:
    seat = members.seat_of_record(record)
    suspended = members.status_of_record(record) is Status.SUSPENDED
    reason = "assigned" if seat["can_use"] else "suspended" if suspended else "no_seat"
    return {
        "decision": "allow" if reason == "assigned" else "deny",
        "reason": reason,
        "created": created,
        "member": {
            "id": record.id,
            "userName": record.as_json()["userName"],
            "active": record.active,
            "role": record.role,
        },
        "seat": {name: seat[name] for name in ("tier", "source", "status", "can_use")},
    }


def _refusal(reason: str) -> dict[str, Any]:
    return {"decision": "deny", "reason": reason, "created": False, "member": None, "seat": None}

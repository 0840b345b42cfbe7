"""Members: the people of an organization as its administrators see them; invitations and roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson

from scim_server.call import Call
from scim_server.errors import (
    Conflict,
    Forbidden,
    InvalidSetting,
    InvitationExpired,
    ManagedByMapping,
    NotFound,
    SeatLimitReached,
    SeatUnavailable,
)
from scim_server.events import (
    Event,
    InvitationAccepted,
    InvitationEnded,
    InvitationSent,
    OverrideSet,
    RoleChanged,
    UserDeleted,
)
from scim_server.ids import new_id
from scim_server.operations import purchases, reservations, roles, seats
from scim_server.operations import users as people
from scim_server.operations.idempotency import once
from scim_server.operations.listing import Listing, Page, listing
from scim_server.operations.seats import Situation
from scim_server.scim import validation
from scim_server.scim.dialects import unnoted
from scim_server.scim.values import Json, format_date_time
from scim_server.store import event_log, groups, organizations, seat_rules, users
from scim_server.store import members as store
from scim_server.store import seats as seat_store
from scim_server.store.database import LostRace
from scim_server.store.groups import Held
from scim_server.store.seat_rules import Override
from scim_server.store.seats import status_of
from scim_server.store.transaction import Transaction
from scim_server.store.users import GroupReference, NewUser, UserRecord
from seat_policy import (
    NO_SEAT,
    UNASSIGNED,
    ExhaustedPolicy,
    Member,
    Role,
    SeatStatus,
    Source,
    Status,
    outranks,
    role_of,
)


def search(
    tx: Transaction,
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


def get(tx: Transaction, call: Call, member_id: str) -> dict[str, Any]:
    """Return one member. Raises NotFound."""
    record = users.get(tx, call.organization_id, member_id)
    groups = users.groups_of(tx, call.organization_id, [member_id]).get(member_id, [])
    return described(record, groups)


def invite(
    tx: Transaction,
    call: Call,
    profile: Json,
    *,
    role: str,
    tier: str | None,
    purchase: bool,
    key: str | None = None,
) -> dict[str, Any]:
    """Invite somebody; the invitation holds its seat until it is accepted, revoked or expires.

    A named ``tier`` is an override; ``purchase`` buys the seat where none is free. Raises
    NotUnique, SeatUnavailable.
    """
    _refuse_role(call, role)
    request = ["invite", profile, role, tier, purchase]
    return once(
        tx, call, key, request, lambda: _invite(tx, call, dict(profile), Role(role), tier, purchase=purchase)
    )


def accept(tx: Transaction, call: Call, member_id: str) -> dict[str, Any]:
    """Make an invited person an active member; for an active one this changes nothing."""
    record = users.lock(tx, call.organization_id, member_id)
    if status_of_record(record) is Status.SUSPENDED:
        raise Conflict("The member is suspended; there is no invitation to accept.")
    if record.invited:
        if record.invitation_expires_at is not None and record.invitation_expires_at <= call.at:
            raise InvitationExpired("The invitation has expired; invite the person again.")
        users.accept_invitation(tx, call.organization_id, member_id)
        event_log.append(tx, call, [InvitationAccepted(member_id)])
    return get(tx, call, member_id)


def change_role(tx: Transaction, call: Call, member_id: str, role: str) -> dict[str, Any]:
    """Give a member a role by hand. Raises OwnerProtected, ManagedByMapping, Forbidden.

    There is one primary owner: making somebody else it makes the former one an owner, and only
    the primary owner may do that.
    """
    former = _primary_owner(tx, call)
    users.lock_all(tx, call.organization_id, [member_id, *([former.id] if former else [])])
    record = users.get(tx, call.organization_id, member_id)
    given = Role(role)
    if given is Role.PRIMARY_OWNER:
        return _make_primary_owner(tx, call, record, former)
    effective = role_of(given, _mapped_roles(tx, call, member_id))
    if outranks(Role(record.role), effective):
        roles.refuse_to_lose(tx, call, record)
    if outranks(effective, given):
        raise ManagedByMapping(f"A mapped group gives this member the role {effective}.")
    event_log.append(tx, call, _set_role(tx, call, record, given))
    return get(tx, call, member_id)


def remove(tx: Transaction, call: Call, member_id: str) -> None:
    """Remove a member, or revoke an invitation; the seat is free, and there is no credit (seat rule B6)."""
    held = groups.lock_groups_of(tx, call.organization_id, member_id)
    record = users.lock(tx, call.organization_id, member_id, to_delete=True)
    roles.refuse_to_lose(tx, call, record)
    if record.role == Role.OWNER and call.role == Role.ADMIN:
        raise Forbidden("Only an owner may remove an owner.")
    _forget(tx, call, record, held, "revoked" if record.invited else None)


def expire_invitation(tx: Transaction, call: Call, member_id: str) -> None:
    """Take an invitation back that nobody accepted in time; does nothing where it is gone or accepted."""
    held = groups.lock_groups_of(tx, call.organization_id, member_id)
    try:
        record = users.lock(tx, call.organization_id, member_id, to_delete=True)
    except NotFound:
        return
    expires_at = record.invitation_expires_at
    if record.invited and expires_at is not None and expires_at <= call.at:
        _forget(tx, call, record, held, "expired")


def described(record: UserRecord, groups: list[GroupReference]) -> dict[str, Any]:
    """Return a member as the Admin API shows them."""
    document = orjson.loads(record.document)
    return {
        "id": record.id,
        "user_name": document["userName"],
        "external_id": document.get("externalId"),
        "display_name": document.get("displayName"),
        "status": status_of_record(record).value,
        "invitation_expires_at": record.invitation_expires_at,
        "role": record.role,
        "seat": seat_of_record(record),
        "groups": [{"id": group.id, "display_name": group.display} for group in groups],
        "created_at": record.created_at,
    }


def status_of_record(record: UserRecord) -> Status:
    """Return the status of a member: suspended also by ``unmapped_policy: remove``."""
    if record.seat_status == SeatStatus.RELEASED:
        return Status.SUSPENDED
    return status_of(active=record.active, invited=record.invited)


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


# -- inviting


def _refuse_role(call: Call, role: str) -> None:
    if role == Role.PRIMARY_OWNER:
        raise InvalidSetting("Nobody is invited as primary owner; change the role once they are a member.")
    if role != Role.USER and call.role == Role.ADMIN:
        raise Forbidden("Only an owner may invite somebody with a role other than user.")


def _invite(
    tx: Transaction, call: Call, profile: Json, role: Role, tier: str | None, *, purchase: bool
) -> dict[str, Any]:
    document = validation.for_creation(call.user_type, profile, call.client, unnoted)
    user_id = new_id()
    situation = seats.situation_of(seat_store.rules(tx, call.organization_id))
    until = call.at + timedelta(days=situation.settings.invitation_days)
    form = users.form_of(call.user_type, document)
    newcomer = NewUser(user_id, form, role.value, Source.DEFAULT.value, invited_until=until)
    users.insert_users(tx, call.organization_id, [newcomer], call.at)
    organizations.note_due(tx, call.organization_id, until)
    invited = Member(
        user_id,
        call.at,
        Status.INVITED,
        role,
        NO_SEAT,
        override=tier,
        mappings=(),
        own_role=role,
    )
    sent = InvitationSent(user_id, document["userName"], role.value, tier, format_date_time(until))
    seated = _seat_invited(tx, call, invited, tier, purchase=purchase)
    organizations.count_users(tx, call.organization_id, 1)
    event_log.append(tx, call, [sent, *seated])
    return get(tx, call, user_id)


def _seat_invited(
    tx: Transaction, call: Call, invited: Member, tier: str | None, *, purchase: bool
) -> list[Event]:
    situation = reservations.use_own(tx, call, seats.lock(tx, call))
    wanted = tier or _tier_to_buy(situation, call, purchase=purchase)
    happened: list[Event] = []
    allocated: Mapping[str, int] = {}
    if wanted is not None:
        seats.check_tier(situation, wanted)
    if wanted not in (None, UNASSIGNED) and not seats.has_free_seat(situation, call, str(wanted)):
        if not purchase:
            raise SeatUnavailable(f"No {wanted} seat is free.", tier=wanted)
        bought = purchases.buy_for(tx, call, situation, None, str(wanted))
        situation, allocated, happened = bought.situation, bought.allocated, bought.happened
    invited = replace(invited, goes_first=wanted is not None)
    decision = seats.decide(tx, call, situation, [invited], allocated)
    seat = seats.seats_after(decision.outcome, [invited])[invited.id]
    if (
        situation.settings.exhausted_policy is ExhaustedPolicy.REJECT
        and seat.tier is None
        and seat.desired is not None
    ):
        raise SeatLimitReached("seat_limit_reached: no seat is left; buy one, or invite with purchase.")
    happened += seats.place_new_members(tx, call, decision, [invited], "invited")
    if tier is not None:
        override = Override(tier, call.actor, call.at, None, None)
        seat_rules.set_override(tx, call.organization_id, invited.id, override)
        happened.append(OverrideSet(invited.id, None, tier, None))
    return happened


def _tier_to_buy(situation: Situation, call: Call, *, purchase: bool) -> str | None:
    """Return the lowest tier where a purchase was asked for and no seat at all is free; None where one is."""
    pools = situation.rules.pools
    if not purchase or any(seats.has_free_seat(situation, call, pool.tier) for pool in pools):
        return None
    return min(pools, key=lambda pool: pool.rank).tier


# -- roles and removal


def _mapped_roles(tx: Transaction, call: Call, member_id: str) -> list[Role]:
    situation = seats.situation_of(seat_store.rules(tx, call.organization_id))
    if not situation.maps_groups:
        return []
    [member] = seat_store.members(tx, call.organization_id, [member_id], with_mappings=True)
    return [mapping.role for mapping in member.mappings if mapping.role is not None]


def _primary_owner(tx: Transaction, call: Call) -> UserRecord | None:
    return next(iter(users.with_role(tx, call.organization_id, [Role.PRIMARY_OWNER])), None)


def _make_primary_owner(
    tx: Transaction, call: Call, record: UserRecord, former: UserRecord | None
) -> dict[str, Any]:
    seats.lock(tx, call)  # two people are not made primary owner at the same moment
    if _primary_owner(tx, call) != former:
        raise LostRace
    if former is not None and former.id == record.id:
        return get(tx, call, record.id)
    if former is not None and call.role == Role.OWNER:
        raise Forbidden("Only the primary owner may make somebody else primary owner.")
    if status_of_record(record) is not Status.ACTIVE:
        raise Conflict("Only an active member can be primary owner.")
    happened = _set_role(tx, call, record, Role.PRIMARY_OWNER)
    if former is not None:
        happened += _set_role(tx, call, former, Role.OWNER)
    event_log.append(tx, call, happened)
    # Mappings never touch the primary owner (C2), and do touch whoever was it before.
    touched = [record.id, *([former.id] if former else [])]
    event_log.append(tx, call, seats.reconcile_members(tx, call, touched, "role_changed"))
    return get(tx, call, record.id)


def _set_role(tx: Transaction, call: Call, record: UserRecord, role: Role) -> list[Event]:
    if record.role == role and record.own_role == role:
        return []
    users.set_own_role(tx, call.organization_id, record.id, role.value, role.value)
    return [RoleChanged(record.id, record.role, role.value, "hand")]


def _forget(tx: Transaction, call: Call, record: UserRecord, held: Held, invitation: str | None) -> None:
    user_name = record.as_json()["userName"]
    gone: Event = (
        UserDeleted(record.id, user_name)
        if invitation is None
        else InvitationEnded(record.id, user_name, invitation)
    )
    cause = "member_removed" if invitation is None else f"invitation_{invitation}"
    event_log.append(tx, call, [gone, *people.remove(tx, call, record.id, held, cause)])

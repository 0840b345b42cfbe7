"""Roles: given by hand or by mapped groups, and the owners whom nobody may lose."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from scim_server.call import Call
from scim_server.errors import OwnerProtected
from scim_server.events import Event, RoleChanged
from scim_server.store import seats
from scim_server.store import users as store
from scim_server.store.transaction import Transaction
from scim_server.store.users import ShownUser, UserRecord
from seat_policy import Member, Role, SeatStatus, role_of

OWNERS = (Role.OWNER, Role.PRIMARY_OWNER)


def follow_groups(tx: Transaction, call: Call, members: Sequence[Member]) -> list[Event]:
    """Bring the roles of members in line with the mappings of their groups; the highest counts.

    The last owner stays one, whatever happens to groups.
    """
    changing = [(member, role) for member in members if (role := _mapped_role(member)) is not member.role]
    losing = {member.id for member, _ in changing if member.role is Role.OWNER}
    if losing and not there_are_others(tx, call, losing):
        changing = [(member, role) for member, role in changing if member.id not in losing]
    if changing:
        store.set_roles(tx, call.organization_id, {member.id: role.value for member, role in changing})
    return [RoleChanged(member.id, member.role.value, role.value, "mapping") for member, role in changing]


def refuse_to_lose(tx: Transaction, call: Call, record: UserRecord | ShownUser) -> None:
    """Raise OwnerProtected where a member may be neither suspended, removed nor made less: the primary
    owner, and the last owner."""
    if record.role == Role.PRIMARY_OWNER:
        raise primary_owner_protected(
            "the primary owner can be neither deactivated nor removed; make somebody else primary owner first."
        )
    if record.role != Role.OWNER:
        return
    seats.lock_rules(tx, call.organization_id)  # two last owners cannot both leave at the same moment
    if not there_are_others(tx, call, {record.id}):
        raise OwnerProtected(
            "last_owner_protected: this is the last owner of the organization; make somebody else an owner first.",
            code="last_owner_protected",
        )


def primary_owner_protected(reason: str) -> OwnerProtected:
    """Return the refusal of what only the primary owner, or an owner, may do to the primary owner."""
    return OwnerProtected(f"primary_owner_protected: {reason}", code="primary_owner_protected")


def _mapped_role(member: Member) -> Role:
    if member.role is Role.PRIMARY_OWNER:
        return member.role
    given = [mapping.role for mapping in member.mappings if mapping.role]
    return role_of(member.own_role, given) if given else member.own_role


def there_are_others(tx: Transaction, call: Call, ids: AbstractSet[str]) -> bool:
    """Whether there is an owner beside some who can sign in: active, and not suspended by ``unmapped_policy``."""
    return any(
        owner.active and not owner.invited and owner.seat_status != SeatStatus.RELEASED
        for owner in store.with_role(tx, call.organization_id, OWNERS)
        if owner.id not in ids
    )

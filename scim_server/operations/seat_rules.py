"""What administrators and owners decide about seats: overrides, and mappings from groups to tiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from scim_server.call import Call
from scim_server.errors import (
    InvalidSetting,
    NotFound,
    NothingToSwap,
    SeatUnavailable,
)
from scim_server.events import Event, MappingSet, OverrideCleared, OverrideSet
from scim_server.operations import members as people
from scim_server.operations import purchases, reservations, seats
from scim_server.operations.listing import Listing, Page, listing
from scim_server.operations.roles import primary_owner_protected
from scim_server.operations.seats import Situation
from scim_server.store import event_log, groups, users
from scim_server.store import seat_rules as store
from scim_server.store import seats as seat_store
from scim_server.store.seat_rules import Override, StoredMapping
from scim_server.store.transaction import Transaction
from seat_policy import (
    UNASSIGNED,
    Member,
    Role,
    Seat,
    SeatChange,
    Source,
    Status,
    claim_of,
    explain,
    what_would_change,
)


def seat_of(tx: Transaction, call: Call, member_id: str) -> dict[str, Any]:
    """Return a member's seat and why it is this one: the rule, the mappings that matched, the place in the queue."""
    rules = seat_store.ask_for_rules(tx, call.organization_id)
    asked = seat_store.AskedMembers(tx, call.organization_id, [member_id])
    decided = store.ask_for_override(tx, call.organization_id, member_id)
    record = users.get(tx, call.organization_id, member_id)
    situation, override = seats.situation_of(rules()), decided()
    [member] = seats.keeping_an_owner(tx, call, situation, asked.read(with_mappings=situation.maps_groups))
    claim = claim_of(member, situation.settings, situation.rules.pools)
    waits = record.desired is not None
    return {
        **people.seat_of_record(record),
        "position": seat_store.queue_position(tx, call.organization_id, member_id) if waits else None,
        "override": None if override is None else _override_shown(override),
        "explain": {
            "rule": claim.rule,
            "text": explain(member, claim, situation.settings),
            "would_change": what_would_change(member, claim),
            "matched_mappings": [
                {"group_id": mapping.group_id, "tier": mapping.tier, "priority": mapping.priority}
                for mapping in member.mappings
            ],
        },
    }


def set_override(
    tx: Transaction,
    call: Call,
    member_id: str,
    *,
    tier: str,
    reason: str | None,
    expires_at: datetime | None,
    reserve_seconds: int | None = None,
    purchase: bool = False,
) -> dict[str, Any]:
    """Give a member the tier that an administrator names; it stays until it is cleared (seat rule B6).

    ``reserve_seconds`` keeps the seat that comes free for this administrator's next action.
    ``purchase`` buys the seat where none is free; who holds a lower one trades it in.
    Raises SeatUnavailable where the tier has no free seat, Conflict ``managed_by_mapping``.
    """
    _check_expiry(call, expires_at)
    situation, member = _locked(tx, call, member_id)
    seats.check_tier(situation, tier)
    seats.refuse_where_mappings_rule(situation, member)
    situation = reservations.use_own(tx, call, situation)
    happened: list[Event] = []
    allocated: Mapping[str, int] = {}
    needs_seat = tier not in (UNASSIGNED, member.seat.tier) and member.status is not Status.SUSPENDED
    if needs_seat and not seats.has_free_seat(situation, call, tier):
        if not purchase:
            raise SeatUnavailable(f"No {tier} seat is free.", tier=tier)
        bought = purchases.buy_for(tx, call, situation, member.seat.tier, tier)
        situation, allocated, happened = bought.situation, bought.allocated, bought.happened
    is_traded_in = allocated.get(member.seat.tier or UNASSIGNED, 0) < 0
    if reserve_seconds and member.seat.tier not in (None, tier) and not is_traded_in:
        situation, reserved = reservations.reserve(tx, call, situation, member, reserve_seconds)
        happened.append(reserved)
    override = Override(tier, call.actor, call.at, reason, expires_at)
    happened += seats.give(tx, call, situation, member, override, allocated=allocated)
    event_log.append(tx, call, happened)
    return seat_of(tx, call, member_id)


def clear_override(
    tx: Transaction, call: Call, member_id: str, cause: str = "override_cleared"
) -> dict[str, Any]:
    """Let the rules decide about a member again; without an override this changes nothing."""
    situation, member = _locked(tx, call, member_id)
    if member.override is None:
        return seat_of(tx, call, member_id)
    situation = reservations.use_own(tx, call, situation)
    store.set_override(tx, call.organization_id, member_id, None)
    changed = seats.settle(tx, call, situation, [replace(member, override=None)], cause)
    event_log.append(tx, call, [OverrideCleared(member_id, member.override), *changed])
    return seat_of(tx, call, member_id)


def swap(tx: Transaction, call: Call, a: str, b: str) -> dict[str, Any]:
    """Exchange the tiers of two members at once; both become overrides and no free seat is needed.

    Raises NothingToSwap where both hold the same, or one is suspended.
    """
    users.lock_all(tx, call.organization_id, [a, b])
    situation, one = _locked(tx, call, a)
    _, other = _locked(tx, call, b)
    for member in (one, other):
        seats.refuse_where_mappings_rule(situation, member)
        if member.seat.released:
            raise NothingToSwap(f"The member {member.id} is suspended and holds nothing.")
    if one.seat.tier == other.seat.tier:
        raise NothingToSwap("Both members hold the same already.")
    changes, happened = [], []
    for member, partner in ((one, other), (other, one)):
        tier = partner.seat.tier or UNASSIGNED
        override = Override(tier, call.actor, call.at, "swap", None)
        store.set_override(tx, call.organization_id, member.id, override)
        happened.append(OverrideSet(member.id, member.override, tier, "swap"))
        after = Seat(partner.seat.tier, Source.OVERRIDE, None, None)
        changes.append(SeatChange(member.id, member.seat, after, "C1"))
    seat_store.save(tx, call.organization_id, changes, {}, call.at)
    event_log.append(tx, call, [*happened, *seats.events_of(changes, "swap")])
    return {"a": seat_of(tx, call, a), "b": seat_of(tx, call, b)}


def expire_override(tx: Transaction, call: Call, member_id: str) -> None:
    """Clear an override whose time has come; does nothing where it is gone or was prolonged."""
    try:
        users.lock(tx, call.organization_id, member_id)
    except NotFound:
        return
    override = store.override_of(tx, call.organization_id, member_id)
    if override is not None and override.expires_at is not None and override.expires_at <= call.at:
        clear_override(tx, call, member_id, "override_expired")


def mappings(tx: Transaction, call: Call, page: Page) -> Listing:
    """Return the mappings from groups to tiers."""
    stored = store.mappings(tx, call.organization_id, after=page.after(), limit=page.limit + 1)
    return listing([_mapping_shown(mapping) for mapping in stored], page, key="group_id")


def set_mapping(
    tx: Transaction,
    call: Call,
    group_id: str,
    *,
    tier: str,
    priority: int | None,
    role: str | None,
    dry_run: bool,
) -> dict[str, Any]:
    """Map a group to a tier and evaluate its members at once (seat rule B6).

    ``dry_run`` only says what would change.
    """
    group = groups.lock(tx, call.organization_id, group_id)
    situation = seats.lock(tx, call)
    seats.check_tier(situation, tier, allow_unassigned=False)
    before = store.mapping(tx, call.organization_id, group_id)
    after = StoredMapping(group_id, group.display_name, tier, priority, role)
    return _change_mapping(tx, call, situation, group_id, before, after, dry_run=dry_run)


def delete_mapping(tx: Transaction, call: Call, group_id: str, *, dry_run: bool) -> dict[str, Any]:
    """Forget a group's mapping and evaluate its members at once. Raises NotFound where there is none."""
    groups.lock(tx, call.organization_id, group_id)
    situation = seats.lock(tx, call)
    before = store.mapping(tx, call.organization_id, group_id)
    if before is None:
        raise NotFound(f"The group {group_id[:100]} is not mapped to a tier.")
    return _change_mapping(tx, call, situation, group_id, before, None, dry_run=dry_run)


def _change_mapping(
    tx: Transaction,
    call: Call,
    situation: Situation,
    group_id: str,
    before: StoredMapping | None,
    after: StoredMapping | None,
    *,
    dry_run: bool,
) -> dict[str, Any]:
    """Write the mapping, ask the policy about the group's members, and keep both unless it is a dry run."""
    with tx.savepoint(keeps=not dry_run):
        _write(tx, call, group_id, after)
        ids = [member.member_id for member in groups.members(tx, call.organization_id, group_id)]
        concerned = (
            seat_store.members(tx, call.organization_id, ids, with_mappings=True)
            if situation.maps_groups
            else []
        )
        decision = seats.decide(tx, call, situation, concerned)
    if dry_run:
        return {"changes": seats.changes_shown(decision.outcome)}
    if before != after:
        seat_store.touch_organization(tx, call.organization_id)
    event = MappingSet(group_id, _mapping_or_none(before), _mapping_or_none(after))
    happened: list[Event] = [event] if before != after else []
    happened += seats.carry_out(tx, call, situation, decision, concerned, "mapping_changed")
    event_log.append(tx, call, happened)
    return {} if after is None else _mapping_shown(after)


def _write(tx: Transaction, call: Call, group_id: str, after: StoredMapping | None) -> None:
    if after is None:
        store.delete_mapping(tx, call.organization_id, group_id)
        return
    store.set_mapping(
        tx,
        call.organization_id,
        group_id,
        tier=after.tier,
        priority=after.priority,
        role=after.role,
        at=call.at,
    )


def _locked(tx: Transaction, call: Call, member_id: str) -> tuple[Situation, Member]:
    """Hold the member and the pools; return both as the policy sees them. Raises NotFound.

    Only owners touch the seat of the primary owner (seat rule B8).
    """
    record = users.lock(tx, call.organization_id, member_id)
    if record.role == Role.PRIMARY_OWNER and call.role == Role.ADMIN:
        raise primary_owner_protected("only an owner may change the primary owner's seat.")
    situation, [member] = seats.lock_with(tx, call, [member_id])
    return situation, member


def _check_expiry(call: Call, expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= call.at:
        raise InvalidSetting("expires_at must be in the future.")


def _override_shown(override: Override) -> dict[str, Any]:
    return {
        "tier": override.tier,
        "by": override.by,
        "at": override.at,
        "reason": override.reason,
        "expires_at": override.expires_at,
    }


def _mapping_or_none(mapping: StoredMapping | None) -> dict[str, Any] | None:
    return None if mapping is None else _mapping_shown(mapping)


def _mapping_shown(mapping: StoredMapping) -> dict[str, Any]:
    return {
        "group_id": mapping.group_id,
        "display_name": mapping.display_name,
        "tier": mapping.tier,
        "priority": mapping.priority,
        "role": mapping.role,
    }

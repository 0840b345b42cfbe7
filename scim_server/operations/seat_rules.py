"""What administrators and owners decide about seats: overrides, and mappings from groups to tiers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from scim_server.call import Call
from scim_server.errors import InvalidSetting, ManagedByMapping, NotFound, SeatUnavailable
from scim_server.events import Event, MappingSet, OverrideCleared, OverrideSet
from scim_server.operations import members as people
from scim_server.operations import seats
from scim_server.operations.listing import Listing, Page, listing
from scim_server.operations.seats import Situation
from scim_server.store import event_log, groups, users
from scim_server.store import seat_rules as store
from scim_server.store import seats as seat_store
from scim_server.store.seat_rules import Override, StoredMapping
from seat_policy import UNASSIGNED, Member, Outcome, OverridePolicy, claim_of, explain


def seat_of(tx: Connection, call: Call, member_id: str) -> dict[str, Any]:
    """Return a member's seat and why it is this one: the rule, the mappings that matched, the place in the queue."""
    record = users.get(tx, call.organization_id, member_id)
    situation = seats.situation_of(seat_store.rules(tx, call.organization_id))
    [member] = seat_store.members(tx, call.organization_id, [member_id], with_mappings=situation.maps_groups)
    claim = claim_of(member, situation.settings, situation.rules.pools)
    override = store.override_of(tx, call.organization_id, member_id)
    return {
        **people.seat_of_record(record),
        "position": seat_store.queue_position(tx, call.organization_id, member_id),
        "override": None if override is None else _override_shown(override),
        "explain": {
            "rule": claim.rule,
            "text": explain(member, claim, situation.settings),
            "matched_mappings": [
                {"group_id": mapping.group_id, "tier": mapping.tier, "priority": mapping.priority}
                for mapping in member.mappings
            ],
        },
    }


def set_override(
    tx: Connection,
    call: Call,
    member_id: str,
    *,
    tier: str,
    reason: str | None,
    expires_at: datetime | None,
) -> dict[str, Any]:
    """Give a member the tier that an administrator names; it stays until it is cleared (seat rule B6).

    Raises SeatUnavailable where the tier has no free seat, Conflict ``managed_by_mapping``.
    """
    situation, member = _locked(tx, call, member_id)
    _check_tier(situation, tier)
    _refuse_where_mappings_rule(situation, member)
    if tier not in (UNASSIGNED, member.seat.tier) and not _has_free_seat(situation, tier):
        raise SeatUnavailable(f"No {tier} seat is free.", tier=tier)
    decided = Override(tier, call.actor, call.at, reason, expires_at)
    store.set_override(tx, call.organization_id, member_id, decided)
    changed = seats.settle(tx, call, situation, [replace(member, override=tier)], "override_set")
    event_log.append(tx, call, [OverrideSet(member_id, tier, reason), *changed])
    return seat_of(tx, call, member_id)


def clear_override(tx: Connection, call: Call, member_id: str) -> dict[str, Any]:
    """Let the rules decide about a member again; without an override this changes nothing."""
    situation, member = _locked(tx, call, member_id)
    if member.override is None:
        return seat_of(tx, call, member_id)
    store.set_override(tx, call.organization_id, member_id, None)
    changed = seats.settle(tx, call, situation, [replace(member, override=None)], "override_cleared")
    event_log.append(tx, call, [OverrideCleared(member_id, member.override), *changed])
    return seat_of(tx, call, member_id)


def mappings(tx: Connection, call: Call, page: Page) -> Listing:
    """Return the mappings from groups to tiers."""
    stored = store.mappings(tx, call.organization_id, after=page.after(), limit=page.limit + 1)
    return listing([_mapping_shown(mapping) for mapping in stored], page, key="group_id")


def set_mapping(
    tx: Connection,
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
    _check_tier(situation, tier, allow_unassigned=False)
    before = store.mapping(tx, call.organization_id, group_id)
    after = StoredMapping(group_id, group.display_name, tier, priority, role)
    return _change_mapping(tx, call, situation, group_id, before, after, dry_run=dry_run)


def delete_mapping(tx: Connection, call: Call, group_id: str, *, dry_run: bool) -> dict[str, Any]:
    """Forget a group's mapping and evaluate its members at once. Raises NotFound where there is none."""
    groups.lock(tx, call.organization_id, group_id)
    situation = seats.lock(tx, call)
    before = store.mapping(tx, call.organization_id, group_id)
    if before is None:
        raise NotFound(f"The group {group_id[:100]} is not mapped to a tier.")
    return _change_mapping(tx, call, situation, group_id, before, None, dry_run=dry_run)


def _change_mapping(
    tx: Connection,
    call: Call,
    situation: Situation,
    group_id: str,
    before: StoredMapping | None,
    after: StoredMapping | None,
    *,
    dry_run: bool,
) -> dict[str, Any]:
    """Write the mapping, ask the policy about the group's members, and keep both unless it is a dry run."""
    undo = tx.begin_nested()
    _write(tx, call, group_id, after)
    ids = [member.member_id for member in groups.members(tx, call.organization_id, group_id)]
    concerned = (
        seat_store.members(tx, call.organization_id, ids, with_mappings=True) if situation.maps_groups else []
    )
    outcome = seats.decide(tx, call, situation, concerned)
    if dry_run:
        undo.rollback()
        return {"changes": changes_shown(outcome)}
    undo.commit()
    if before != after:
        seat_store.touch_organization(tx, call.organization_id)
    event = MappingSet(group_id, _mapping_or_none(before), _mapping_or_none(after))
    happened: list[Event] = [event] if before != after else []
    happened += seats.save(tx, call, outcome, concerned, "mapping_changed")
    event_log.append(tx, call, happened)
    return {} if after is None else _mapping_shown(after)


def changes_shown(outcome: Outcome) -> list[dict[str, Any]]:
    """Return what an outcome would change, as a preview shows it."""
    return [
        {
            "member_id": change.member_id,
            "from_tier": change.before.tier or UNASSIGNED,
            "to_tier": change.after.tier or UNASSIGNED,
            "rule": change.rule,
        }
        for change in outcome.changes
        if change.before.tier != change.after.tier
    ]


def _write(tx: Connection, call: Call, group_id: str, after: StoredMapping | None) -> None:
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


def _locked(tx: Connection, call: Call, member_id: str) -> tuple[Situation, Member]:
    """Hold the member and the pools; return both as the policy sees them. Raises NotFound."""
    users.lock(tx, call.organization_id, member_id)
    situation = seats.lock(tx, call)
    [member] = seat_store.members(tx, call.organization_id, [member_id], with_mappings=situation.maps_groups)
    return situation, member


def _check_tier(situation: Situation, tier: str, *, allow_unassigned: bool = True) -> None:
    tiers = [pool.tier for pool in situation.rules.pools]
    allowed = [*tiers, UNASSIGNED] if allow_unassigned else tiers
    if tier not in allowed:
        raise InvalidSetting(f"tier must be one of {', '.join(allowed)}.")


def _has_free_seat(situation: Situation, tier: str) -> bool:
    return any(pool.tier == tier and pool.free > 0 for pool in situation.rules.pools)


def _refuse_where_mappings_rule(situation: Situation, member: Member) -> None:
    rules = situation.settings.override_policy is OverridePolicy.MAPPING_WINS
    if rules and situation.maps_groups and member.mappings:
        raise ManagedByMapping(
            "Group mappings decide about this member's tier; change the groups or the mapping."
        )


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

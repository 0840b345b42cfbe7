"""Seats: bring what people hold in line with the policy, and show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from scim_server.call import Call
from scim_server.errors import InvalidSetting, SeatLimitReached
from scim_server.events import SeatChanged
from scim_server.operations.listing import Listing, Page, cursor, listing
from scim_server.store import event_log
from scim_server.store import seats as store
from seat_policy import (
    ANY,
    UNASSIGNED,
    ExhaustedPolicy,
    GroupMappings,
    MappingLostPolicy,
    Member,
    Outcome,
    SeatChange,
    Settings,
    Status,
    reconcile,
    settings_from,
)

SETTINGS_THAT_MOVE_SEATS = frozenset(
    {
        "group_mappings",
        "mapping_conflict",
        "unmapped_policy",
        "exhausted_policy",
        "default_ceiling",
        "override_policy",
    }
)


@dataclass(frozen=True, slots=True)
class Situation:
    """What stands while the pools are locked: the rules, and the settings read from them."""

    rules: store.Rules
    settings: Settings

    @property
    def maps_groups(self) -> bool:
        return self.settings.group_mappings is GroupMappings.ON


def lock(tx: Connection, call: Call) -> Situation:
    """Hold the organization's pools until the transaction ends; every seat change starts here."""
    return situation_of(store.lock_rules(tx, call.organization_id))


def situation_of(rules: store.Rules) -> Situation:
    settings = settings_from(rules.settings, [pool.tier for pool in rules.pools])
    if not isinstance(settings, Settings):
        raise AssertionError(f"stored settings do not hold: {settings}")
    return Situation(rules, settings)


def seat_new_member(
    tx: Connection, call: Call, member: Member, cause: str, *, is_in_groups: bool = False
) -> list[SeatChanged]:
    """Give somebody who has just been created the seat that the policy says (seat rules B5, B6).

    Raises SeatLimitReached where the organization refuses people it has no seat for.
    """
    situation = lock(tx, call)
    if is_in_groups:
        [member] = store.members(tx, call.organization_id, [member.id], with_mappings=situation.maps_groups)
    outcome = decide(tx, call, situation, [member])
    changes = {change.member_id: change for change in outcome.changes}
    own = changes.pop(member.id, None)
    seat = member.seat if own is None else own.after
    refuses = situation.settings.exhausted_policy is ExhaustedPolicy.REJECT
    if refuses and seat.tier is None and seat.desired is not None:
        raise SeatLimitReached(
            "seat_limit_reached: no seat is left; an owner has to buy one before this person can be created."
        )
    store.create(tx, call.organization_id, replace(member, seat=seat), call.at)
    store.save(tx, call.organization_id, changes.values(), {}, outcome.used_delta(), call.at)
    return events_of(outcome.changes, cause)


def reconcile_members(tx: Connection, call: Call, member_ids: Sequence[str], cause: str) -> list[SeatChanged]:
    """Evaluate some members anew and serve the queue with what comes free (seat rule B5)."""
    if not member_ids:
        return []
    situation = lock(tx, call)
    members = store.members(tx, call.organization_id, member_ids, with_mappings=situation.maps_groups)
    return settle(tx, call, situation, members, cause)


def after_new_settings(tx: Connection, call: Call, changed: AbstractSet[str]) -> list[SeatChanged]:
    """Evaluate everybody after settings changed (seat rule B6, "mappings switched on").

    Switching mappings off takes nothing away: who held a seat by mapping keeps it by default.
    """
    if not changed & SETTINGS_THAT_MOVE_SEATS:
        return []
    situation = lock(tx, call)
    if "group_mappings" in changed and not situation.maps_groups:
        keeping = replace(situation.settings, mapping_lost_policy=MappingLostPolicy.KEEP)
        situation = Situation(situation.rules, keeping)
    ids = store.all_member_ids(tx, call.organization_id)
    members = store.members(tx, call.organization_id, ids, with_mappings=situation.maps_groups)
    return settle(tx, call, situation, members, "settings_changed")


def release(tx: Connection, call: Call, member_id: str, cause: str) -> list[SeatChanged]:
    """Take the seat of somebody who is about to be removed and give it to the queue (seat rule B6)."""
    situation = lock(tx, call)
    [member] = store.members(tx, call.organization_id, [member_id], with_mappings=False)
    return settle(tx, call, situation, [replace(member, status=Status.SUSPENDED)], cause)


def settle(
    tx: Connection, call: Call, situation: Situation, members: Sequence[Member], cause: str
) -> list[SeatChanged]:
    """Let the policy decide about some members and save what it decided. The pools are locked already."""
    return save(tx, call, decide(tx, call, situation, members), members, cause)


def decide(tx: Connection, call: Call, situation: Situation, members: Sequence[Member]) -> Outcome:
    """Ask the policy, and change nothing."""
    queue = store.Queue(tx, call.organization_id)
    return reconcile(situation.rules.pools, members, queue, situation.settings, call.at)


def save(
    tx: Connection, call: Call, outcome: Outcome, members: Sequence[Member], cause: str
) -> list[SeatChanged]:
    """Store an outcome and return what happened."""
    statuses = {member.id: member.status for member in members}
    store.save(tx, call.organization_id, outcome.changes, statuses, outcome.used_delta(), call.at)
    return events_of(outcome.changes, cause)


def events_of(changes: Iterable[SeatChange], cause: str) -> list[SeatChanged]:
    """Return one event for each member whose seat changed (seat rule B5.4)."""
    return [
        SeatChanged(
            subject_id=change.member_id,
            from_tier=change.before.tier or UNASSIGNED,
            to_tier=change.after.tier or UNASSIGNED,
            source=change.after.source.value,
            cause=cause,
            rule=change.rule,
            desired_tier=change.after.desired,
        )
        for change in changes
    ]


def overview(tx: Connection, call: Call) -> dict[str, Any]:
    """Return each tier's seats, highest rank first, and how many wait for it."""
    rules = store.rules(tx, call.organization_id)
    waiting = store.waiting_counts(tx, call.organization_id)
    return {
        "version": rules.version,
        "waiting_for_any": waiting.get(ANY, 0),
        "tiers": [
            {
                "tier": pool.tier,
                "rank": pool.rank,
                "allocated": pool.allocated,
                "used": pool.used,
                "free": pool.free,
                "waiting": waiting.get(pool.tier, 0),
            }
            for pool in rules.pools
        ],
    }


def waiting(tx: Connection, call: Call, page: Page) -> Listing:
    """Return the queue in the order in which it is served (seat rule B5.3)."""
    place = page.position() or [0, -1, 0, ""]
    if len(place) != 4:
        raise InvalidSetting("cursor is not one that this list has given out.")
    ahead, behind = int(place[0]), (int(place[1]), int(place[2]), str(place[3]))
    waiters = store.waiters(tx, call.organization_id, behind=behind, limit=page.limit + 1)
    items = [
        {
            "position": ahead + number,
            "member_id": waiter.member_id,
            "user_name": waiter.user_name,
            "holds": waiter.holds or UNASSIGNED,
            "desired_tier": waiter.desired,
            "source": waiter.source,
            "waiting_since": waiter.waiting_since,
        }
        for number, waiter in enumerate(waiters, 1)
    ]
    if len(items) <= page.limit:
        return Listing(items, None)
    last = waiters[page.limit - 1]
    return Listing(items[: page.limit], cursor([ahead + page.limit, *last.place]))


def history(tx: Connection, call: Call, page: Page, member_id: str | None) -> Listing:
    """Return the seat events, oldest first."""
    logged = event_log.read(
        tx,
        call.organization_id,
        after=page.after(),
        limit=page.limit + 1,
        kind=SeatChanged,
        subject_id=member_id,
    )
    items = [
        {
            "id": event.id,
            "at": event.at,
            "member_id": event.subject_id,
            "from_tier": event.data["from_tier"],
            "to_tier": event.data["to_tier"],
            "desired_tier": event.data["desired_tier"],
            "source": event.data["source"],
            "cause": event.data["cause"],
            "rule": event.data["rule"],
            "actor": event.actor,
            "request_id": event.request_id,
        }
        for event in logged
    ]
    return listing(items, page)

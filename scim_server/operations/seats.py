"""Seats: bring what people hold in line with the policy, and show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from scim_server.call import Call
from scim_server.errors import InvalidSetting, ManagedByMapping, SeatLimitReached
from scim_server.events import Event, OverrideSet, SeatChanged, SeatsHeld
from scim_server.ids import new_id
from scim_server.operations import invoices, roles
from scim_server.operations.listing import Listing, Page, cursor, listing
from scim_server.store import event_log, organizations, seat_rules
from scim_server.store import held as held_store
from scim_server.store import seats as store
from scim_server.store.held import HeldEvent
from scim_server.store.seat_rules import Override
from scim_server.store.transaction import Transaction
from seat_policy import (
    ANY,
    PLAN_SETTINGS,
    UNASSIGNED,
    ExhaustedPolicy,
    GroupMappings,
    MappingLostPolicy,
    Member,
    Outcome,
    Plan,
    Pool,
    Role,
    Seat,
    SeatChange,
    Settings,
    Status,
    automatic_purchase,
    claim_of,
    mappings_rule,
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
        "named_tiers",
    }
)
SETTINGS_THAT_BUY_SEATS = frozenset({"auto_purchase_monthly_cap", "max_total"})


@dataclass(frozen=True, slots=True)
class Situation:
    """What stands while the pools are locked: the rules, and the settings read from them."""

    rules: store.Rules
    settings: Settings

    @property
    def maps_groups(self) -> bool:
        return self.settings.group_mappings is GroupMappings.ON

    def reserved(self, at: datetime) -> dict[str, int]:
        """Return how many free seats of each tier are kept for somebody at an instant."""
        return dict(Counter(kept.tier for kept in self.rules.reservations if kept.until > at))


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy decided, and by how many seats of which tier the allocation changes with it.

    ``automatic`` are those among them that nobody ordered and that are still to be charged.
    """

    outcome: Outcome
    allocated: Mapping[str, int]
    automatic: Mapping[str, int]


def lock(tx: Transaction, call: Call) -> Situation:
    """Hold the organization's pools until the transaction ends; every seat change starts here."""
    return situation_of(store.lock_rules(tx, call.organization_id))


def lock_with(
    tx: Transaction, call: Call, member_ids: Sequence[str], *, are_in_groups: bool = True
) -> tuple[Situation, list[Member]]:
    """Hold the pools, and return with what stands what the policy must know of some members.

    ``are_in_groups`` False: they are known to be in none.
    """
    rules = store.lock_and_ask_for_rules(tx, call.organization_id)
    asked = store.AskedMembers(tx, call.organization_id, member_ids)
    situation = situation_of(rules())
    return situation, asked.read(with_mappings=are_in_groups and situation.maps_groups)


def situation_of(rules: store.Rules) -> Situation:
    tiers = tuple(pool.tier for pool in rules.pools)
    return Situation(rules, _settings_of(rules.settings, tiers, Plan(rules.plan)))


@lru_cache(maxsize=1024)
def _settings_of(stored: str, tiers: tuple[str, ...], plan: Plan) -> Settings:
    """Read the settings that a text says, which for the same text are always the same."""
    settings = settings_from(orjson.loads(stored), tiers, base=PLAN_SETTINGS[plan])
    if not isinstance(settings, Settings):
        raise AssertionError(f"stored settings do not hold: {settings}")
    return settings


def has_free_seat(situation: Situation, call: Call, tier: str) -> bool:
    """Whether a seat of a tier is free and kept for nobody else."""
    reserved = situation.reserved(call.at).get(tier, 0)
    return any(pool.tier == tier and pool.free > reserved for pool in situation.rules.pools)


def check_tier(situation: Situation, tier: str, *, allow_unassigned: bool = True) -> None:
    """Raise InvalidSetting unless the organization has such a tier."""
    tiers = [pool.tier for pool in situation.rules.pools]
    allowed = [*tiers, UNASSIGNED] if allow_unassigned else tiers
    if tier not in allowed:
        raise InvalidSetting(f"tier must be one of {', '.join(allowed)}.")


def refuse_where_mappings_rule(situation: Situation, member: Member) -> None:
    """Raise ManagedByMapping where an override would have no effect (``override_policy: mapping_wins``)."""
    if mappings_rule(member, situation.settings):
        raise ManagedByMapping(
            "Group mappings decide about this member's tier; change the groups or the mapping."
        )


class OneByOne(Exception):
    """Several newcomers cannot be seated together: what becomes of one depends on the one before."""


def seat_new_members(
    tx: Transaction, call: Call, members: Sequence[Member], cause: str, *, are_in_groups: bool = False
) -> tuple[dict[str, Seat], list[Event]]:
    """Give people who have just been created the seats that the policy says (seat rules B5, B6), by their ids.

    Raises SeatLimitReached where the organization refuses people it has no seat for, OneByOne
    where it may refuse some, or buys for each.
    """
    if are_in_groups:
        situation, members = lock_with(tx, call, [member.id for member in members])
    else:
        situation = lock(tx, call)
    policy = situation.settings.exhausted_policy
    if len(members) > 1 and policy in (ExhaustedPolicy.REJECT, ExhaustedPolicy.AUTO_PURCHASE):
        raise OneByOne
    decision = decide(tx, call, situation, members)
    seats = seats_after(decision.outcome, members)
    if policy is ExhaustedPolicy.REJECT and any(
        seat.tier is None and seat.desired is not None for seat in seats.values()
    ):
        raise SeatLimitReached(
            "seat_limit_reached: no seat is left; an owner has to buy one before this person can be created."
        )
    return seats, place_new_members(tx, call, decision, members, cause)


def place_new_members(
    tx: Transaction, call: Call, decision: Decision, members: Sequence[Member], cause: str
) -> list[Event]:
    """Store the seats of people who have none on record yet, and what else a decision changes."""
    seats = seats_after(decision.outcome, members)
    store.create(tx, call.organization_id, seats, call.at)
    return _store(tx, call, decision, members, cause, but_for=seats.keys())


def reconcile_members(tx: Transaction, call: Call, member_ids: Sequence[str], cause: str) -> list[Event]:
    """Evaluate some members anew and serve the queue with what comes free (seat rule B5)."""
    if not member_ids:
        return []
    situation, members = lock_with(tx, call, member_ids)
    return settle(tx, call, situation, members, cause)


def reconcile_member(
    tx: Transaction, call: Call, member_id: str, cause: str
) -> tuple[Seat | None, list[Event]]:
    """Evaluate one member anew (``reconcile_members``), and return their seat too; None where none was stored."""
    situation, members = lock_with(tx, call, [member_id])
    decision = decide(tx, call, situation, members)
    happened = carry_out(tx, call, situation, decision, members, cause)
    if _takes_too_many(situation, decision):
        return None, happened
    stored = {change.member_id: change.after for change in decision.outcome.changes}
    return stored.get(member_id), happened


def after_new_settings(tx: Transaction, call: Call, changed: AbstractSet[str]) -> list[Event]:
    """Evaluate everybody after settings changed (seat rule B6, "mappings switched on").

    Switching mappings off takes nothing away: who held a seat by mapping keeps it by default.
    """
    situation = lock(tx, call)
    buys = situation.settings.exhausted_policy is ExhaustedPolicy.AUTO_PURCHASE
    if not changed & (SETTINGS_THAT_MOVE_SEATS | (SETTINGS_THAT_BUY_SEATS if buys else set())):
        return []
    if "group_mappings" in changed and not situation.maps_groups:
        situation = keeping_seats(situation)
    ids = store.all_member_ids(tx, call.organization_id)
    members = store.members(tx, call.organization_id, ids, with_mappings=situation.maps_groups)
    return settle(tx, call, situation, members, "settings_changed")


def keeping_seats(situation: Situation) -> Situation:
    """Return a situation in which nobody gives a seat back because a mapping or an override is gone."""
    keeping = replace(situation.settings, mapping_lost_policy=MappingLostPolicy.KEEP)
    return replace(situation, settings=keeping)


def release(tx: Transaction, call: Call, member_id: str, cause: str) -> list[Event]:
    """Take the seat of somebody who is about to be removed and give it to the queue (seat rule B6).

    Their row is left as it is, for it goes next. They are in no group any more; the role that one gave
    does not change for the moment that is left.
    """
    situation, [member] = lock_with(tx, call, [member_id], are_in_groups=False)
    leaver = replace(member, status=Status.SUSPENDED, own_role=member.role)
    decision = decide(tx, call, situation, [leaver])
    return _store(tx, call, decision, [leaver], cause, but_for={member_id})


def settle_after_reduction(
    tx: Transaction,
    call: Call,
    situation: Situation,
    movers: Sequence[Member],
    allocated: Mapping[str, int],
) -> list[Event]:
    """Carry a reduction of the allocation out; ``movers`` give their seats up first and fall back.

    They are found a seat below at once, also where people otherwise wait without one or where
    seats are bought by themselves.
    """
    taken = Counter(member.seat.tier for member in movers)
    pools = tuple(
        replace(
            pool,
            allocated=pool.allocated + allocated.get(pool.tier, 0),
            used=pool.used - taken[pool.tier],
        )
        for pool in situation.rules.pools
    )
    settings = replace(situation.settings, exhausted_policy=ExhaustedPolicy.FALLBACK)
    without = [replace(member, seat=replace(member.seat, tier=None)) for member in movers]
    reduced = Situation(replace(situation.rules, pools=pools), settings)
    outcome = decide(tx, call, reduced, without).outcome
    held = {member.id: member.seat for member in movers}
    changes = [
        replace(change, before=held.get(change.member_id, change.before)) for change in outcome.changes
    ]
    whole = replace(outcome, changes=tuple(changes))
    store.save(tx, call.organization_id, changes, whole.used_delta(), call.at, allocated_delta=allocated)
    return events_of(changes, "reduction")


def serve(tx: Transaction, call: Call, situation: Situation, cause: str) -> list[Event]:
    """Give free seats to those who wait for them."""
    return settle(tx, call, situation, [], cause)


def settle(
    tx: Transaction,
    call: Call,
    situation: Situation,
    members: Sequence[Member],
    cause: str,
    *,
    allocated: Mapping[str, int] | None = None,
    is_guarded: bool = True,
) -> list[Event]:
    """Let the policy decide about some members and carry it out. The pools are locked already.

    ``allocated``: seats that were just bought (or given up); the situation counts them already.
    """
    decision = decide(tx, call, situation, members, allocated)
    return carry_out(tx, call, situation, decision, members, cause, is_guarded=is_guarded)


def decide(
    tx: Transaction,
    call: Call,
    situation: Situation,
    members: Sequence[Member],
    allocated: Mapping[str, int] | None = None,
) -> Decision:
    """Ask the policy, and change nothing.

    Where seats are bought by themselves (``auto_purchase``), it is asked again with each of them.
    """
    members = keeping_an_owner(tx, call, situation, members)

    def ask(bought: Mapping[str, int]) -> Outcome:
        pools: Sequence[Pool] = situation.rules.pools
        if bought:
            pools = [replace(pool, allocated=pool.allocated + bought.get(pool.tier, 0)) for pool in pools]
        queue = store.Queue(tx, call.organization_id, is_empty=not situation.rules.somebody_waits)
        return reconcile(pools, members, queue, situation.settings, call.at, situation.reserved(call.at))

    outcome = ask({})
    if situation.settings.exhausted_policy is not ExhaustedPolicy.AUTO_PURCHASE or not outcome.unmet:
        return Decision(outcome, allocated or {}, {})
    before = invoices.bought_automatically_this_month(tx, call)
    bought: Counter[str] = Counter()
    while (tier := automatic_purchase(outcome, situation.settings, before + bought.total())) is not None:
        bought[tier] += 1
        outcome = ask(bought)
    total = Counter(allocated or {})
    total.update(bought)
    return Decision(outcome, total, bought)


def keeping_an_owner(
    tx: Transaction, call: Call, situation: Situation, members: Sequence[Member]
) -> Sequence[Member]:
    """Return the members, marked as indispensable the owners who would be suspended without leaving one behind."""
    suspended = {
        member.id
        for member in members
        if member.role is Role.OWNER and claim_of(member, situation.settings, situation.rules.pools).suspends
    }
    if not suspended or roles.there_are_others(tx, call, suspended):
        return members
    return [replace(member, is_indispensable=member.id in suspended) for member in members]


def carry_out(
    tx: Transaction,
    call: Call,
    situation: Situation,
    decision: Decision,
    members: Sequence[Member],
    cause: str,
    *,
    is_guarded: bool = True,
) -> list[Event]:
    """Store a decision and return what happened; the seat part of an event that takes too many seats is held.

    Such an event waits for an owner (``removal_guard``): nobody's seat whom it concerns is evaluated until then.
    Roles wait for nobody: who has left the owners' group decides about nothing any more.
    """
    if is_guarded and _takes_too_many(situation, decision):
        return [
            _hold(tx, call, decision.outcome, members, cause),
            *roles.follow_groups(tx, call, members),
        ]
    return _store(tx, call, decision, members, cause)


def _takes_too_many(situation: Situation, decision: Decision) -> bool:
    guard = situation.settings.removal_guard
    return guard is not None and decision.outcome.seats_taken > guard


def _store(
    tx: Transaction,
    call: Call,
    decision: Decision,
    members: Sequence[Member],
    cause: str,
    *,
    but_for: AbstractSet[str] = frozenset(),
) -> list[Event]:
    """Store what was decided, the seats of those who are ``but_for`` excepted, and return what happened."""
    outcome = decision.outcome
    store.save(
        tx,
        call.organization_id,
        outcome.changes,
        outcome.used_delta(),
        call.at,
        allocated_delta=decision.allocated,
        but_for=but_for,
    )
    happened: list[Event] = _charge(tx, call, decision)
    happened += roles.follow_groups(tx, call, members)
    return happened + events_of(outcome.changes, cause)


def give(
    tx: Transaction,
    call: Call,
    situation: Situation,
    member: Member,
    override: Override,
    cause: str = "override_set",
    allocated: Mapping[str, int] | None = None,
) -> list[Event]:
    """Give a member the tier that was decided for them, and serve the queue with what comes free."""
    seat_rules.set_override(tx, call.organization_id, member.id, override)
    if override.expires_at is not None:
        organizations.note_due(tx, call.organization_id, override.expires_at)
    decided = replace(member, override=override.tier, goes_first=True)
    changed = settle(tx, call, situation, [decided], cause, allocated=allocated, is_guarded=False)
    return [OverrideSet(member.id, member.override, override.tier, override.reason), *changed]


def _charge(tx: Transaction, call: Call, decision: Decision) -> list[Event]:
    """Charge for the seats that were bought by themselves."""
    if not decision.automatic:
        return []
    return [invoices.charge_automatically(tx, call, decision.automatic)]


def seats_after(outcome: Outcome, members: Sequence[Member]) -> dict[str, Seat]:
    """Return the seats that members have after an outcome, by their ids."""
    changed = {change.member_id: change.after for change in outcome.changes}
    return {member.id: changed.get(member.id, member.seat) for member in members}


def _hold(tx: Transaction, call: Call, outcome: Outcome, members: Sequence[Member], cause: str) -> SeatsHeld:
    held = HeldEvent(
        id=new_id(),
        cause=cause,
        member_ids=[member.id for member in members],
        changes=changes_shown(outcome),
        seats_taken=outcome.seats_taken,
        at=call.at,
        actor=call.actor,
        request_id=call.request_id,
    )
    held_store.insert_held(tx, call.organization_id, held)
    return SeatsHeld(held.id, cause, held.seats_taken)


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


def reprocess(tx: Transaction, call: Call, *, dry_run: bool) -> dict[str, Any]:
    """Evaluate everybody who has no override anew, in the order in which they joined (seat rule B6).

    ``dry_run`` only says what would change.
    """
    situation = lock(tx, call)
    ids = store.all_member_ids(tx, call.organization_id)
    everybody = store.members(tx, call.organization_id, ids, with_mappings=situation.maps_groups)
    members = [member for member in everybody if member.override is None]
    decision = decide(tx, call, situation, members)
    if not dry_run:
        happened = carry_out(tx, call, situation, decision, members, "reprocess", is_guarded=False)
        event_log.append(tx, call, happened)
    return {"dry_run": dry_run, "changes": changes_shown(decision.outcome)}


def events_of(changes: Iterable[SeatChange], cause: str) -> list[Event]:
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
        if _differs(change.before, change.after)
    ]


def _differs(before: Seat, after: Seat) -> bool:
    """Whether a member notices: what is held, by what right, and what is waited for."""
    return (before.tier, before.source, before.desired) != (after.tier, after.source, after.desired)


def overview(tx: Transaction, call: Call) -> dict[str, Any]:
    """Return each tier's seats, highest rank first, and how many wait for it."""
    rules = store.rules(tx, call.organization_id)
    waiting = store.waiting_counts(tx, call.organization_id)
    reserved = situation_of(rules).reserved(call.at)
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
                "reserved": reserved.get(pool.tier, 0),
                "waiting": waiting.get(pool.tier, 0),
            }
            for pool in rules.pools
        ],
    }


def waiting(tx: Transaction, call: Call, page: Page) -> Listing:
    """Return the queue in the order in which it is served (seat rule B5.3)."""
    ahead, *place = page.position(0, -1, 0, "")
    behind = (int(place[0]), int(place[1]), str(place[2]))
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


def history(tx: Transaction, call: Call, page: Page, member_id: str | None) -> Listing:
    """Return the seat events, oldest first."""
    logged = event_log.read(
        tx,
        call.organization_id,
        after=page.after(),
        limit=page.limit + 1,
        kind=event_log.kind_of(SeatChanged),
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

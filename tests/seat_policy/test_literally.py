"""The policy against seat rule B5 read word by word: every claimant looked at, every time, from the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from seat_policy import (
    ANY,
    NO_SEAT,
    RELEASED,
    UNASSIGNED,
    ExhaustedPolicy,
    GroupMapping,
    GroupMappings,
    MappingConflict,
    MappingLostPolicy,
    Member,
    OverridePolicy,
    Pool,
    Role,
    Seat,
    Settings,
    Source,
    Status,
    UnmappedPolicy,
    claim_of,
    reconcile,
)
from tests.seat_policy.builders import NOW, Queue

TIERS = ["gold", "silver", "bronze"]
RANKS = {"gold": 3, "silver": 2, "bronze": 1}
CLASSES = {Source.OVERRIDE: 0, Source.MAPPING: 1, Source.DEFAULT: 2, Source.JIT: 2}


class ByTheWord:
    """One event, as the text of the rule tells it."""

    def __init__(
        self,
        pools: Sequence[Pool],
        members: Sequence[Member],
        settings: Settings,
        reserved: Mapping[str, int],
    ) -> None:
        self.free = {pool.tier: pool.free - reserved.get(pool.tier, 0) for pool in pools}
        self.pools = pools
        self.members = {member.id: member for member in members}
        self.seats = {member.id: member.seat for member in members}
        self.settings = settings

    def happen(self, touched: Sequence[str], at: object) -> dict[str, Seat]:
        for identifier in sorted(touched, key=lambda one: (self.members[one].created_at, one)):
            self.reclaim(self.members[identifier], at)
        while self.serve():
            pass
        while self.exchange():
            pass
        if self.settings.exhausted_policy is not ExhaustedPolicy.WAIT:
            while self.fall_back():
                pass
        return self.seats

    def reclaim(self, member: Member, at: object) -> None:
        claim = claim_of(member, self.settings, self.pools)
        held = member.seat.tier
        if held is not None and (claim.gives_back or claim.desired == UNASSIGNED):
            self.free[held] += 1
            held = None
        if claim.desired == UNASSIGNED:
            gone = claim.rule == "C0" or claim.suspends
            self.seats[member.id] = RELEASED if gone else Seat(None, claim.source, None, None)
        elif claim.desired == held or (claim.desired == ANY and held is not None):
            self.seats[member.id] = Seat(held, claim.source, None, None)
        else:
            since = member.seat.waiting_since if member.seat.desired == claim.desired else at
            self.seats[member.id] = Seat(held, claim.source, claim.desired, since)

    def queue(self) -> list[str]:
        unmet = [identifier for identifier, seat in self.seats.items() if seat.desired is not None]
        return sorted(
            unmet,
            key=lambda one: (
                CLASSES[self.seats[one].source],
                self.seats[one].waiting_since,
                self.members[one].created_at,
                one,
            ),
        )

    def serve(self) -> bool:
        ceiling = RANKS[self.settings.default_ceiling or "gold"]
        for identifier in self.queue():
            desired = self.seats[identifier].desired
            wanted = [tier for tier in TIERS if desired in (tier, ANY)]
            for tier in wanted:
                if self.free[tier] > 0 and (desired != ANY or RANKS[tier] <= ceiling):
                    self.move(identifier, tier, met=True)
                    return True
        return False

    def exchange(self) -> bool:
        for x in self.queue():
            for y in self.queue():
                one, other = self.seats[x], self.seats[y]
                if one.tier is not None and one.tier == other.desired and other.tier == one.desired:
                    self.move(x, one.desired, met=True)
                    self.move(y, other.desired, met=True)
                    return True
        return False

    def fall_back(self) -> bool:
        for identifier in self.queue():
            seat = self.seats[identifier]
            if seat.tier is None and seat.desired != ANY:
                for tier in TIERS:
                    if self.free[tier] > 0 and RANKS[tier] < RANKS[str(seat.desired)]:
                        self.move(identifier, tier, met=False)
                        return True
        return False

    def move(self, identifier: str, tier: str | None, *, met: bool) -> None:
        seat = self.seats[identifier]
        assert tier is not None
        self.free[tier] -= 1
        if seat.tier is not None:
            self.free[seat.tier] += 1
        after = replace(seat, tier=tier)
        self.seats[identifier] = replace(after, desired=None, waiting_since=None) if met else after


tiers = st.sampled_from(TIERS)
mappings = st.lists(
    st.builds(GroupMapping, st.sampled_from("abc"), tiers, st.none() | st.integers(0, 2)), max_size=2
).map(tuple)
inputs = st.fixed_dictionaries(
    {
        "status": st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.INVITED, Status.SUSPENDED]),
        "role": st.sampled_from([Role.USER, Role.USER, Role.PRIMARY_OWNER]),
        "override": st.none() | st.none() | st.sampled_from([*TIERS, UNASSIGNED]),
        "mappings": mappings,
        "named_tier": st.none() | tiers,
    }
)
rules = st.builds(
    Settings,
    group_mappings=st.sampled_from([GroupMappings.ON, GroupMappings.ON, GroupMappings.OFF]),
    mapping_conflict=st.sampled_from(MappingConflict),
    unmapped_policy=st.sampled_from([UnmappedPolicy.DEFAULT, *UnmappedPolicy]),
    mapping_lost_policy=st.sampled_from(MappingLostPolicy),
    exhausted_policy=st.sampled_from([ExhaustedPolicy.FALLBACK, ExhaustedPolicy.WAIT]),
    default_ceiling=st.sampled_from([None, *TIERS]),
    override_policy=st.sampled_from(OverridePolicy),
    named_tiers=st.booleans(),
)
people = [f"p{number}" for number in range(7)]
rounds = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(people), inputs, max_size=4),
        st.dictionaries(tiers, st.integers(0, 2), max_size=2),
        st.dictionaries(tiers, st.integers(0, 1), max_size=1),
    ),
    min_size=1,
    max_size=6,
)
bought = st.tuples(*[st.integers(0, 3)] * 3)


@given(bought=bought, settings=rules, first=st.lists(inputs, min_size=7, max_size=7), story=rounds)
def test_the_policy_does_what_the_rule_says_word_by_word(bought, settings, first, story):
    pools = [Pool(tier, RANKS[tier], count, 0) for tier, count in zip(TIERS, bought, strict=True)]
    members = {
        name: Member(name, NOW + timedelta(seconds=number // 2), seat=NO_SEAT, **facts)
        for number, (name, facts) in enumerate(zip(people, first, strict=True))
    }
    for number, (changed, more, reserved) in enumerate([({}, {}, {}), *story]):
        at = NOW + timedelta(minutes=number)
        members |= {name: replace(members[name], **facts) for name, facts in changed.items()}
        pools = [replace(pool, allocated=pool.allocated + more.get(pool.tier, 0)) for pool in pools]
        touched = list(changed) if number else people
        waiting = [member for member in members.values() if member.seat.desired is not None]

        outcome = reconcile(
            pools, [members[name] for name in touched], Queue(*waiting), settings, at, reserved
        )

        expected = ByTheWord(pools, list(members.values()), settings, reserved).happen(touched, at)
        after = {name: member.seat for name, member in members.items()}
        after |= {change.member_id: change.after for change in outcome.changes}
        assert after == expected
        pools = list(outcome.pools)
        members = {name: replace(member, seat=expected[name]) for name, member in members.items()}

"""One event in, the seat changes out (seat rule B5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seat_policy import (
    ANY,
    NO_SEAT,
    UNASSIGNED,
    ExhaustedPolicy,
    GroupMapping,
    GroupMappings,
    Member,
    NobodyWaits,
    Pool,
    Role,
    Settings,
    Source,
    Status,
    reconcile,
)
from tests.seat_policy.builders import (
    MAPPED,
    NOW,
    Queue,
    after,
    holding,
    outcome,
    person,
    pools,
    seats_after,
)

CEILING = Settings(group_mappings=GroupMappings.ON, default_ceiling="standard")
WAIT = Settings(group_mappings=GroupMappings.ON, exhausted_policy=ExhaustedPolicy.WAIT)

# The grant truth table: the free seats are 1 where a column says "> 0".
BOTH, ONLY_P, ONLY_S, NONE = ("0/1", "0/1"), ("0/1", "1/1"), ("1/1", "0/1"), ("1/1", "1/1")


@pytest.mark.parametrize(
    ("settings", "free", "tier", "desired"),
    [
        (MAPPED, BOTH, "premium", None),
        (MAPPED, ONLY_P, "premium", None),
        (MAPPED, ONLY_S, "standard", None),
        (MAPPED, NONE, None, ANY),
        (CEILING, BOTH, "standard", None),
        (CEILING, ONLY_P, None, ANY),
        (CEILING, ONLY_S, "standard", None),
        (CEILING, NONE, None, ANY),
    ],
)
def test_a_newcomer_gets_the_highest_free_tier_up_to_the_ceiling(settings, free, tier, desired):
    ada = person("ada")

    seat = after(outcome(pools(*free), [ada], settings=settings), ada)

    assert (seat.tier, seat.desired) == (tier, desired)


@pytest.mark.parametrize("free", [BOTH, ONLY_P, ONLY_S, NONE])
@pytest.mark.parametrize("tier", ["premium", "standard"])
def test_a_default_member_keeps_the_seat_whatever_is_free(free, tier):
    ada = person("ada", seat=holding(tier))

    assert after(outcome(pools(*free), [ada]), ada) == ada.seat


@pytest.mark.parametrize(
    ("claims", "holds", "free", "tier", "waits", "settings"),
    [
        ("premium", None, BOTH, "premium", False, MAPPED),
        ("premium", None, ONLY_P, "premium", False, MAPPED),
        ("premium", None, ONLY_S, "standard", True, MAPPED),
        ("premium", None, ONLY_S, None, True, WAIT),
        ("premium", None, NONE, None, True, MAPPED),
        ("premium", "standard", ("0/1", "1/2"), "premium", False, MAPPED),
        ("premium", "standard", ("1/1", "1/2"), "standard", True, MAPPED),
        ("premium", "standard", ("1/1", "1/1"), "standard", True, MAPPED),
        ("standard", None, BOTH, "standard", False, MAPPED),
        ("standard", None, ONLY_P, None, True, MAPPED),
        ("standard", None, ONLY_S, "standard", False, MAPPED),
        ("standard", None, NONE, None, True, MAPPED),
        ("standard", "premium", ("1/2", "0/1"), "standard", False, MAPPED),
        ("standard", "premium", ("1/2", "1/1"), "premium", True, MAPPED),
        ("standard", "premium", ("1/1", "1/1"), "premium", True, MAPPED),
    ],
)
def test_a_mapped_tier_is_given_or_waited_for(claims, holds, free, tier, waits, settings):
    ada = person("ada", claims, seat=holding(holds) if holds else NO_SEAT)

    seat = after(outcome(pools(*free), [ada], settings=settings), ada)

    assert (seat.tier, seat.desired) == (tier, claims if waits else None)
    assert seat.waiting_since == (NOW if waits else None)


@pytest.mark.parametrize("holds", ["premium", "standard", None])
def test_an_override_to_unassigned_takes_any_seat(holds):
    ada = person("ada", seat=holding(holds), override=UNASSIGNED)

    seat = after(outcome(pools("1/1", "1/1"), [ada]), ada)

    assert (seat.tier, seat.source, seat.desired) == (None, Source.OVERRIDE, None)


def test_a_freed_seat_goes_to_overrides_then_mappings_then_defaults_and_then_to_who_waits_longest():
    leaver = person("leaver", seat=holding("premium"), status=Status.SUSPENDED)
    default = person(
        "default", seat=replace(holding(None, Source.DEFAULT, ANY), waiting_since=NOW - timedelta(9))
    )
    late = person("late", seat=holding(None, Source.MAPPING, "premium"))
    early = person("early", seat=replace(late.seat, waiting_since=NOW - timedelta(2)))

    result = outcome(pools("1/1", "0/0"), [leaver], default, late, early)

    assert {change.member_id for change in result.changes} == {"leaver", "early"}
    assert after(result, early).tier == "premium"
    assert result.used_delta() == {}


def test_who_a_seat_was_found_for_is_served_before_everybody_who_waits():
    waiter = person("waiter", seat=holding(None, Source.OVERRIDE, "premium"), override="premium")
    ada = replace(person("ada", override="premium"), goes_first=True)

    result = outcome(pools("0/1"), [ada], waiter)

    assert after(result, ada).tier == "premium"
    assert after(result, waiter) == waiter.seat


def test_a_move_up_frees_a_seat_that_the_next_one_gets_in_the_same_event():
    leaver = person("leaver", seat=holding("premium"), status=Status.SUSPENDED)
    upward = person("upward", seat=holding("standard", Source.MAPPING, "premium"))
    waiting = person("waiting", seat=holding(None, Source.DEFAULT, ANY))

    result = outcome(pools("1/1", "1/1"), [leaver], upward, waiting)

    assert after(result, upward).tier == "premium"
    assert after(result, waiting).tier == "standard"


def test_two_who_hold_what_the_other_waits_for_swap():
    down = person("down", "standard", seat=holding("premium"))
    up = person("up", seat=holding("standard", Source.MAPPING, "premium"))

    result = outcome(pools("1/1", "1/1"), [down], up)

    assert (after(result, down).tier, after(result, up).tier) == ("standard", "premium")
    assert not after(result, up).desired


def test_a_fallback_never_takes_a_seat_that_somebody_claims():
    fallback = person("fallback", "premium")
    default = replace(person("default"), created_at=NOW + timedelta(1))

    result = outcome(pools("0/0", "0/1"), [fallback, default])

    assert after(result, default).tier == "standard"
    assert (after(result, fallback).tier, after(result, fallback).desired) == (None, "premium")


def test_who_waits_for_the_same_tier_keeps_the_place_in_the_queue():
    ada = person("ada", "premium", seat=holding(None, Source.DEFAULT, "premium"))

    seat = after(outcome(pools("0/0", "0/0"), [ada]), ada)

    assert seat.waiting_since == ada.seat.waiting_since


def test_reserved_seats_are_free_for_nobody():
    ada = person("ada", "premium")

    result = reconcile(pools("0/1", "0/1"), [ada], NobodyWaits(), MAPPED, NOW, reserved={"premium": 1})

    assert (after(result, ada).tier, after(result, ada).desired) == ("standard", "premium")


def test_an_endless_queue_is_read_only_as_far_as_there_are_seats():
    read = []

    class Endless:
        is_empty = False

        def waiting(self, holds: str | None, desired: str) -> Iterator[Member]:
            number = 0
            while (holds, desired) == (None, ANY):
                number += 1
                read.append(number)
                yield person(f"waiter-{number:09}", seat=holding(None, Source.DEFAULT, ANY))

    leaver = person("leaver", seat=holding("premium"), status=Status.SUSPENDED)

    result = reconcile(pools("1/1", "0/2"), [leaver], Endless(), MAPPED, NOW)

    assert len(result.changes) == 4
    assert len(read) <= 4


def test_tiers_are_data():
    three = [Pool("gold", 30, 0, 0), Pool("silver", 20, 1, 0), Pool("bronze", 10, 1, 0)]
    wants_gold = Member("a", NOW, Status.ACTIVE, Role.USER, NO_SEAT, None, (GroupMapping("g", "gold", None),))

    seat = after(reconcile(three, [wants_gold], NobodyWaits(), MAPPED, NOW), wants_gold)

    assert (seat.tier, seat.desired) == ("silver", "gold")


people = st.lists(
    st.builds(
        person,
        st.uuids().map(str),
        st.sampled_from(["premium", "standard"]),
        override=st.sampled_from([None, None, "premium", "standard", UNASSIGNED]),
        status=st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.INVITED, Status.SUSPENDED]),
    )
    | st.builds(person, st.uuids().map(str)),
    max_size=12,
    unique_by=lambda member: member.id,
)


@given(people, st.integers(0, 4), st.integers(0, 4), st.sampled_from([MAPPED, WAIT, CEILING]))
def test_the_invariants_hold_for_any_people_and_any_seats(members, premium, standard, settings):
    before = pools(f"0/{premium}", f"0/{standard}")

    result = outcome(before, members, settings=settings)

    seated = seats_after(result, members)
    free = {pool.tier: pool.free for pool in result.pools}
    held = [member.seat.tier for member in seated if member.seat.tier]
    for pool in result.pools:
        assert 0 <= pool.used <= pool.allocated
        assert pool.used == held.count(pool.tier)
    for member in seated:
        if member.status is Status.SUSPENDED:
            assert (member.seat.tier, member.seat.desired) == (None, None)
        if member.seat.desired not in (None, ANY):
            assert free[member.seat.desired] == 0
    waiting = {(m.seat.tier, m.seat.desired) for m in seated if m.seat.desired}
    assert not any((desired, holds) in waiting for holds, desired in waiting)


@given(people, st.integers(0, 4), st.integers(0, 4))
def test_what_is_settled_stays_as_it_is(members, premium, standard):
    first = outcome(pools(f"0/{premium}", f"0/{standard}"), members)
    seated = seats_after(first, members)
    waiting = [member for member in seated if member.seat.desired]

    again = reconcile(first.pools, seated, Queue(*waiting), MAPPED, NOW + timedelta(hours=1))

    assert again.changes == ()


@given(people, st.integers(0, 4), st.integers(0, 4), st.randoms())
def test_the_order_in_which_touched_members_are_named_does_not_matter(members, premium, standard, random):
    shuffled = random.sample(members, len(members))
    before = pools(f"0/{premium}", f"0/{standard}")

    assert set(outcome(before, members).changes) == set(outcome(before, shuffled).changes)

"""One event in, the seat changes out: re-claim, serve, exchange, fall back (seat rule B5).

The queue may be long, so it is never read whole: from each kind of waiter (what they hold,
what they wait for) only the first is looked at, and the next one when that one was served.
The event may be large, so nothing is asked again for each member that only another tier that
is free, or is not any more, can have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from heapq import merge
from operator import attrgetter
from typing import Protocol

from seat_policy.claim import NOTHING, Claim, claim_of
from seat_policy.model import (
    ANY,
    RELEASED,
    ExhaustedPolicy,
    Member,
    Pool,
    Seat,
    SeatChange,
    Settings,
    Source,
)

Kind = tuple[str | None, str]
Place = tuple[bool, int, datetime, datetime, str]
_RULE_OF_WAITER = {Source.OVERRIDE: "C1", Source.MAPPING: "C4"}
_CLASS = {Source.OVERRIDE: 0, Source.MAPPING: 1}
_in_order_of_arrival = attrgetter("created_at", "id")


class WaitingList(Protocol):
    """Who waits. The iterators are consumed only as far as seats can be given."""

    @property
    def is_empty(self) -> bool:
        """Whether it is known that nobody waits; then nobody is asked for."""
        ...

    def waiting(self, holds: str | None, desired: str) -> Iterator[Member]:
        """Yield those who hold ``holds`` (None: nothing) and wait for ``desired`` (a tier, or ``any``).

        They come in the order of the queue: overrides, mappings, defaults; then by
        ``waiting_since``, ``created_at`` and ``id``.
        """
        ...


class NobodyWaits:
    """An empty waiting list."""

    is_empty = True

    def waiting(self, holds: str | None, desired: str) -> Iterator[Member]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event changes: the seats of members, and the pools afterwards.

    Of the members that the event touched, ``unmet`` names those who wait now and for what, in
    the order of the queue, and ``seats_taken`` counts those who hold less than before: a lower
    tier, or nothing. Who was served from the queue got what they asked for, also where that is a
    lower tier.
    """

    changes: tuple[SeatChange, ...]
    pools: tuple[Pool, ...]
    unmet: tuple[tuple[str, str], ...] = ()
    seats_taken: int = 0

    def used_delta(self) -> dict[str, int]:
        """Return how many seats of each tier are held more (or, negative, less) than before."""
        moves = Counter((change.before.tier, change.after.tier) for change in self.changes)
        delta: dict[str, int] = {}
        for (left, taken), count in moves.items():
            for tier, step in ((left, -count), (taken, count)):
                if tier is not None:
                    delta[tier] = delta.get(tier, 0) + step
        return {tier: step for tier, step in delta.items() if step}


def reconcile(
    pools: Sequence[Pool],
    touched: Sequence[Member],
    waiting: WaitingList,
    settings: Settings,
    at: datetime,
    reserved: Mapping[str, int] | None = None,
) -> Outcome:
    """Evaluate the members whose inputs changed, then serve the queue with what is free.

    ``reserved`` seats of a tier are free for nobody in this call.
    """
    event = _Event(pools, waiting, settings, at, reserved or {})
    for member in sorted(touched, key=_in_order_of_arrival):
        event.claim(member)
    event.begin_queue()
    event.grant()
    event.exchange()
    if settings.exhausted_policy is not ExhaustedPolicy.WAIT:
        event.fall_back()
    return event.outcome()


class _Case:
    """A member in an event: as they came, the seat that they have by now, and the rule that led to it.

    ``place`` is that in the queue, for who waits.
    """

    __slots__ = ("member", "place", "rule", "seat")

    def __init__(self, member: Member, seat: Seat, rule: str) -> None:
        self.member = member
        self.seat = seat
        self.rule = rule
        self.place = None if seat.desired is None else _place(member, seat)

    @property
    def is_changed(self) -> bool:
        return self.seat is not self.member.seat and self.seat != self.member.seat


_place_of: Callable[[_Case], Place] = attrgetter("place")
# Members of one event get a few seats that are alike, and share them.
_seat = lru_cache(maxsize=1024)(Seat)


class _Event:
    """The state of one event while it is worked out."""

    def __init__(
        self,
        pools: Sequence[Pool],
        waiting: WaitingList,
        settings: Settings,
        at: datetime,
        reserved: Mapping[str, int],
    ) -> None:
        self.pools = sorted(pools, key=lambda pool: -pool.rank)
        self.ranks = {pool.tier: pool.rank for pool in pools}
        self.free = {pool.tier: pool.free - reserved.get(pool.tier, 0) for pool in self.pools}
        self.ceiling = self.ranks.get(settings.default_ceiling or "", max(self.ranks.values(), default=0))
        self.settings = settings
        self.at = at
        self.list = waiting
        self.touched: dict[str, _Case] = {}
        self.strangers: list[_Case] = []
        self.lines: dict[Kind, _Line] = {}

    # -- phase 2: re-claim

    def claim(self, member: Member) -> None:
        """Note what a member asks for now; what they may not keep is free for everybody."""
        claim = claim_of(member, self.settings, self.pools)
        seat = self._claimed(member, claim)
        if member.seat.tier is not None and seat.tier is None:
            self.free[member.seat.tier] += 1
        self.touched[member.id] = _Case(member, seat, claim.rule)

    def _claimed(self, member: Member, claim: Claim) -> Seat:
        held = None if claim.gives_back else member.seat.tier
        if claim.desired == NOTHING:
            return RELEASED if claim.rule == "C0" or claim.suspends else _seat(None, claim.source, None, None)
        if held == claim.desired or (claim.desired == ANY and held is not None):
            return _seat(held, claim.source, None, None)
        waited = member.seat.desired == claim.desired and member.seat.waiting_since is not None
        return _seat(held, claim.source, claim.desired, member.seat.waiting_since if waited else self.at)

    # -- phase 3: serve, exchange, fall back

    def begin_queue(self) -> None:
        """Put the touched members who want something into the lines where they belong."""
        own: dict[Kind, list[_Case]] = {}
        for case in self.touched.values():
            if case.seat.desired is not None:
                own.setdefault((case.seat.tier, case.seat.desired), []).append(case)
        for kind in own if self.list.is_empty else self._kinds():
            in_turn = sorted(own.get(kind, ()), key=_place_of)
            self.lines[kind] = _Line(in_turn, self._strangers(kind))

    def _kinds(self) -> list[Kind]:
        """Every kind of waiter that there can be: what they hold, and what they wait for."""
        held = [None, *self.free]
        return [(None, ANY), *((holds, tier) for tier in self.free for holds in held if holds != tier)]

    def _strangers(self, kind: Kind) -> Iterator[_Case]:
        """Those in the stored queue whom the event did not touch: their claim stands as it is."""
        if self.list.is_empty:
            return
        for member in self.list.waiting(*kind):
            if member.id not in self.touched:
                yield _Case(member, member.seat, _RULE_OF_WAITER.get(member.seat.source, "C6"))

    def grant(self) -> None:
        """Give seats to those for whom there are some, always to the first of them in the queue."""
        while self._move_in_turn(self._tier_for):
            pass

    def _tier_for(self, kind: Kind) -> str | None:
        _, desired = kind
        if desired == ANY:
            return self._highest_free(lambda rank: rank <= self.ceiling)
        return desired if self.free[desired] > 0 else None

    def exchange(self) -> None:
        """Let those swap who each hold what the other waits for, always the first two of them."""
        facing = [(x, y) for x in self.lines for y in self.lines if x == (y[1], y[0])]
        while pairs := [
            (place, x, y)
            for x, y in facing
            if (place := self.lines[x].place) is not None and self.lines[y].place is not None
        ]:
            _, *two = min(pairs)
            for kind in two:
                self._satisfy(self.lines[kind].take(), kind[1])

    def fall_back(self) -> None:
        """Give those who hold nothing a free seat below the tier they wait for; they go on waiting."""
        while self._move_in_turn(self._tier_below, keeps_waiting=True):
            pass

    def _tier_below(self, kind: Kind) -> str | None:
        holds, desired = kind
        if holds is not None or desired == ANY:
            return None
        return self._highest_free(lambda rank: rank < self.ranks[desired])

    def _move_in_turn(self, tier_for: Callable[[Kind], str | None], *, keeps_waiting: bool = False) -> bool:
        """Move the first over all lines for whom there is a tier, and the next, until other tiers are free.

        Return whether somebody moved; then there may be a tier for others.
        """
        tiers = {kind: tier for kind in self.lines if (tier := tier_for(kind)) is not None}
        while ready := [(place, kind) for kind in tiers if (place := self.lines[kind].place) is not None]:
            _, kind = min(ready)
            case, left, tier = self.lines[kind].take(), kind[0], tiers[kind]
            if keeps_waiting:
                seat = case.seat
                self._settle(case, _seat(tier, seat.source, seat.desired, seat.waiting_since))
            else:
                self._satisfy(case, tier)
            self.free[tier] -= 1
            if left is not None:
                self.free[left] += 1
            if self.free[tier] == 0 or (left is not None and self.free[left] == 1):
                return True
        return False

    def _highest_free(self, allowed: Callable[[int], bool]) -> str | None:
        return next((p.tier for p in self.pools if self.free[p.tier] > 0 and allowed(p.rank)), None)

    def _satisfy(self, case: _Case, tier: str) -> None:
        self._settle(case, _seat(tier, case.seat.source, None, None))

    def _settle(self, case: _Case, seat: Seat) -> None:
        case.seat = seat
        if case.member.id not in self.touched:
            self.strangers.append(case)

    # -- phase 4: what is to be stored

    def outcome(self) -> Outcome:
        changes = tuple(
            SeatChange(case.member.id, case.member.seat, case.seat, case.rule)
            for case in (*self.touched.values(), *self.strangers)
            if case.is_changed
        )
        delta = Outcome(changes, ()).used_delta()
        pools = tuple(
            replace(pool, used=pool.used + delta[pool.tier]) if pool.tier in delta else pool
            for pool in self.pools
        )
        return Outcome(changes, pools, self._unmet(), self._seats_taken())

    def _unmet(self) -> tuple[tuple[str, str], ...]:
        waiting = sorted(
            (case for case in self.touched.values() if case.seat.desired is not None), key=_place_of
        )
        return tuple((case.member.id, str(case.seat.desired)) for case in waiting)

    def _seats_taken(self) -> int:
        def height(seat: Seat) -> int:
            return -1 if seat.tier is None else self.ranks[seat.tier]

        return sum(height(case.seat) < height(case.member.seat) for case in self.touched.values())


class _Line:
    """One kind of waiter in order: touched members and stored ones, merged.

    Only the first is known; nobody is read before somebody looks.
    """

    def __init__(self, touched: Iterable[_Case], stored: Iterable[_Case]) -> None:
        self._cases = merge(touched, stored, key=_place_of)
        self._first: _Case | None = None

    @property
    def place(self) -> Place | None:
        """The place in the queue of the first one; None where there is nobody (any more)."""
        if self._first is None:
            self._first = next(self._cases, None)
        return None if self._first is None else self._first.place

    def take(self) -> _Case:
        first, self._first = self._first, None
        assert first is not None
        return first


def place(member: Member) -> Place:
    """Return what the queue is ordered by: class of the claim, then who waits longer, then who came first.

    Before all of them comes the member for whom a seat was found by name.
    """
    return _place(member, member.seat)


def claim_class(source: Source) -> int:
    """Return how early those whose claim comes from a source are served: the lower, the earlier (seat rule B5)."""
    return _CLASS.get(source, 2)


def _place(member: Member, seat: Seat) -> Place:
    since = seat.waiting_since
    assert since is not None
    return not member.goes_first, claim_class(seat.source), since, member.created_at, member.id

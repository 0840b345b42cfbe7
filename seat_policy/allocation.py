"""One event in, the seat changes out: re-claim, serve, exchange, fall back (seat rule B5).

The queue may be long, so it is never read whole: from each kind of waiter (what they hold,
what they wait for) only the first is looked at, and the next one when that one was served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
_RULE_OF_WAITER = {Source.OVERRIDE: "C1", Source.MAPPING: "C4"}
_CLASS = {Source.OVERRIDE: 0, Source.MAPPING: 1}


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
        delta: dict[str, int] = {}
        for change in self.changes:
            for tier, step in ((change.before.tier, -1), (change.after.tier, 1)):
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
    for member in sorted(touched, key=lambda member: (member.created_at, member.id)):
        event.claim(member)
    event.begin_queue()
    while event.grant_one():
        pass
    while event.exchange_two():
        pass
    if settings.exhausted_policy is not ExhaustedPolicy.WAIT:
        while event.fall_back_one():
            pass
    return event.outcome()


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
        self.before: dict[str, Seat] = {}
        self.after: dict[str, Seat] = {}
        self.rules: dict[str, str] = {}
        self.touched: dict[str, Member] = {}
        self.lines: dict[Kind, _Line] = {}

    # -- phase 2: re-claim

    def claim(self, member: Member) -> None:
        """Note what a member asks for now; what they may not keep is free for everybody."""
        claim = claim_of(member, self.settings, self.pools)
        seat = self._claimed(member, claim)
        if member.seat.tier is not None and seat.tier is None:
            self.free[member.seat.tier] += 1
        self.touched[member.id] = member
        self._remember(member, claim.rule)
        self.after[member.id] = seat

    def _claimed(self, member: Member, claim: Claim) -> Seat:
        held = None if claim.gives_back else member.seat.tier
        if claim.desired == NOTHING:
            return RELEASED if claim.rule == "C0" or claim.suspends else Seat(None, claim.source, None, None)
        if held == claim.desired or (claim.desired == ANY and held is not None):
            return Seat(held, claim.source, None, None)
        waited = member.seat.desired == claim.desired and member.seat.waiting_since is not None
        return Seat(held, claim.source, claim.desired, member.seat.waiting_since if waited else self.at)

    def _remember(self, member: Member, rule: str) -> None:
        self.before.setdefault(member.id, member.seat)
        self.rules.setdefault(member.id, rule)

    # -- phase 3: serve, exchange, fall back

    def begin_queue(self) -> None:
        """Put the touched members who want something into the lines where they belong."""
        own: dict[Kind, list[Member]] = {}
        for identifier, member in self.touched.items():
            seat = self.after[identifier]
            if seat.desired is not None:
                own.setdefault((seat.tier, seat.desired), []).append(replace(member, seat=seat))
        for kind in own if self.list.is_empty else self._kinds():
            self.lines[kind] = _Line(sorted(own.get(kind, ()), key=place), self._strangers(kind))

    def _kinds(self) -> list[Kind]:
        """Every kind of waiter that there can be: what they hold, and what they wait for."""
        held = [None, *self.free]
        return [(None, ANY), *((holds, tier) for tier in self.free for holds in held if holds != tier)]

    def _strangers(self, kind: Kind) -> Iterator[Member]:
        """Those in the stored queue whom the event did not touch: their claim stands as it is."""
        if self.list.is_empty:
            return iter(())
        return (member for member in self.list.waiting(*kind) if member.id not in self.touched)

    def grant_one(self) -> bool:
        """Give a seat to the first in the queue for whom there is one."""
        return self._move_first(self._tier_for)

    def _tier_for(self, kind: Kind) -> str | None:
        _, desired = kind
        if desired == ANY:
            return self._highest_free(lambda rank: rank <= self.ceiling)
        return desired if self.free[desired] > 0 else None

    def exchange_two(self) -> bool:
        """Let the first two swap who each hold what the other waits for."""
        pairs = [
            (x, y)
            for x in self.lines
            for y in self.lines
            if x == (y[1], y[0]) and self.lines[x].head is not None and self.lines[y].head is not None
        ]
        if not pairs:
            return False
        first, second = min(pairs, key=lambda pair: place(self._head(pair[0])))
        for kind in (first, second):
            member = self.lines[kind].take()
            self._seat(member, replace(member.seat, tier=kind[1], desired=None, waiting_since=None))
        return True

    def fall_back_one(self) -> bool:
        """Give the first who holds nothing a free seat below the tier they wait for; they go on waiting."""
        return self._move_first(self._tier_below, keeps_waiting=True)

    def _tier_below(self, kind: Kind) -> str | None:
        holds, desired = kind
        if holds is not None or desired == ANY:
            return None
        return self._highest_free(lambda rank: rank < self.ranks[desired])

    def _move_first(self, tier_for: Callable[[Kind], str | None], *, keeps_waiting: bool = False) -> bool:
        """Move the first member, over all lines, for whom there is a tier."""
        tiers = {kind: tier for kind in self.lines if (tier := tier_for(kind)) is not None}
        ready = [kind for kind in tiers if self.lines[kind].head is not None]
        if not ready:
            return False
        kind = min(ready, key=lambda kind: place(self._head(kind)))
        member = self.lines[kind].take()
        seat = replace(member.seat, tier=tiers[kind])
        if not keeps_waiting:
            seat = replace(seat, desired=None, waiting_since=None)
        self.free[tiers[kind]] -= 1
        if member.seat.tier is not None:
            self.free[member.seat.tier] += 1
        self._seat(member, seat)
        return True

    def _head(self, kind: Kind) -> Member:
        head = self.lines[kind].head
        assert head is not None
        return head

    def _highest_free(self, allowed: Callable[[int], bool]) -> str | None:
        return next((p.tier for p in self.pools if self.free[p.tier] > 0 and allowed(p.rank)), None)

    def _seat(self, member: Member, seat: Seat) -> None:
        self._remember(member, _RULE_OF_WAITER.get(member.seat.source, "C6"))
        self.after[member.id] = seat

    # -- phase 4: what is to be stored

    def outcome(self) -> Outcome:
        changes = tuple(
            SeatChange(identifier, self.before[identifier], seat, self.rules[identifier])
            for identifier, seat in self.after.items()
            if seat != self.before[identifier]
        )
        delta = Outcome(changes, ()).used_delta()
        pools = tuple(
            replace(pool, used=pool.used + delta[pool.tier]) if pool.tier in delta else pool
            for pool in self.pools
        )
        return Outcome(changes, pools, self._unmet(), self._seats_taken())

    def _unmet(self) -> tuple[tuple[str, str], ...]:
        seated = (replace(member, seat=self.after[member.id]) for member in self.touched.values())
        waiting = sorted((member for member in seated if member.seat.desired is not None), key=place)
        return tuple((member.id, str(member.seat.desired)) for member in waiting)

    def _seats_taken(self) -> int:
        def height(seat: Seat) -> int:
            return -1 if seat.tier is None else self.ranks[seat.tier]

        return sum(height(self.after[i]) < height(self.before[i]) for i in self.touched)


class _Line:
    """One kind of waiter in order: touched members and stored ones, merged; only the heads are known."""

    def __init__(self, touched: Iterable[Member], stored: Iterator[Member]) -> None:
        self._sources = [_Peekable(iter(touched)), _Peekable(stored)]

    @property
    def head(self) -> Member | None:
        heads = [head for source in self._sources if (head := source.head) is not None]
        return min(heads, key=place, default=None)

    def take(self) -> Member:
        first = self.head
        source = next(source for source in self._sources if source.head is first)
        return source.take()


class _Peekable:
    """An iterator whose next item can be looked at; nothing is read before somebody looks."""

    def __init__(self, items: Iterator[Member]) -> None:
        self._items = items
        self._head: Member | None = None

    @property
    def head(self) -> Member | None:
        if self._head is None:
            self._head = next(self._items, None)
        return self._head

    def take(self) -> Member:
        head = self.head
        assert head is not None
        self._head = None
        return head


def place(member: Member) -> tuple[bool, int, datetime, datetime, str]:
    """Return what the queue is ordered by: class of the claim, then who waits longer, then who came first.

    Before all of them comes the member for whom a seat was found by name.
    """
    since = member.seat.waiting_since
    assert since is not None
    claim_class = _CLASS.get(member.seat.source, 2)
    return not member.goes_first, claim_class, since, member.created_at, member.id

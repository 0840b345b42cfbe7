"""The smallest facts; a test says only what it is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from seat_policy import (
    NO_SEAT,
    GroupMapping,
    GroupMappings,
    Member,
    Outcome,
    Pool,
    Role,
    Seat,
    Settings,
    Source,
    Status,
    reconcile,
)
from seat_policy.allocation import place

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
MAPPED = Settings(group_mappings=GroupMappings.ON)
RANKS = {"premium": 2, "standard": 1}


def pools(premium: str = "0/0", standard: str = "0/0") -> list[Pool]:
    """Pools as in ``pools("1/2", "0/3")``: used of allocated."""
    made = []
    for tier, text in (("premium", premium), ("standard", standard)):
        used, allocated = text.split("/")
        made.append(Pool(tier, RANKS[tier], int(allocated), int(used)))
    return made


def holding(tier: str | None, source: Source = Source.DEFAULT, desired: str | None = None) -> Seat:
    return Seat(tier, source, desired, NOW - timedelta(hours=1) if desired else None)


def person(
    name: str,
    *tiers: str,
    seat: Seat = NO_SEAT,
    override: str | None = None,
    status: Status = Status.ACTIVE,
    role: Role = Role.USER,
    joined_by: Source = Source.DEFAULT,
) -> Member:
    """A member of a mapped group for each of ``tiers``."""
    mappings = tuple(GroupMapping(f"group-{tier}", tier, None) for tier in tiers)
    return Member(name, NOW, status, role, seat, override, mappings, joined_by=joined_by)


class Queue:
    """A waiting list of a few members."""

    def __init__(self, *members: Member) -> None:
        self.members = sorted(members, key=place)

    @property
    def is_empty(self) -> bool:
        return not self.members

    def waiting(self, holds: str | None, desired: str) -> Iterator[Member]:
        return (m for m in self.members if (m.seat.tier, m.seat.desired) == (holds, desired))


def outcome(
    before: Sequence[Pool], touched: Sequence[Member], *queue: Member, settings: Settings = MAPPED
) -> Outcome:
    return reconcile(before, touched, Queue(*queue), settings, NOW)


def after(result: Outcome, member: Member) -> Seat:
    """The seat that a member has after an outcome."""
    return next((c.after for c in result.changes if c.member_id == member.id), member.seat)


def seats_after(result: Outcome, members: Sequence[Member]) -> list[Member]:
    return [replace(member, seat=after(result, member)) for member in members]

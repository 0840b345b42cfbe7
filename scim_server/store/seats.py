"""Seats: the pools' lock, the facts that the policy asks for, and what it decided, saved set-based."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from operator import attrgetter, itemgetter
from typing import Any

import orjson
from sqlalchemy import bindparam, func, insert, select, tuple_, update

from scim_server.store.arrays import WORTH_A_STATEMENT, among, in_chunks
from scim_server.store.prepared import Prepared
from scim_server.store.tables import (
    Instant,
    KeyText,
    assignments,
    group_mappings,
    instant_of,
    memberships,
    microseconds_of,
    organizations,
    seat_pools,
    users,
)
from scim_server.store.transaction import Transaction
from scim_server.store.users import lock_seats
from seat_policy import (
    GroupMapping,
    Member,
    Pool,
    Role,
    Seat,
    SeatChange,
    SeatStatus,
    Source,
    Status,
    claim_class,
    seat_status,
)

_QUEUE_PAGE = 64
_member_id = attrgetter("member_id")


@dataclass(frozen=True, slots=True)
class Reservation:
    """A free seat of a tier that is kept for somebody's next action."""

    tier: str
    actor: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides about an organization's seats beside its members: pools, plan, and the stored settings as JSON."""

    pools: tuple[Pool, ...]
    settings: str
    plan: str
    version: int
    reservations: tuple[Reservation, ...]
    somebody_waits: bool


@dataclass(frozen=True, slots=True)
class Waiter:
    """One place in the queue, as an administrator sees it."""

    member_id: str
    user_name: str
    holds: str | None
    desired: str
    source: str
    waiting_since: datetime
    claim_class: int

    @property
    def place(self) -> tuple[int, int, str]:
        """What the queue is ordered by; the instant in microseconds."""
        return self.claim_class, microseconds_of(self.waiting_since), self.member_id


_NEWEST_HOLDERS = Prepared(
    select(assignments.c.member_id)
    .where(
        assignments.c.organization_id == bindparam("organization_id"),
        assignments.c.tier == bindparam("tier"),
    )
    .order_by(assignments.c.member_id.desc())
    .limit(bindparam("limit"))
)
_is_waiting = (assignments.c.organization_id == bindparam("organization_id")) & assignments.c.desired.is_not(
    None
)
_in_turn = (assignments.c.claim_class, assignments.c.waiting_since, assignments.c.member_id)
# Asked for in turn, the first of the queue is found by its index; "anybody" might be looked for among all who
# do not wait, where the database knows that many do elsewhere.
_somebody_waits = (
    select(assignments.c.member_id)
    .where(_is_waiting)
    .order_by(*_in_turn)
    .limit(1)
    .scalar_subquery()
    .is_not(None)
)
_SOMEBODY_WAITS = Prepared(select(_somebody_waits))
_rules = (
    select(
        seat_pools.c.tier,
        seat_pools.c.rank,
        seat_pools.c.allocated,
        seat_pools.c.used,
        seat_pools.c.reservations,
        seat_pools.c.version,
        organizations.c.settings,
        organizations.c.plan,
        organizations.c.version.label("organization_version"),
    )
    .join(organizations, organizations.c.id == seat_pools.c.organization_id)
    .where(
        seat_pools.c.organization_id == bindparam("organization_id"),
        organizations.c.id == bindparam("organization_id"),
    )
    .order_by(seat_pools.c.rank.desc())
)
_RULES = Prepared(_rules.add_columns(_somebody_waits.label("somebody_waits")))
# NO KEY UPDATE: rows that refer to the organization may still be inserted meanwhile.
_LOCK_RULES = Prepared(_rules.with_for_update(key_share=True))
_this_pool = (seat_pools.c.organization_id == bindparam("in_organization")) & (
    seat_pools.c.tier == bindparam("of_tier")
)
_MOVE = Prepared(
    update(seat_pools)
    .where(_this_pool)
    .values(
        used=seat_pools.c.used + bindparam("used_delta"),
        allocated=seat_pools.c.allocated + bindparam("allocated_delta"),
        version=seat_pools.c.version + 1,
    )
)
_RESERVE = Prepared(
    update(seat_pools)
    .where(_this_pool)
    .values(reservations=bindparam("kept"), version=seat_pools.c.version + 1)
)
_TOUCH_ORGANIZATION = Prepared(
    update(organizations)
    .where(organizations.c.id == bindparam("in_organization"))
    .values(version=organizations.c.version + 1)
)

_member = (
    users.c.id,
    users.c.created_at,
    users.c.active,
    users.c.invited,
    users.c.role,
    users.c.own_role,
    users.c.joined_by,
    users.c.named_tier,
    assignments.c.tier,
    assignments.c.source,
    assignments.c.status,
    assignments.c.desired,
    assignments.c.waiting_since,
    assignments.c.override_tier,
)
_members = (
    select(*_member)
    .select_from(
        users.outerjoin(
            assignments,
            (assignments.c.organization_id == users.c.organization_id)
            & (assignments.c.member_id == users.c.id),
        )
    )
    .where(users.c.organization_id == bindparam("organization_id"))
)
_MEMBERS = Prepared(_members.where(among(users.c.id, "ids")).order_by(users.c.id))
_MAPPINGS_OF = Prepared(
    select(
        memberships.c.member_id,
        group_mappings.c.group_id,
        group_mappings.c.tier,
        group_mappings.c.priority,
        group_mappings.c.role,
    )
    .join(
        group_mappings,
        (group_mappings.c.organization_id == memberships.c.organization_id)
        & (group_mappings.c.group_id == memberships.c.group_id),
    )
    .where(
        memberships.c.organization_id == bindparam("organization_id"), among(memberships.c.member_id, "ids")
    )
)

_seated_users = assignments.join(
    users,
    (assignments.c.organization_id == users.c.organization_id) & (assignments.c.member_id == users.c.id),
)
_queue = (
    select(*_member, assignments.c.claim_class)
    .select_from(_seated_users)
    .where(_is_waiting, assignments.c.desired == bindparam("desired"))
    .order_by(*_in_turn)
    .limit(_QUEUE_PAGE)
)
_place = tuple_(*_in_turn)
_this_place = tuple_(
    bindparam("claim_class"), bindparam("since", type_=Instant()), bindparam("member_id", type_=KeyText)
)
_behind = _place > _this_place
_ahead = _place < _this_place
_QUEUE_OF_HOLDERS = Prepared(_queue.where(assignments.c.tier == bindparam("holds")))
_QUEUE_OF_SEATLESS = Prepared(_queue.where(assignments.c.tier.is_(None)))
_QUEUE_OF_HOLDERS_BEHIND = Prepared(_QUEUE_OF_HOLDERS.statement.where(_behind))
_QUEUE_OF_SEATLESS_BEHIND = Prepared(_QUEUE_OF_SEATLESS.statement.where(_behind))

_WAITERS_BEHIND = Prepared(
    select(
        assignments.c.member_id,
        users.c.document,
        assignments.c.tier,
        assignments.c.desired,
        assignments.c.source,
        assignments.c.waiting_since,
        assignments.c.claim_class,
    )
    .select_from(_seated_users)
    .where(_is_waiting, _behind)
    .order_by(*_in_turn)
    .limit(bindparam("limit"))
)
_PLACE_OF = Prepared(
    select(assignments.c.claim_class, assignments.c.waiting_since).where(
        _is_waiting, assignments.c.member_id == bindparam("member_id")
    )
)
_COUNT_AHEAD = Prepared(select(func.count()).select_from(assignments).where(_is_waiting, _ahead))

_INSERT = Prepared(insert(assignments))
_save = (
    update(assignments)
    .where(assignments.c.organization_id == bindparam("in_organization"))
    .values(version=assignments.c.version + 1)
)
_SAVE = Prepared(_save.where(assignments.c.member_id == bindparam("of_member")))
_SAVE_ALIKE = Prepared(_save.where(among(assignments.c.member_id, "ids")))


def rules(tx: Transaction, organization_id: str) -> Rules:
    """Read pools and settings without a lock, highest tier first."""
    return ask_for_rules(tx, organization_id)()


def ask_for_rules(tx: Transaction, organization_id: str) -> Callable[[], Rules]:
    """Do as ``rules``, but wait for the answer only where it is called."""
    asked = tx.execute(_RULES, {"organization_id": organization_id})
    return lambda: _rules_of(asked.all(), somebody_waits=asked.first().somebody_waits)


def lock_rules(tx: Transaction, organization_id: str) -> Rules:
    """Read pools and settings and hold them until the transaction ends.

    Every seat change of an organization starts here, so two of them never run at the same time.
    """
    return lock_and_ask_for_rules(tx, organization_id)()


def lock_and_ask_for_rules(tx: Transaction, organization_id: str) -> Callable[[], Rules]:
    """Do as ``lock_rules``, but wait for the answer only where it is called."""
    if tx.dialect.name == "sqlite":  # which has one writer anyway
        return partial(rules, tx, organization_id)
    parameters = {"organization_id": organization_id}
    rows = tx.execute(_LOCK_RULES, parameters)
    # Asked only then: a statement that waited for a lock sees other tables as they were before it waited.
    somebody_waits = tx.execute(_SOMEBODY_WAITS, parameters)
    return lambda: _rules_of(rows.all(), somebody_waits=somebody_waits.scalar_one())


def members(
    tx: Transaction, organization_id: str, ids: Sequence[str], *, with_mappings: bool
) -> list[Member]:
    """Return what the policy must know of some members, in the order in which they were created."""
    return AskedMembers(tx, organization_id, ids).read(with_mappings=with_mappings)


class AskedMembers:
    """Members who were asked for, the first of them on their way already (``members``)."""

    def __init__(self, tx: Transaction, organization_id: str, ids: Sequence[str]) -> None:
        self._tx = tx
        self._organization_id = organization_id
        self._chunks = list(in_chunks(sorted(set(ids))))
        self._first = self._ask(self._chunks[0]) if self._chunks else ()

    def read(self, *, with_mappings: bool) -> list[Member]:
        found = []
        for place, chunk in enumerate(self._chunks):
            rows = self._ask(chunk) if place else self._first
            mappings = _mappings_of(self._tx, self._parameters(chunk)) if with_mappings else {}
            found += [_member_of(row, mappings.get(row.id, ())) for row in rows]
        return found

    def _ask(self, ids: list[str]) -> Iterable[Any]:
        rows: Iterable[Any] = self._tx.execute(_MEMBERS, self._parameters(ids))
        return rows

    def _parameters(self, ids: list[str]) -> dict[str, Any]:
        return {"organization_id": self._organization_id, "ids": ids}


def _mappings_of(tx: Transaction, parameters: Mapping[str, Any]) -> dict[str, tuple[GroupMapping, ...]]:
    """Return the mappings of each of some members; who has none is absent."""
    found: dict[str, tuple[GroupMapping, ...]] = {}
    for member_id, *mapping in tx.execute(_MAPPINGS_OF, parameters):
        found[member_id] = _with_mapping(found.get(member_id, ()), *mapping)
    return found


@lru_cache(maxsize=1024)
def _with_mapping(
    others: tuple[GroupMapping, ...], group_id: str, tier: str, priority: int | None, role: str | None
) -> tuple[GroupMapping, ...]:
    """Return the mappings of a member with one more; members of the same groups share them."""
    return (*others, GroupMapping(group_id, tier, priority, Role(role) if role else None))


def all_member_ids(tx: Transaction, organization_id: str) -> list[str]:
    """Return the ids of all members in the order in which they were created."""
    statement = select(users.c.id).where(users.c.organization_id == organization_id).order_by(users.c.id)
    return list(tx.execute(statement).scalars())


class Queue:
    """Who waits, read page by page and only as far as the policy looks (``seat_policy.WaitingList``)."""

    def __init__(self, tx: Transaction, organization_id: str, *, is_empty: bool) -> None:
        self._tx = tx
        self._organization_id = organization_id
        self.is_empty = is_empty

    def waiting(self, holds: str | None, desired: str) -> Iterator[Member]:
        """Yield those who hold ``holds`` and wait for ``desired``, first come first."""
        first, behind = (
            (_QUEUE_OF_SEATLESS, _QUEUE_OF_SEATLESS_BEHIND)
            if holds is None
            else (_QUEUE_OF_HOLDERS, _QUEUE_OF_HOLDERS_BEHIND)
        )
        parameters = {"organization_id": self._organization_id, "desired": desired, "holds": holds}
        rows = self._tx.execute(first, parameters).all()
        while rows:
            yield from (_member_of(row, ()) for row in rows)
            if len(rows) < _QUEUE_PAGE:
                return
            last = rows[-1]
            parameters |= {"claim_class": last.claim_class, "since": last.waiting_since, "member_id": last.id}
            rows = self._tx.execute(behind, parameters).all()


def create(tx: Transaction, organization_id: str, seats: Mapping[str, Seat], at: datetime) -> None:
    """Store the seats of members, by their ids, who have no assignment yet."""
    rows = [
        {"organization_id": organization_id, "member_id": member_id, "version": 0, **_columns(seat, at)}
        for member_id, seat in seats.items()
    ]
    tx.execute(_INSERT, rows)


def save(
    tx: Transaction,
    organization_id: str,
    changes: Iterable[SeatChange],
    used_delta: Mapping[str, int],
    at: datetime,
    *,
    allocated_delta: Mapping[str, int] | None = None,
    but_for: AbstractSet[str] = frozenset(),
) -> None:
    """Store what the policy decided; the CHECK on the pools is the last judge.

    The seats of those who are ``but_for`` are the caller's to store, or to forget.
    """
    in_order = sorted(changes, key=_member_id)  # as ``users.touch`` takes them
    for chunk in in_chunks(change for change in in_order if change.member_id not in but_for):
        _save_seats(tx, organization_id, chunk, at)
    bought = allocated_delta or {}
    moved = [
        {
            "in_organization": organization_id,
            "of_tier": tier,
            "used_delta": used_delta.get(tier, 0),
            "allocated_delta": bought.get(tier, 0),
        }
        for tier in sorted(used_delta.keys() | bought.keys())
        if used_delta.get(tier) or bought.get(tier)
    ]
    if moved:
        tx.execute(_MOVE, moved)
    elif in_order:
        touch_organization(tx, organization_id)


def _save_seats(tx: Transaction, organization_id: str, changes: Sequence[SeatChange], at: datetime) -> None:
    """Store the seats of some members; where many get the same seat, they are one statement.

    Their rows are taken in the order of their ids, whoever gets what.
    """
    alike: dict[Seat, list[str]] = {}
    for change in changes:
        alike.setdefault(change.after, []).append(change.member_id)
    if any(len(ids) >= WORTH_A_STATEMENT for ids in alike.values()):  # which come in any order
        lock_seats(tx, organization_id, [change.member_id for change in changes])
    rows = []
    for seat, ids in alike.items():
        columns = {"in_organization": organization_id, **_columns(seat, at)}
        if len(ids) >= WORTH_A_STATEMENT:
            tx.execute(_SAVE_ALIKE, {**columns, "ids": ids})
        else:
            rows += [{**columns, "of_member": member_id} for member_id in ids]
    if rows:
        tx.execute(_SAVE, sorted(rows, key=itemgetter("of_member")))


def newest_holders(tx: Transaction, organization_id: str, tier: str, limit: int) -> list[str]:
    """Return the ids of those who hold a seat of a tier, who joined last first."""
    return list(
        tx.execute(
            _NEWEST_HOLDERS, {"organization_id": organization_id, "tier": tier, "limit": limit}
        ).scalars()
    )


def reserve(tx: Transaction, organization_id: str, tier: str, kept: Sequence[Reservation]) -> None:
    """Store which free seats of a tier are kept for whom."""
    text = orjson.dumps([[one.actor, microseconds_of(one.until)] for one in kept]).decode()
    parameters = {"in_organization": organization_id, "of_tier": tier, "kept": text if kept else None}
    tx.execute(_RESERVE, parameters)


def touch_organization(tx: Transaction, organization_id: str) -> None:
    """Count up the organization's version for a change that moves no pool."""
    tx.execute(_TOUCH_ORGANIZATION, {"in_organization": organization_id})


def waiters(
    tx: Transaction, organization_id: str, *, behind: tuple[int, int, str], limit: int
) -> list[Waiter]:
    """Return the queue in the order in which it is served, behind a place (class, microseconds, id)."""
    claim_class, since, member_id = behind
    parameters = {
        "organization_id": organization_id,
        "claim_class": claim_class,
        "since": instant_of(since),
        "member_id": member_id,
        "limit": limit,
    }
    rows = tx.execute(_WAITERS_BEHIND, parameters)
    return [
        Waiter(
            row.member_id,
            orjson.loads(row.document)["userName"],
            row.tier,
            row.desired,
            row.source,
            row.waiting_since,
            row.claim_class,
        )
        for row in rows
    ]


def queue_position(tx: Transaction, organization_id: str, member_id: str) -> int | None:
    """Return how many are served before this member, plus one; None for who does not wait."""
    key = {"organization_id": organization_id, "member_id": member_id}
    own = tx.execute(_PLACE_OF, key).one_or_none()
    if own is None:
        return None
    place = {"claim_class": own.claim_class, "since": own.waiting_since}
    return 1 + int(tx.execute(_COUNT_AHEAD, {**key, **place}).scalar_one())


def waiting_counts(tx: Transaction, organization_id: str) -> Mapping[str, int]:
    """Return how many wait for each tier, ``any`` included."""
    statement = select(assignments.c.desired, func.count()).where(_is_waiting).group_by(assignments.c.desired)
    return {desired: count for desired, count in tx.execute(statement, {"organization_id": organization_id})}


def _rules_of(rows: Sequence[Any], *, somebody_waits: bool) -> Rules:
    first = rows[0]
    return Rules(
        pools=tuple(Pool(row.tier, row.rank, row.allocated, row.used) for row in rows),
        settings=first.settings,
        plan=first.plan,
        version=first.organization_version + sum(row.version for row in rows),
        somebody_waits=somebody_waits,
        reservations=tuple(
            Reservation(row.tier, actor, instant_of(until))
            for row in rows
            if row.reservations is not None
            for actor, until in orjson.loads(row.reservations)
        ),
    )


def _member_of(row: Any, mappings: tuple[GroupMapping, ...]) -> Member:
    return Member(
        id=row.id,
        created_at=row.created_at,
        status=status_of(active=row.active, invited=row.invited),
        role=_ROLES[row.role],
        seat=_seat_of(row.tier, row.source, row.desired, row.waiting_since, row.status),
        override=row.override_tier,
        mappings=mappings,
        named_tier=row.named_tier,
        joined_by=_SOURCES[row.joined_by],
        own_role=_ROLES[row.own_role],
    )


_ROLES = {role.value: role for role in Role}
_SOURCES = {source.value: source for source in Source}


@lru_cache(maxsize=1024)
def _seat_of(
    tier: str | None, source: str | None, desired: str | None, since: datetime | None, status: str | None
) -> Seat:
    """Return the seat that columns say; members with the same share it, so that many of them take little memory."""
    released = status == SeatStatus.RELEASED
    return Seat(tier, _SOURCES[source or Source.NONE], desired, since, released=released)


def status_of(*, active: bool, invited: bool) -> Status:
    """Return a member's status from the two facts that are stored."""
    if not active:
        return Status.SUSPENDED
    return Status.INVITED if invited else Status.ACTIVE


def _columns(seat: Seat, at: datetime) -> dict[str, Any]:
    return {
        "tier": seat.tier,
        "source": seat.source.value,
        "status": seat_status(seat).value,
        "desired": seat.desired,
        "waiting_since": seat.waiting_since,
        "claim_class": None if seat.desired is None else claim_class(seat.source),
        "changed_at": at,
    }

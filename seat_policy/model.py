"""Facts and decisions: what the policy is told, and what it answers (seat rules B1–B3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

UNASSIGNED = "unassigned"
ANY = "any"


class Source(StrEnum):
    """Where a claim comes from; ``jit`` is the default, taken at a login."""

    DEFAULT = "default"
    JIT = "jit"
    MAPPING = "mapping"
    OVERRIDE = "override"
    NONE = "none"


class Status(StrEnum):
    """The status of a membership; who was removed is no member at all."""

    INVITED = "invited"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"
    OWNER = "owner"
    PRIMARY_OWNER = "primary_owner"


class SeatStatus(StrEnum):
    """The states of a seat (seat rule B2)."""

    ASSIGNED = "assigned"
    HELD_WAITING = "held_waiting"
    WAITING = "waiting"
    UNASSIGNED = "unassigned"
    RELEASED = "released"


class ProvisioningMode(StrEnum):
    MANUAL = "manual"
    JIT = "jit"
    SCIM = "scim"


class GroupMappings(StrEnum):
    OFF = "off"
    ON = "on"


class MappingConflict(StrEnum):
    """Several mapped groups: the highest tier, or the mapping with the lowest priority number."""

    HIGHEST = "highest"
    PRIORITY = "priority"


class UnmappedPolicy(StrEnum):
    """Mappings are on and a member is in no mapped group."""

    DEFAULT = "default"
    UNASSIGNED = "unassigned"
    REMOVE = "remove"


class MappingLostPolicy(StrEnum):
    """A member's mapping or override is gone: back to the default, keep the seat, or give it up."""

    REASSESS = "reassess"
    KEEP = "keep"
    UNASSIGN = "unassign"


class ExhaustedPolicy(StrEnum):
    """No seat of the wanted tier is free."""

    FALLBACK = "fallback"
    WAIT = "wait"
    AUTO_PURCHASE = "auto_purchase"
    REJECT = "reject"


class OverridePolicy(StrEnum):
    STICKY = "sticky"
    MAPPING_WINS = "mapping_wins"


class ReductionEffective(StrEnum):
    IMMEDIATE = "immediate"
    RENEWAL = "renewal"


@dataclass(frozen=True, slots=True)
class Pool:
    """All seats of one tier: bought (``allocated``) and held (``used``). A higher ``rank`` is a higher tier."""

    tier: str
    rank: int
    allocated: int
    used: int

    @property
    def free(self) -> int:
        return self.allocated - self.used


@dataclass(frozen=True, slots=True)
class Seat:
    """What a member holds (``tier`` None: nothing) and waits for (``desired`` None: nothing, ``any``: any tier).

    ``source`` is that of the claim, also while it is unmet; ``waiting_since`` is when it became so.
    ``released``: the member is suspended, by the identity provider or by ``unmapped_policy``,
    and claims nothing at all.
    """

    tier: str | None
    source: Source
    desired: str | None
    waiting_since: datetime | None
    released: bool = False


NO_SEAT = Seat(None, Source.NONE, None, None)
RELEASED = Seat(None, Source.NONE, None, None, released=True)


@dataclass(frozen=True, slots=True)
class GroupMapping:
    """A group of the member's that is mapped to a tier, and perhaps to a role."""

    group_id: str
    tier: str
    priority: int | None
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """What the policy must know of a member.

    ``role`` counts now, ``own_role`` was given by hand; ``mappings`` are those of the groups that
    the member belongs to directly; ``named_tier`` is the tier that the identity provider itself
    names (seat rule C3); ``joined_by`` is the source that a new default claim gets.
    ``goes_first``: a free seat was found, kept or bought for this very member, who is served
    before everybody who waits. ``is_indispensable``: the organization would have no owner without.
    """

    id: str
    created_at: datetime
    status: Status
    role: Role
    seat: Seat
    override: str | None
    mappings: tuple[GroupMapping, ...]
    named_tier: str | None = None
    joined_by: Source = Source.DEFAULT
    own_role: Role = Role.USER
    goes_first: bool = False
    is_indispensable: bool = False


@dataclass(frozen=True, slots=True)
class SeatChange:
    """A member's seat before and after, and the rule of the claim that led to it."""

    member_id: str
    before: Seat
    after: Seat
    rule: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an organization (seat rule B3).

    ``default_ceiling`` None: the highest tier there is. ``removal_guard``: an event that would
    take more seats than this is held until an owner decides; None never. ``named_tiers``:
    whether the identity provider may name the tier itself (seat rule C3).
    ``auto_purchase_monthly_cap``: the most seats that are bought by themselves in a calendar month.
    """

    provisioning_mode: ProvisioningMode = ProvisioningMode.SCIM
    group_mappings: GroupMappings = GroupMappings.OFF
    mapping_conflict: MappingConflict = MappingConflict.HIGHEST
    unmapped_policy: UnmappedPolicy = UnmappedPolicy.DEFAULT
    mapping_lost_policy: MappingLostPolicy = MappingLostPolicy.REASSESS
    exhausted_policy: ExhaustedPolicy = ExhaustedPolicy.FALLBACK
    default_ceiling: str | None = None
    override_policy: OverridePolicy = OverridePolicy.STICKY
    min_total: int = 0
    max_total: int | None = None
    reduction_effective: ReductionEffective = ReductionEffective.IMMEDIATE
    removal_guard: int | None = None
    named_tiers: bool = False
    invitation_days: int = 21
    auto_purchase_monthly_cap: int = 10


@dataclass(frozen=True, slots=True)
class Invalid:
    """A setting that makes no sense, and what it could be."""

    name: str
    reason: str


def seat_status(seat: Seat) -> SeatStatus:
    """Return the state of a seat (seat rule B2)."""
    if seat.released:
        return SeatStatus.RELEASED
    if seat.desired is None:
        return SeatStatus.UNASSIGNED if seat.tier is None else SeatStatus.ASSIGNED
    return SeatStatus.WAITING if seat.tier is None else SeatStatus.HELD_WAITING


def can_use(status: Status, seat: Seat) -> bool:
    """Whether the product is open to a member: active, and with a seat."""
    return status is Status.ACTIVE and seat.tier is not None


def settings_from(
    values: Mapping[str, object], tiers: Collection[str], base: Settings = Settings()
) -> Settings | tuple[Invalid, ...]:
    """Return settings with some values put in the place of those of ``base``, or all that is wrong with them.

    ``values`` are as in JSON; ``tiers`` are the organization's tiers, highest first.
    """
    read: dict[str, Any] = {}
    wrong = []
    for name, value in values.items():
        reader = _READERS.get(name)
        if reader is None:
            wrong.append(Invalid(name, f"is no setting; there are {', '.join(_READERS)}"))
            continue
        try:
            read[name] = reader(value, tiers)
        except ValueError as error:
            wrong.append(Invalid(name, str(error)))
    settings = base if wrong else replace(base, **read)
    # Where only one of the two is set, the other is the plan's, which says nothing against it.
    both_set = {"min_total", "max_total"} <= values.keys()
    if both_set and settings.max_total is not None and settings.min_total > settings.max_total:
        wrong.append(Invalid("min_total", f"must not be above max_total, which is {settings.max_total}"))
    return tuple(wrong) if wrong else settings


def settings_as_values(settings: Settings, tiers: Collection[str] = ()) -> dict[str, object]:
    """Return every setting as a JSON value; ``settings_from`` reads it back."""
    values: dict[str, object] = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values["default_ceiling"] = settings.default_ceiling or next(iter(tiers), None)
    values["removal_guard"] = settings.removal_guard or "off"
    return {name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()}


def setting_shapes() -> Mapping[str, Mapping[str, object]]:
    """Return what each setting may be, as JSON Schema says it."""
    return {name: reader.shape for name, reader in _READERS.items()}


@dataclass(frozen=True, slots=True)
class _Reader:
    """How a setting is read from a JSON value, and what that may be; the tiers are an organization's own."""

    read: Callable[[object, Collection[str]], object]
    shape: Mapping[str, object]

    def __call__(self, value: object, tiers: Collection[str]) -> object:
        return self.read(value, tiers)


def _choice(of: type[StrEnum]) -> _Reader:
    def read(value: object, _tiers: Collection[str]) -> StrEnum:
        if not isinstance(value, str) or value not in list(of):
            raise ValueError(f"must be one of {', '.join(of)}")
        return of(value)

    return _Reader(read, {"type": "string", "enum": list(of)})


def _whole(least: int, *, absent: str | None = None, maximum: int = 10_000_000) -> _Reader:
    def read(value: object, _tiers: Collection[str]) -> int | None:
        if absent is not None and value in (absent, None):
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= maximum:
            raise ValueError(f"must be a whole number from {least}" + (f", or {absent}" if absent else ""))
        return value

    number = {"type": "integer", "minimum": least, "maximum": maximum}
    nothing = [{"type": "string", "enum": [absent]}, {"type": "null"}] if absent else []
    return _Reader(read, {"anyOf": [number, *nothing]} if nothing else number)


def _ceiling(value: object, tiers: Collection[str]) -> str | None:
    if value is None:
        return None
    if value not in tiers:
        raise ValueError(f"must be one of the tiers {', '.join(tiers)}")
    return str(value)


def _flag(value: object, _tiers: Collection[str]) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


_READERS: Mapping[str, _Reader] = {
    "provisioning_mode": _choice(ProvisioningMode),
    "group_mappings": _choice(GroupMappings),
    "mapping_conflict": _choice(MappingConflict),
    "unmapped_policy": _choice(UnmappedPolicy),
    "mapping_lost_policy": _choice(MappingLostPolicy),
    "exhausted_policy": _choice(ExhaustedPolicy),
    "default_ceiling": _Reader(_ceiling, {"type": ["string", "null"]}),
    "override_policy": _choice(OverridePolicy),
    "min_total": _whole(0),
    "max_total": _whole(1, absent="none"),
    "reduction_effective": _choice(ReductionEffective),
    "removal_guard": _whole(1, absent="off"),
    "named_tiers": _Reader(_flag, {"type": "boolean"}),
    "invitation_days": _whole(1, maximum=3650),
    "auto_purchase_monthly_cap": _whole(0),
}

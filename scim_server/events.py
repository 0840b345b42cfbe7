"""What can happen: frozen dataclasses, in the past tense.

An event is appended to the event log in the transaction that made it true. The log is
the audit trail and the seat history in one. No value of an attribute that is never
returned (RFC 7643 §7) enters an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; ``subject_id`` is the resource or member that it is about."""

    subject_id: str


@dataclass(frozen=True, slots=True)
class UserCreated(Event):
    user_name: str


@dataclass(frozen=True, slots=True)
class UserChanged(Event):
    """``changed`` names the attributes whose values differ; before and after are those values."""

    changed: tuple[str, ...]
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True, slots=True)
class UserDeleted(Event):
    user_name: str


@dataclass(frozen=True, slots=True)
class GroupCreated(Event):
    display_name: str


@dataclass(frozen=True, slots=True)
class GroupChanged(Event):
    """``joined`` and ``left`` count members; ``skipped`` counts references to nobody."""

    changed: tuple[str, ...]
    joined: int = 0
    left: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class GroupDeleted(Event):
    display_name: str
    left: int


@dataclass(frozen=True, slots=True)
class SeatChanged(Event):
    """A member's seat before and after; ``cause`` is the operation that led to it, ``rule`` the claim rule."""

    from_tier: str
    to_tier: str
    source: str
    cause: str
    rule: str
    desired_tier: str | None


@dataclass(frozen=True, slots=True)
class OverrideSet(Event):
    """An administrator decided: ``after`` is the tier, ``before`` that of an override that stood already."""

    before: str | None
    after: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class OverrideCleared(Event):
    before: str
    after: None = None


@dataclass(frozen=True, slots=True)
class MappingSet(Event):
    """``subject_id`` is the group; before and after are the mapping's fields, None for none."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class SettingsChanged(Event):
    """``subject_id`` is the organization; only the settings that differ are named."""

    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SeatsHeld(Event):
    """The seat part of an event that would take many seats waits for an owner. ``subject_id`` names the hold."""

    cause: str
    seats_taken: int


@dataclass(frozen=True, slots=True)
class HeldSeatsDecided(Event):
    """An owner decided about a hold: ``decision`` is confirmed or rejected."""

    cause: str
    decision: str


@dataclass(frozen=True, slots=True)
class SeatReserved(Event):
    """A freed seat is kept for an administrator's next action; ``subject_id`` is who gave it up."""

    tier: str
    until: str


@dataclass(frozen=True, slots=True)
class RoleChanged(Event):
    """``by``: hand or mapping."""

    before: str
    after: str
    by: str


@dataclass(frozen=True, slots=True)
class InvitationSent(Event):
    user_name: str
    role: str
    tier: str | None
    expires_at: str


@dataclass(frozen=True, slots=True)
class InvitationAccepted(Event):
    """Before and after are the status of the member."""

    before: str = "invited"
    after: str = "active"


@dataclass(frozen=True, slots=True)
class InvitationEnded(Event):
    """``how``: expired or revoked."""

    user_name: str
    how: str


@dataclass(frozen=True, slots=True)
class AllocationChanged(Event):
    """Seats were bought or given up; ``subject_id`` is the invoice, before and after are seats by tier."""

    invoice_number: int
    total_minor: int
    currency: str
    before: dict[str, int]
    after: dict[str, int]


@dataclass(frozen=True, slots=True)
class ReductionScheduled(Event):
    tier: str
    quantity: int
    effective_on: str


@dataclass(frozen=True, slots=True)
class ReductionCancelled(Event):
    tier: str
    quantity: int
    effective_on: str


@dataclass(frozen=True, slots=True)
class TermRenewed(Event):
    """A period began; ``subject_id`` is the organization."""

    period_start: str
    period_end: str
    before: dict[str, int]
    after: dict[str, int]


@dataclass(frozen=True, slots=True)
class PriceChanged(Event):
    """``subject_id`` is the organization."""

    tier: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class OrganizationCreated(Event):
    name: str


@dataclass(frozen=True, slots=True)
class TokenEvent(Event):
    """What a token is; never its secret, and not the hash of it either."""

    kind: str
    role: str | None
    member_id: str | None
    name: str | None
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class TokenCreated(TokenEvent):
    pass


@dataclass(frozen=True, slots=True)
class TokenRevoked(TokenEvent):
    pass


@dataclass(frozen=True, slots=True)
class TokenRotated(TokenEvent):
    """The token has a new secret; all else is as it was."""


@dataclass(frozen=True, slots=True)
class SchemaDeclared(Event):
    resource_type: str
    urn: str

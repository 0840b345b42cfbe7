"""What does a member ask for? The order of the rules C0–C6 is the order of the lines (seat rule B4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from seat_policy.model import (
    ANY,
    UNASSIGNED,
    GroupMapping,
    GroupMappings,
    MappingConflict,
    MappingLostPolicy,
    Member,
    OverridePolicy,
    Pool,
    Role,
    Settings,
    Source,
    Status,
    UnmappedPolicy,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a member should have, before anybody looks at free seats.

    ``desired``: a tier; ``unassigned``: to hold nothing; ``any``: to keep what is held, else
    the highest that is free. ``gives_back``: the seat held now is given back first.
    ``suspends``: the member is to be suspended.
    """

    source: Source
    desired: str
    rule: str
    gives_back: bool = False
    suspends: bool = False


NOTHING = UNASSIGNED


def claim_of(member: Member, settings: Settings, pools: Sequence[Pool]) -> Claim:
    """Return the claim of a member: a function of what stands now, not of how it came about."""
    if member.status is Status.SUSPENDED:
        return Claim(Source.NONE, NOTHING, "C0")
    if member.override is not None and not mappings_rule(member, settings):
        return Claim(Source.OVERRIDE, member.override, "C1")
    if member.role is Role.PRIMARY_OWNER:
        return _default(member, settings, "C2")
    if settings.named_tiers and member.named_tier in _tiers(pools):
        return Claim(Source.MAPPING, str(member.named_tier), "C3")
    if settings.group_mappings is GroupMappings.ON:
        if member.mappings:
            return Claim(Source.MAPPING, mapped_tier(member.mappings, settings, pools), "C4")
        if settings.unmapped_policy is UnmappedPolicy.UNASSIGNED:
            return Claim(Source.NONE, NOTHING, "C5")
        if settings.unmapped_policy is UnmappedPolicy.REMOVE and not member.is_indispensable:
            return Claim(Source.NONE, NOTHING, "C5", suspends=True)
    return _default(member, settings, "C6")


def _tiers(pools: Sequence[Pool]) -> set[str]:
    return {UNASSIGNED, *(pool.tier for pool in pools)}


def mapped_tier(mappings: Sequence[GroupMapping], settings: Settings, pools: Sequence[Pool]) -> str:
    """Return the tier that several mappings come to: the highest, or that of the lowest priority number."""
    if len(mappings) == 1:
        return mappings[0].tier
    ranks = {pool.tier: pool.rank for pool in pools}

    def order(mapping: GroupMapping) -> tuple[float, int]:
        by_priority = settings.mapping_conflict is MappingConflict.PRIORITY
        priority = float("inf") if mapping.priority is None else mapping.priority
        return priority if by_priority else 0, -ranks.get(mapping.tier, 0)

    return min(mappings, key=order).tier


def explain(member: Member, claim: Claim, settings: Settings) -> str:
    """Return in one sentence why a member has the claim that they have."""
    return _REASONS[claim.rule](member, claim, settings)


def what_would_change(member: Member, claim: Claim) -> str:
    """Return in one sentence what would have to happen for a member to hold something else."""
    if claim.suspends:
        return "The member has to join a mapped group."
    if member.seat.desired is not None:
        wanted = "seat" if member.seat.desired == ANY else f"{member.seat.desired} seat"
        return f"A {wanted} has to become free or be bought; the queue is served in order."
    return _CHANGES[claim.rule]


_CHANGES: Mapping[str, str] = {
    "C0": "The identity provider, or who administers it, has to make the member active again.",
    "C1": "An administrator can clear the override or set another.",
    "C2": "An owner's override; a free higher seat alone changes nothing.",
    "C3": "Another tier named by the identity provider, or an administrator's override.",
    "C4": "Another group, another mapping, or an administrator's override.",
    "C5": "A mapped group, or an administrator's override.",
    "C6": "A mapped group, or an administrator's override; a free higher seat alone changes nothing.",
}


def _default(member: Member, settings: Settings, rule: str) -> Claim:
    """Keep what is held, else any; what was held by mapping or override is judged by ``mapping_lost_policy``."""
    source = member.seat.source if member.seat.source in (Source.DEFAULT, Source.JIT) else member.joined_by
    lost = member.seat.source in (Source.MAPPING, Source.OVERRIDE)
    if lost and settings.mapping_lost_policy is MappingLostPolicy.UNASSIGN:
        return Claim(Source.NONE, NOTHING, rule)
    reassess = lost and settings.mapping_lost_policy is MappingLostPolicy.REASSESS
    return Claim(source, ANY, rule, gives_back=reassess)


def mappings_rule(member: Member, settings: Settings) -> bool:
    """Whether a member's groups decide, whatever an administrator says (``override_policy: mapping_wins``).

    The primary owner is not touched by mappings (C2).
    """
    wins = settings.override_policy is OverridePolicy.MAPPING_WINS
    maps = settings.group_mappings is GroupMappings.ON and member.role is not Role.PRIMARY_OWNER
    return wins and maps and bool(member.mappings)


def _mapping_reason(member: Member, claim: Claim, settings: Settings) -> str:
    groups = ", ".join(sorted(mapping.group_id for mapping in member.mappings))
    how = "of the first priority" if settings.mapping_conflict is MappingConflict.PRIORITY else "the highest"
    return f"The groups {groups} are mapped to tiers; {how} is {claim.desired}."


def _unmapped_reason(member: Member, claim: Claim, settings: Settings) -> str:
    what = "is suspended" if claim.suspends else "gets no seat"
    return f"Mappings are on, and who is in no mapped group {what} (unmapped_policy)."


def _default_reason(member: Member, claim: Claim, settings: Settings) -> str:
    if claim.desired == NOTHING or (member.seat.tier is None and member.seat.desired is None):
        return "The mapping or the override is gone, and with it the seat (mapping_lost_policy)."
    return "By default a member keeps their seat, and gets the highest tier that is free."


_REASONS: Mapping[str, Callable[[Member, Claim, Settings], str]] = {
    "C0": lambda member, claim, settings: "The member is suspended and holds no seat.",
    "C1": lambda member, claim, settings: f"An administrator decided: {claim.desired}.",
    "C2": lambda member, claim, settings: (
        "The primary owner gets the highest tier that is free; mappings do not apply."
    ),
    "C3": lambda member, claim, settings: f"The identity provider names the tier: {claim.desired}.",
    "C4": _mapping_reason,
    "C5": _unmapped_reason,
    "C6": _default_reason,
}

"""The seat policy: who gets which seat, decided from facts alone.

Nothing in here reads a clock, a database or a request. A caller states the facts, asks,
and stores the answer.

An organization has bought seats in tiers. A *pool* is all seats of a tier:

>>> from datetime import UTC, datetime
>>> now = datetime(2026, 1, 1, tzinfo=UTC)
>>> pools = [Pool("premium", rank=2, allocated=1, used=0), Pool("standard", rank=1, allocated=1, used=0)]

A *member* has a status, a role, a seat, perhaps an override, and the mappings of their groups:

>>> def newcomer(name, *mappings):
...     return Member(name, now, Status.ACTIVE, Role.USER, NO_SEAT, override=None, mappings=mappings)

By default everybody claims the highest tier that is free; the first who comes is served first:

>>> outcome = reconcile(pools, [newcomer("ada"), newcomer("ben")], NobodyWaits(), Settings(), now)
>>> [(change.member_id, change.after.tier) for change in outcome.changes]
[('ada', 'premium'), ('ben', 'standard')]

A group that is mapped to a tier says which one its members should have. Where that tier is
full they get the next one below, and wait for the one that they should have:

>>> mapped = GroupMapping("eng", "premium", priority=None)
>>> settings = Settings(group_mappings=GroupMappings.ON)
>>> outcome = reconcile(outcome.pools, [], NobodyWaits(), settings, now)
>>> [pool.free for pool in outcome.pools]
[0, 0]
>>> [change] = reconcile(
...     [Pool("premium", 2, 1, 1), Pool("standard", 1, 5, 0)],
...     [newcomer("cy", mapped)], NobodyWaits(), settings, now,
... ).changes
>>> change.after.tier, change.after.desired
('standard', 'premium')

The claim and its rule can be asked for alone:

>>> claim_of(newcomer("cy", mapped), settings, pools).rule
'C4'
"""

from seat_policy.allocation import NobodyWaits, Outcome, WaitingList, reconcile
from seat_policy.claim import Claim, claim_of, explain
from seat_policy.model import (
    ANY,
    NO_SEAT,
    UNASSIGNED,
    ExhaustedPolicy,
    GroupMapping,
    GroupMappings,
    Invalid,
    MappingConflict,
    MappingLostPolicy,
    Member,
    OverridePolicy,
    Pool,
    ProvisioningMode,
    ReductionEffective,
    Role,
    Seat,
    SeatChange,
    SeatStatus,
    Settings,
    Source,
    Status,
    UnmappedPolicy,
    can_use,
    seat_status,
    settings_as_values,
    settings_from,
)
from seat_policy.roles import Action, may

__all__ = [
    "ANY",
    "NO_SEAT",
    "UNASSIGNED",
    "Action",
    "Claim",
    "ExhaustedPolicy",
    "GroupMapping",
    "GroupMappings",
    "Invalid",
    "MappingConflict",
    "MappingLostPolicy",
    "Member",
    "NobodyWaits",
    "Outcome",
    "OverridePolicy",
    "Pool",
    "ProvisioningMode",
    "ReductionEffective",
    "Role",
    "Seat",
    "SeatChange",
    "SeatStatus",
    "Settings",
    "Source",
    "Status",
    "UnmappedPolicy",
    "WaitingList",
    "can_use",
    "claim_of",
    "explain",
    "may",
    "reconcile",
    "seat_status",
    "settings_as_values",
    "settings_from",
]

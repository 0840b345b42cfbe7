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

from seat_policy.allocation import NobodyWaits, Outcome, WaitingList, claim_class, reconcile
from seat_policy.claim import Claim, claim_of, explain, mappings_rule, what_would_change
from seat_policy.currency import format_minor, minor_unit_digits
from seat_policy.model import (
    ANY,
    NO_SEAT,
    RELEASED,
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
    setting_shapes,
    settings_as_values,
    settings_from,
)
from seat_policy.proration import Billing, Period, Plan, Terms, local_day, period_of, start_of
from seat_policy.purchase import (
    PLAN_SETTINGS,
    Line,
    LineKind,
    Offer,
    Reduction,
    Refusal,
    Wanted,
    automatic_purchase,
    is_scheduled,
    next_invoice,
    offer,
    reduce_pools,
    renewal_of,
    upgrade_offer,
)
from seat_policy.roles import Action, may, outranks, role_of

__all__ = [
    "ANY",
    "NO_SEAT",
    "PLAN_SETTINGS",
    "RELEASED",
    "UNASSIGNED",
    "Action",
    "Billing",
    "Claim",
    "ExhaustedPolicy",
    "GroupMapping",
    "GroupMappings",
    "Invalid",
    "Line",
    "LineKind",
    "MappingConflict",
    "MappingLostPolicy",
    "Member",
    "NobodyWaits",
    "Offer",
    "Outcome",
    "OverridePolicy",
    "Period",
    "Plan",
    "Pool",
    "ProvisioningMode",
    "Reduction",
    "ReductionEffective",
    "Refusal",
    "Role",
    "Seat",
    "SeatChange",
    "SeatStatus",
    "Settings",
    "Source",
    "Status",
    "Terms",
    "UnmappedPolicy",
    "WaitingList",
    "Wanted",
    "automatic_purchase",
    "can_use",
    "claim_class",
    "claim_of",
    "explain",
    "format_minor",
    "is_scheduled",
    "local_day",
    "mappings_rule",
    "may",
    "minor_unit_digits",
    "next_invoice",
    "offer",
    "outranks",
    "period_of",
    "reconcile",
    "reduce_pools",
    "renewal_of",
    "role_of",
    "seat_status",
    "setting_shapes",
    "settings_as_values",
    "settings_from",
    "start_of",
    "upgrade_offer",
    "what_would_change",
]

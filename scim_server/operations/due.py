"""What happens without a request: expiries, scheduled reductions, renewals (seat rule B6).

Everything that falls due is found through one instant for each organization
(``next_due_at``). It is caught up before the organization's next request is answered, by a
thread of the server, and by ``scim-server run-due``: whoever comes first. Each step is a
transaction of its own that looks again under its lock, so several may try at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from scim_server.call import Call, Channel
from scim_server.events import TermRenewed
from scim_server.ids import new_id
from scim_server.operations import access, invoices, members, reservations, seat_rules, seats
from scim_server.store import answers, billing, event_log, organizations, users
from scim_server.store import seat_rules as rule_store
from scim_server.store import seats as seat_store
from scim_server.store.organizations import Organization
from scim_server.store.transaction import Transaction
from seat_policy import Plan, Pool, next_invoice, period_of, reduce_pools, renewal_of, start_of

_BATCH = 200
_CLOCKS_DIFFER = timedelta(days=1)
_QUOTES_ARE_KEPT = timedelta(days=30)
_ANSWERS_ARE_KEPT = timedelta(days=30)


class Transactions(Protocol):
    """What this needs of the database; ``store.database.Database`` is one."""

    def run(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...

    def read(self, operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What became of an organization for which something was due: so many steps, or an error."""

    organization_id: str
    steps: int
    error: Exception | None = None


def run_all(database: Transactions, now: datetime) -> Iterator[CaughtUp]:
    """Catch up every organization for which something is due, one after the other.

    What goes wrong with one is reported with it and keeps no other waiting.
    """
    for organization_id in database.read(organizations.all_due, now):
        try:
            yield CaughtUp(organization_id, catch_up(database, organization_id, now))
        except Exception as error:
            yield CaughtUp(organization_id, 0, error)


def catch_up(database: Transactions, organization_id: str, now: datetime) -> int:
    """Do all that is due for an organization, in the order in which it fell due; return the number of steps."""
    steps = 0
    if database.read(_is_not_made_yet, organization_id, now):
        database.run(_go_back, _call(organization_id, now))
    while True:
        boundary = database.read(_next_boundary, organization_id)
        moment = min(now, boundary)
        steps += _expire(database, _call(organization_id, moment))
        if boundary > now:
            break
        steps += database.run(_renew, _call(organization_id, boundary), boundary)
    database.run(_finish, _call(organization_id, now))
    return steps


def _call(organization_id: str, at: datetime) -> Call:
    return access.system_call(
        organization_id, actor="system", at=at, request_id=f"due-{new_id()}", channel=Channel.SYSTEM
    )


def _expire(database: Transactions, call: Call) -> int:
    """End invitations, overrides and reservations whose time has come."""
    steps = 0
    for find, end in (
        (users.expired_invitations, members.expire_invitation),
        (rule_store.expired_overrides, seat_rules.expire_override),
    ):
        while ids := database.read(find, call.organization_id, call.at, _BATCH):
            for member_id in ids:
                database.run(end, call, member_id)
            steps += len(ids)
    database.run(reservations.expire, call)
    return steps


def _is_not_made_yet(tx: Transaction, organization_id: str, now: datetime) -> bool:
    """Whether the clock goes before the moment at which the organization was made, by more than two clocks differ."""
    return now < organizations.get(tx, organization_id).created_at - _CLOCKS_DIFFER


def _go_back(tx: Transaction, call: Call) -> None:
    """Wait for the end of the period that it is by the clock, as for one who looks at another year.

    Only where nothing has been renewed since the organization was made, so that nothing is charged twice.
    """
    seats.lock(tx, call)
    organization = organizations.get(tx, call.organization_id)
    is_as_made = organization.billed_until == period_of(organization.terms, organization.created_at).end
    end = period_of(organization.terms, call.at).end
    if is_as_made and end < organization.billed_until:
        organizations.set_billed_until(tx, call.organization_id, end)


def _next_boundary(tx: Transaction, organization_id: str) -> datetime:
    organization = organizations.get(tx, organization_id)
    return start_of(organization.terms, organization.billed_until)


def _renew(tx: Transaction, call: Call, boundary: datetime) -> int:
    """Begin the next period: reductions take effect, and what there is then is charged."""
    situation = seats.lock(tx, call)
    organization = organizations.get(tx, call.organization_id)
    if start_of(organization.terms, organization.billed_until) != boundary:
        return 0  # somebody else was faster
    before = situation.rules.pools
    happened = _reallocate(tx, call, organization, situation)
    after = seat_store.rules(tx, call.organization_id).pools
    lines = next_invoice(after, organization.terms, invoices.prices(tx, call))
    if lines:
        invoice = invoices.issue(tx, call, invoices.RENEWAL, lines)
        happened.append(invoices.allocation_changed(invoice, before, after))
    period = period_of(organization.terms, organization.billed_until)
    organizations.set_billed_until(tx, call.organization_id, period.end)
    renewed = TermRenewed(
        call.organization_id,
        period.start.isoformat(),
        period.end.isoformat(),
        _allocations(before),
        _allocations(after),
    )
    event_log.append(tx, call, [renewed, *happened])
    return 1


def _reallocate(
    tx: Transaction, call: Call, organization: Organization, situation: seats.Situation
) -> list[Any]:
    """Bring the pools to what the next period begins with; a surplus moves down, the newest first."""
    pools = situation.rules.pools
    if organization.plan == Plan.ENTERPRISE:
        renewed = renewal_of(pools, situation.settings)
        return _move_to(tx, call, situation, {pool.tier: pool.allocated for pool in renewed}, [])
    scheduled = billing.scheduled_by_tier(tx, call.organization_id)
    if not scheduled:
        return []
    billing.unschedule_all(tx, call.organization_id)
    reduction = reduce_pools(pools, scheduled)
    moving = [
        member_id
        for tier, count in reduction.surplus.items()
        for member_id in seat_store.newest_holders(tx, call.organization_id, tier, count)
    ]
    return _move_to(tx, call, situation, dict(reduction.allocated), moving)


def _move_to(
    tx: Transaction, call: Call, situation: seats.Situation, allocated: dict[str, int], moving: list[str]
) -> list[Any]:
    delta = {
        pool.tier: allocated[pool.tier] - pool.allocated
        for pool in situation.rules.pools
        if allocated[pool.tier] != pool.allocated
    }
    if not delta:
        return []
    movers = seat_store.members(tx, call.organization_id, moving, with_mappings=situation.maps_groups)
    return seats.settle_after_reduction(tx, call, situation, movers, delta)


def _finish(tx: Transaction, call: Call) -> None:
    """Tidy up, and note when something is due again."""
    situation = seats.lock(tx, call)
    organization = organizations.get(tx, call.organization_id)
    billing.forget_quotes(tx, call.organization_id, call.at - _QUOTES_ARE_KEPT)
    answers.forget(tx, call.organization_id, call.at - _ANSWERS_ARE_KEPT)
    upcoming = [
        start_of(organization.terms, organization.billed_until),
        users.next_invitation_expiry(tx, call.organization_id),
        rule_store.next_override_expiry(tx, call.organization_id),
        *(kept.until for kept in situation.rules.reservations),
    ]
    organizations.set_next_due(tx, call.organization_id, min(at for at in upcoming if at is not None))


def _allocations(pools: tuple[Pool, ...]) -> dict[str, int]:
    return {pool.tier: pool.allocated for pool in pools}

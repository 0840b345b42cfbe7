"""Who may do what (seat rule B8, "Permissions")."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from seat_policy.model import Role


class Action(StrEnum):
    """What an administrator's role is asked for."""

    VIEW = "view"
    REASSIGN = "reassign"
    BILLING = "billing"
    CONFIGURE = "configure"


_ALLOWED: dict[Role, frozenset[Action]] = {
    Role.USER: frozenset(),
    Role.ADMIN: frozenset({Action.VIEW, Action.REASSIGN}),
    Role.OWNER: frozenset(Action),
    Role.PRIMARY_OWNER: frozenset(Action),
}


def may(role: Role, action: Action) -> bool:
    """Admins and above see and reassign; owners buy, reduce and configure."""
    return action in _ALLOWED[role]


_RANK = {role: rank for rank, role in enumerate(Role)}


def role_of(own: Role, mapped: Iterable[Role]) -> Role:
    """Return a member's role: their own or one that a mapped group gives, whichever is higher.

    No group makes a primary owner, or takes a role away that somebody was given by hand.
    """
    given = [role for role in mapped if role is not Role.PRIMARY_OWNER]
    return max([own, *given], key=_RANK.__getitem__)


def outranks(one: Role, other: Role) -> bool:
    """Whether a role is higher than another."""
    return _RANK[one] > _RANK[other]

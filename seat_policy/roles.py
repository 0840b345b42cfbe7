"""Who may do what (seat rule B8, "Permissions")."""

from __future__ import annotations

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

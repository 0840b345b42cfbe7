"""The ``password`` attribute: hashed before anything else sees it (RFC 7643 §4.1.1, §9.2).

Hashing is slow on purpose, so it is done outside of any transaction: the plain text is
taken out of the request body at the edge and its hash put in its place.
"""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher

from scim_server.scim.schemas import USER_URN
from scim_server.scim.values import Json

# RFC 9106 §4 recommends more memory where one password is checked at a time; identity providers
# push thousands, with random values that nobody will ever type.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

_NAMES = {"password", f"{USER_URN}:password".lower()}


def protect(body: Json) -> Json:
    """Return a User or PatchOp body with a hash in the place of every password."""
    return {key: _protected(key, value) for key, value in body.items()}


def _protected(key: str, value: Any) -> Any:
    if key.lower() in _NAMES and isinstance(value, str) and value:
        return _hasher.hash(value)
    if key.lower() == "operations" and isinstance(value, list):
        return [_protected_operation(item) if isinstance(item, dict) else item for item in value]
    return value


def _protected_operation(operation: Json) -> Json:
    paths = {
        value.lower() for key, value in operation.items() if key.lower() == "path" and isinstance(value, str)
    }
    named = bool(paths & _NAMES)
    return {
        key: _protected_value(value, named=named) if key.lower() == "value" else value
        for key, value in operation.items()
    }


def _protected_value(value: Any, *, named: bool) -> Any:
    if named and isinstance(value, str) and value:
        return _hasher.hash(value)
    return protect(value) if isinstance(value, dict) and not named else value

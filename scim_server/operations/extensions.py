"""The resource types of an organization: the standard ones with the attributes that it declared."""

from __future__ import annotations

from functools import lru_cache

import orjson

from scim_server.scim.attributes import ResourceType
from scim_server.scim.dialects import SeatExtension
from scim_server.scim.schemas import GROUP, USER, schema_from_json, with_extensions, with_seat_on_request


@lru_cache(maxsize=1024)
def resource_types(extensions: str | None, shows_seat: SeatExtension) -> tuple[ResourceType, ResourceType]:
    """Return User and Group with the extensions of a stored declaration, as one token sees them.

    The cache is keyed by the declaration itself, so it can never be out of date.
    """
    user = USER if shows_seat is SeatExtension.DEFAULT else with_seat_on_request(USER)
    if extensions is None:
        return user, GROUP
    declared = orjson.loads(extensions)
    return (
        with_extensions(user, [schema_from_json(schema) for schema in declared.get("User", [])]),
        with_extensions(GROUP, [schema_from_json(schema) for schema in declared.get("Group", [])]),
    )

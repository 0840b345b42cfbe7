"""The resource types of an organization: the standard ones with the attributes that it declared."""

from __future__ import annotations

from functools import lru_cache

import orjson

from scim_server.scim.attributes import ResourceType
from scim_server.scim.schemas import GROUP, USER, schema_from_json, with_extensions


@lru_cache(maxsize=1024)
def resource_types(extensions: str | None) -> tuple[ResourceType, ResourceType]:
    """Return User and Group with the extensions of a stored declaration.

    The cache is keyed by the declaration itself, so it can never be out of date.
    """
    if extensions is None:
        return USER, GROUP
    declared = orjson.loads(extensions)
    return (
        with_extensions(USER, [schema_from_json(schema) for schema in declared.get("User", [])]),
        with_extensions(GROUP, [schema_from_json(schema) for schema in declared.get("Group", [])]),
    )

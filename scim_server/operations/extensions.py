"""The resource types of an organization: the standard ones with the attributes that it declared."""

from __future__ import annotations

from functools import lru_cache

import orjson

from scim_server.call import Call
from scim_server.errors import InvalidSetting, InvalidValue
from scim_server.events import SchemaDeclared
from scim_server.scim.attributes import ResourceType, Schema
from scim_server.scim.dialects import SeatExtension
from scim_server.scim.schemas import GROUP, USER, schema_from_json, with_extensions, with_seat_on_request
from scim_server.scim.values import Json
from scim_server.store import event_log
from scim_server.store import organizations as store
from scim_server.store.transaction import Transaction


def declare(tx: Transaction, call: Call, resource_type: str, document: Json) -> Schema:
    """Add a schema (RFC 7643 §7) to a resource type of the organization, or change the one of its URN.

    Changing one may add attributes and never take one away or give it another type: what is
    stored must go on making sense. Raises InvalidValue, InvalidSetting.
    """
    if resource_type not in (USER.name, GROUP.name):
        raise InvalidSetting(f"{resource_type} is no resource type; there are User and Group.")
    schema = schema_from_json(document)
    organization = store.get(tx, call.organization_id)
    declared: dict[str, list[Json]] = orjson.loads(organization.extensions or "{}")
    present = declared.setdefault(resource_type, [])
    before = next((other for other in present if other["id"].lower() == schema.key), None)
    if before is not None:
        _check_successor(schema_from_json(before), schema)
        present.remove(before)
    present.append({**document, "name": schema.name, "description": schema.description})
    stored = orjson.dumps(declared).decode()
    user_type, group_type = resource_types(stored, SeatExtension.DEFAULT)
    if not {one.key for one in user_type.schemas}.isdisjoint(one.key for one in group_type.schemas):
        raise InvalidValue(f"{schema.id} is a schema of the other resource type already.")
    store.set_extensions(tx, call.organization_id, stored)
    event_log.append(tx, call, [SchemaDeclared(call.organization_id, resource_type, schema.id)])
    return schema


def _check_successor(before: Schema, after: Schema) -> None:
    for attribute in before.attributes:
        successor = after.by_key.get(attribute.key)
        if successor is None:
            raise InvalidValue(f"{attribute.name} cannot be taken away: there may be values of it.")
        same = (successor.type, successor.multi_valued) == (attribute.type, attribute.multi_valued)
        if not same or not attribute.by_key.keys() <= successor.by_key.keys():
            raise InvalidValue(f"{attribute.name} cannot change its type: there may be values of it.")
        if successor.required and not attribute.required:
            raise InvalidValue(f"{attribute.name} cannot become required: there may be people without it.")


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

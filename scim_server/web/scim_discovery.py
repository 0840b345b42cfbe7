"""What the service offers: ``/ServiceProviderConfig``, ``/ResourceTypes``, ``/Schemas`` (RFC 7644 §4).

No token is needed; somebody with one sees the extensions of their organization too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps

from flask import Blueprint, Response

from scim_server.config import Config
from scim_server.errors import Forbidden, NotFound
from scim_server.scim import json_text, messages
from scim_server.scim.attributes import ResourceType
from scim_server.scim.discovery import (
    Capabilities,
    resource_type_document,
    schema_document,
    schemas_of,
    service_provider_config,
)
from scim_server.scim.schemas import GROUP, USER
from scim_server.scim.values import Json
from scim_server.web.authentication import base_url
from scim_server.web.exchange import exchange, services
from scim_server.web.http import scim_response
from scim_server.web.parameters import parameters

discovery = Blueprint("discovery", __name__, url_prefix="/scim/v2")

Types = tuple[ResourceType, ...]
View = Callable[..., Response]


def document(rule: str) -> Callable[[View], View]:
    """Show a document at an address.

    A filter is refused, so that nobody takes everything for what matched (RFC 7644 §4).
    """

    def register(view: View) -> View:
        @wraps(view)
        def show(**arguments: str) -> Response:
            if "filter" in parameters():
                raise Forbidden("Discovery documents cannot be filtered; leave the filter out.")
            return view(**arguments)

        discovery.add_url_rule(rule, view.__name__, show, methods=["GET"])
        return view

    return register


@document("/ServiceProviderConfig")
def show_service_provider_config() -> Response:
    config = services().config
    return scim_response(json_text.dump(service_provider_config(base_url(), capabilities(config))))


@document("/ResourceTypes")
def list_resource_types() -> Response:
    return _list([resource_type_document(base_url(), type_) for type_ in _types()])


@document("/ResourceTypes/<name>")
def show_resource_type(name: str) -> Response:
    for resource_type in _types():
        if resource_type.name == name:
            return scim_response(json_text.dump(resource_type_document(base_url(), resource_type)))
    raise NotFound(f"There is no resource type {name[:100]}.")


@document("/Schemas")
def list_schemas() -> Response:
    return scim_response(_schema_list(base_url(), _types()))


@document("/Schemas/<path:urn>")
def show_schema(urn: str) -> Response:
    """Show a schema; URNs are compared without case (RFC 7643 §2.1)."""
    for schema in schemas_of(_types()):
        if schema.key == urn.lower():
            return scim_response(json_text.dump(schema_document(base_url(), schema)))
    raise NotFound(f"There is no schema {urn[:200]}.")


def capabilities(config: Config) -> Capabilities:
    """Return the numbers that are promised, which are those that are enforced."""
    return Capabilities(
        bulk_max_operations=config.bulk_max_operations,
        bulk_max_payload_bytes=min(config.bulk_max_payload_bytes, config.max_body_bytes),
        max_results=config.max_page_size,
        default_page=min(config.default_page_size, config.max_page_size),
        cursor_seconds=config.cursor_seconds,
    )


def _types() -> Types:
    call = exchange().call
    return (USER, GROUP) if call is None else (call.user_type, call.group_type)


@lru_cache(maxsize=64)
def _schema_list(address: str, types: Types) -> bytes:
    """Return all schemas; the definitions are immutable, so their text is made once."""
    return json_text.dump(
        messages.list_response([schema_document(address, schema) for schema in schemas_of(types)])
    )


def _list(documents: Sequence[Json]) -> Response:
    return scim_response(json_text.dump(messages.list_response(documents)))

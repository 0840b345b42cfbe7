"""The endpoints of resources (RFC 7644 §3.2): ``/Users``, ``/Groups``, ``/Me``, queries over all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response
from werkzeug.exceptions import MethodNotAllowed

from scim_server.call import Call
from scim_server.errors import NotSupported
from scim_server.operations import groups, queries, users
from scim_server.operations.queries import Limits, Query
from scim_server.scim import messages
from scim_server.scim.attributes import ResourceType
from scim_server.web.exchange import services, this_call
from scim_server.web.http import (
    if_match,
    if_none_match,
    json_body,
    look_up,
    message_body,
    no_content,
    perform,
    preconditions,
    resource_response,
    scim_response,
    unless_known,
)
from scim_server.web.parameters import asks_for_attributes, is_descending, projection_of, query_of
from scim_server.web.scim_discovery import capabilities

scim_api = Blueprint("scim", __name__, url_prefix="/scim/v2")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint of a resource type.

    ``operations`` is the module with its document_of, create, replace, patch and delete. A PATCH answers with
    the resource where ``patch_answers``, else only to a client that asks for attributes: identity
    providers expect 200 for users and 204 for groups (RFC 7644 §3.5.2 leaves it open).
    """

    name: str
    operations: Any
    resource_type: Callable[[Call], ResourceType]
    patch_answers: bool

    @property
    def spellings(self) -> tuple[str, str]:
        """The names that addresses may have; Microsoft's collection writes ``/users``, too."""
        return self.name, self.name.lower()

    def create(self) -> Response:
        call = this_call()
        document = self.operations.document_of(call, json_body())
        projection = projection_of(self.resource_type(call))
        return resource_response(perform(self.operations.create, document, projection), status=201)

    def search(self) -> Response:
        return _search(query_of((self.resource_type(this_call()),)))

    def search_by_post(self) -> Response:
        return _search(_posted_query((self.resource_type(this_call()),)))

    def refuse_search(self) -> Response:
        """``.search`` is searched by POST; without this, it would pass for the id of a resource."""
        raise MethodNotAllowed(("POST",))

    def read(self, resource_id: str) -> Response:
        type_ = self.resource_type(this_call())
        return unless_known(
            look_up(queries.get, type_, resource_id, projection_of(type_), if_match(), if_none_match())
        )

    def replace(self, resource_id: str) -> Response:
        projection = projection_of(self.resource_type(this_call()))
        return resource_response(
            perform(self.operations.replace, resource_id, json_body(), preconditions(), projection)
        )

    def patch(self, resource_id: str) -> Response:
        answers = self.patch_answers or asks_for_attributes()
        projection = projection_of(self.resource_type(this_call())) if answers else None
        return resource_response(
            perform(self.operations.patch, resource_id, json_body(), preconditions(), projection)
        )

    def delete(self, resource_id: str) -> Response:
        perform(self.operations.delete, resource_id, preconditions())
        return no_content()


USERS = Endpoint("Users", users, lambda call: call.user_type, patch_answers=True)
GROUPS = Endpoint("Groups", groups, lambda call: call.group_type, patch_answers=False)
ENDPOINTS = (USERS, GROUPS)

# Method and rule of each view of an endpoint (RFC 7644 §3.2).
_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("create", "POST", ""),
    ("search", "GET", ""),
    ("search_by_post", "POST", "/.search"),
    *(("refuse_search", method, "/.search") for method in ("GET", "PUT", "PATCH", "DELETE")),
    ("read", "GET", "/<resource_id>"),
    ("replace", "PUT", "/<resource_id>"),
    ("patch", "PATCH", "/<resource_id>"),
    ("delete", "DELETE", "/<resource_id>"),
)

for _endpoint in ENDPOINTS:
    for _name in _endpoint.spellings:
        for _view, _method, _rule in _ROUTES:
            scim_api.add_url_rule(
                f"/{_name}{_rule}", f"{_view}_{_name}", getattr(_endpoint, _view), methods=[_method]
            )


@scim_api.get("")
def search_all() -> Response:
    """Query all resource types at once (RFC 7644 §3.4.2.1)."""
    return _search(query_of(_all_types()))


@scim_api.post("/.search")
def search_all_by_post() -> Response:
    return _search(_posted_query(_all_types()))


# -- /Me (RFC 7644 §3.11): the person whom the token stands for, in whose place nobody else can be made


@scim_api.post("/Me")
def create_me() -> Response:
    raise NotSupported("Nobody can be created through /Me; POST to /Users.")


@scim_api.get("/Me")
def read_me() -> Response:
    return USERS.read(_myself())


@scim_api.put("/Me")
def replace_me() -> Response:
    return USERS.replace(_myself())


@scim_api.patch("/Me")
def patch_me() -> Response:
    return USERS.patch(_myself())


@scim_api.delete("/Me")
def delete_me() -> Response:
    return USERS.delete(_myself())


def _myself() -> str:
    member_id = this_call().member_id
    if member_id is None:
        raise NotSupported("/Me is not supported here: this token stands for no person.")
    return member_id


def _all_types() -> tuple[ResourceType, ...]:
    call = this_call()
    return tuple(endpoint.resource_type(call) for endpoint in ENDPOINTS)


def _search(query: Query) -> Response:
    promised = capabilities(services().config)
    limits = Limits(promised.default_page, promised.max_results, promised.cursor_seconds)
    return scim_response(look_up(queries.search, query, limits))


def _posted_query(resource_types: tuple[ResourceType, ...]) -> Query:
    """Return what a SearchRequest asks (RFC 7644 §3.4.3)."""
    asked = messages.search_request(message_body())
    return Query(
        resource_types=resource_types,
        filter=asked.filter,
        sort_by=asked.sort_by,
        descending=is_descending(asked.sort_order),
        start_index=asked.start_index,
        count=asked.count,
        cursor=asked.cursor,
        attributes=asked.attributes,
        excluded=asked.excluded,
    )

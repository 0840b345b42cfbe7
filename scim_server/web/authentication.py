"""From bearer token to Call, and who may call what.

Everything is closed unless it is named in ``PUBLIC``; which kind of token opens a route
follows from its address. The decision falls after routing, on the route that was found, so
no spelling of an address leads around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from flask import g, request
from werkzeug.urls import iri_to_uri

from scim_server.call import Call, Channel
from scim_server.errors import Forbidden, Unauthenticated, Unavailable
from scim_server.operations import access, due
from scim_server.operations.access import Credential
from scim_server.web.http import services
from scim_server.web.middleware import REQUEST_ID
from seat_policy import Action, Role, may

View = TypeVar("View", bound=Callable[..., Any])

SURFACES = {"scim": Channel.SCIM, "jit": Channel.JIT, "admin": Channel.ADMIN}
SCIM_PATH = "/scim/v2"

# Routes that need no token, by endpoint. What is not here is closed.
PUBLIC = frozenset(
    {
        "health.alive",
        "health.ready",
        "health.metrics",
        "discovery.show_service_provider_config",
        "discovery.list_resource_types",
        "discovery.show_resource_type",
        "discovery.list_schemas",
        "discovery.show_schema",
        "api-docs.openapi_json",
        "admin-page.show",
    }
)
# Of those, the ones that say more to somebody with a token: the organization's own extensions.
PERSONAL = frozenset(endpoint for endpoint in PUBLIC if endpoint.startswith("discovery."))

_ACTION = "_needs_action"

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*)", re.ASCII | re.IGNORECASE)
_NO_TOKEN = "Send a valid token: Authorization: Bearer TOKEN."


def needs(action: Action) -> Callable[[View], View]:
    """Close a route of the Admin API to roles that may not do ``action``; without it, they may VIEW."""

    def mark(view: View) -> View:
        setattr(view, _ACTION, action)
        return view

    return mark


def require(call: Call, action: Action) -> None:
    """Raise Forbidden unless the caller's role may do ``action``."""
    _require_role(call.role, action)


def authenticate(view: Callable[..., Any] | None) -> None:
    """Turn the request's token into ``g.call``, or refuse; ``view`` is what the route leads to.

    An address without a route is nobody's: it is answered with 404 or 405 without a look at tokens.
    """
    if request.url_rule is None or view is None:
        return
    if request.endpoint in PUBLIC:
        g.call = _guest_call() if request.endpoint in PERSONAL else None
        return
    now = services().clock()
    credential = _credential(now)
    g.call = _call_of(credential, now)  # known from here on, to the access log too
    _require_kind(credential, request.url_rule.rule)
    if credential.kind == Channel.ADMIN:
        _require_role(credential.role, getattr(view, _ACTION, Action.VIEW))


def _credential(now: datetime) -> Credential:
    """Return what the token of the request opens. Raises Unauthenticated."""
    match = _BEARER.fullmatch(request.environ.get("HTTP_AUTHORIZATION", "").strip())
    if match is None:
        raise Unauthenticated(_NO_TOKEN)
    database = services().database
    credential = database.read(access.authenticate, match[1], now)
    if credential.use_is_stale:
        with suppress(Unavailable):  # which is no reason to refuse a request that only reads
            database.run(access.record_use, credential, now)
    if credential.something_is_due:
        with suppress(Unavailable):
            due.catch_up(database, credential.organization_id, now)
    return credential


def _guest_call() -> Call | None:
    """Return the call of somebody who need not say who they are; None unless they do, and rightly."""
    if "HTTP_AUTHORIZATION" not in request.environ:
        return None
    now = services().clock()
    try:
        credential = _credential(now)
    except Unauthenticated:
        return None
    return _call_of(credential, now) if credential.kind == Channel.SCIM else None


def _require_kind(credential: Credential, rule: str) -> None:
    if credential.kind != SURFACES.get(rule.split("/", 2)[1]):
        raise Forbidden("This address is not for a token of this kind.")


def _require_role(role: str | None, action: Action) -> None:
    if role is None or not may(Role(role), action):
        allowed = ", ".join(each for each in Role if may(each, action))
        raise Forbidden(f"This takes one of these roles: {allowed}.")


def _call_of(credential: Credential, now: datetime) -> Call:
    return Call(
        organization_id=credential.organization_id,
        actor=credential.actor,
        channel=Channel(credential.kind),
        at=now,
        request_id=request.environ[REQUEST_ID],
        base_url=base_url(),
        client=credential.client,
        role=credential.role,
        member_id=credential.member_id,
        token_id=credential.token_id,
        user_type=credential.user_type,
        group_type=credential.group_type,
        secret=credential.secret,
    )


def base_url() -> str:
    """Return the public address of the SCIM service; of the request's own only where none is configured."""
    configured = services().config.base_url
    return _scim_address(configured or f"{request.scheme}://{request.host}{request.root_path}")


@lru_cache(maxsize=1024)
def _scim_address(root: str) -> str:
    root = iri_to_uri(root).rstrip("/")
    return root if root.endswith(SCIM_PATH) else root + SCIM_PATH

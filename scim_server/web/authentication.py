"""From bearer token to Call, and who may call what.

Everything is closed unless it is named in ``PUBLIC``; which kind of token opens a route
follows from its address. The decision falls after routing, on the route that was found, so
no spelling of an address leads around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from werkzeug.sansio.utils import get_host
from werkzeug.urls import iri_to_uri

from scim_server.call import Call, Channel
from scim_server.config import Config
from scim_server.errors import Forbidden, Unauthenticated, Unavailable
from scim_server.operations import access, due
from scim_server.operations.access import Grant
from scim_server.web.exchange import Exchange, exchange
from scim_server.web.middleware import REQUEST_ID
from seat_policy import Action, Role, may

View = TypeVar("View", bound=Callable[..., Any])

SURFACES = {"scim": Channel.SCIM, "jit": Channel.JIT, "admin": Channel.ADMIN}
SCIM_PATH = "/scim/v2"

DESCRIPTION = "admin-description"
"""The endpoint of the OpenAPI document."""

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
        DESCRIPTION,
        "admin-page.show",
    }
)
# Of those, the ones that say more to somebody with a token: the organization's own extensions.
PERSONAL = frozenset(endpoint for endpoint in PUBLIC if endpoint.startswith("discovery."))

_ACTION = "_needs_action"
_CHANNELS = {channel.value: channel for channel in Channel}

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


def authenticate(here: Exchange, view: Callable[..., Any] | None) -> None:
    """Turn the request's token into the call that it is, or refuse; ``view`` is what the route leads to.

    An address without a route is nobody's: it is answered with 404 or 405 without a look at tokens.
    """
    rule = here.request.url_rule
    if rule is None or view is None:
        return
    if rule.endpoint in PUBLIC:
        here.call = _guest_call(here) if rule.endpoint in PERSONAL else None
        return
    now = here.services.clock()
    grant = _presumed(here, now) or _grant(here, now)
    here.call = _call_of(here, grant, now)  # known from here on, to the access log too
    _require_kind(grant, rule.rule)
    if grant.kind == Channel.ADMIN:
        _require_role(grant.role, getattr(view, _ACTION, Action.VIEW))


def presume_nothing(here: Exchange) -> None:
    """Have the token looked up when the request begins again."""
    if here.services.acquaintances is not None and here.presumption is not None:
        here.services.acquaintances.forget(here.presumption)
    here.presumption = None
    here.call = None
    here.presumes_nothing = True


def _presumed(here: Exchange, now: datetime) -> Grant | None:
    """Return what the token of the request opens if it is what is presumed; None where it has to be looked up."""
    known = here.services.acquaintances
    if known is None or here.presumes_nothing:
        return None
    here.presumption = known.presume(_token_of(here), now)
    return None if here.presumption is None else here.presumption.grant


def _grant(here: Exchange, now: datetime) -> Grant:
    """Look up what the token of the request opens. Raises Unauthenticated."""
    services, token = here.services, _token_of(here)
    credential = services.database.look_up(access.authenticate, token, now)
    if services.acquaintances is not None:
        services.acquaintances.remember(token, credential)
    if credential.use_is_stale:
        # It is no reason to refuse a request that only reads, nor to make it wait.
        with suppress(Unavailable):
            services.database.run_if_free(access.record_use, credential.grant, now)
    if credential.something_is_due:
        with suppress(Unavailable):
            due.catch_up(services.database, credential.grant.organization_id, now)
    return credential.grant


def _token_of(here: Exchange) -> str:
    match = _BEARER.fullmatch(here.environ.get("HTTP_AUTHORIZATION", "").strip())
    if match is None:
        raise Unauthenticated(_NO_TOKEN)
    return match[1]


def _guest_call(here: Exchange) -> Call | None:
    """Return the call of somebody who need not say who they are; None unless they do, and rightly."""
    if "HTTP_AUTHORIZATION" not in here.environ:
        return None
    now = here.services.clock()
    try:
        grant = _grant(here, now)
    except Unauthenticated:
        return None
    return _call_of(here, grant, now) if grant.kind == Channel.SCIM else None


def _require_kind(grant: Grant, rule: str) -> None:
    if grant.kind != SURFACES.get(rule.split("/", 2)[1]):
        raise Forbidden("This address is not for a token of this kind.")


def _require_role(role: str | None, action: Action) -> None:
    if role is None or not may(Role(role), action):
        allowed = ", ".join(each for each in Role if may(each, action))
        raise Forbidden(f"This takes one of these roles: {allowed}.")


def _call_of(here: Exchange, grant: Grant, now: datetime) -> Call:
    return Call(
        organization_id=grant.organization_id,
        actor=grant.actor,
        channel=_CHANNELS[grant.kind],
        at=now,
        request_id=here.environ[REQUEST_ID],
        base_url=address_of(here.services.config, here.environ),
        client=grant.client,
        role=grant.role,
        member_id=grant.member_id,
        token_id=grant.token_id,
        user_type=grant.user_type,
        group_type=grant.group_type,
        secret=grant.secret,
    )


def base_url() -> str:
    """Return the public address of the SCIM service, as the current request is to be told."""
    here = exchange()
    return address_of(here.services.config, here.environ)


def address_of(config: Config, environ: Mapping[str, Any]) -> str:
    """Return the public address of the SCIM service; of the request's own only where none is configured."""
    if config.base_url is not None:
        return _scim_address(config.base_url)
    scheme, root = environ["wsgi.url_scheme"], environ.get("SCRIPT_NAME", "")
    return _own_address(
        scheme, environ.get("HTTP_HOST"), environ["SERVER_NAME"], environ["SERVER_PORT"], root
    )


@lru_cache(maxsize=1024)
def _own_address(scheme: str, host: str | None, server: str, port: str, root: str) -> str:
    return _scim_address(f"{scheme}://{get_host(scheme, host, (server, int(port)))}{root}")


@lru_cache(maxsize=1024)
def _scim_address(root: str) -> str:
    root = iri_to_uri(root).rstrip("/")
    return root if root.endswith(SCIM_PATH) else root + SCIM_PATH

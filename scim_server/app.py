"""create_app(): the only place where the parts meet."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from scim_server.config import Config, unknown_settings
from scim_server.observability import Metrics, make_log
from scim_server.operations.presumption import Acquaintances
from scim_server.scim.values import whole_milliseconds
from scim_server.store import schema
from scim_server.store.database import Database
from scim_server.store.replica import ReadReplica
from scim_server.web import error_handlers
from scim_server.web.access_log import AccessLog
from scim_server.web.application import Application
from scim_server.web.bulk import bulk
from scim_server.web.exchange import Services
from scim_server.web.health import health
from scim_server.web.later import Later
from scim_server.web.login_hooks import login_hooks
from scim_server.web.middleware import REQUEST_ID, Bounds, Environ, FrontDoor, Wsgi
from scim_server.web.scim_api import scim_api
from scim_server.web.scim_discovery import discovery

Clock = Callable[[], datetime]

ADMIN = "scim_seats.admin"
"""Of ``app.extensions``: a call that returns the application of the Admin API."""
_ADMIN_PREFIX = "/admin/v1"


def create_app(settings: Mapping[str, Any] | None = None, *, clock: Clock | None = None) -> Flask:
    """Return the WSGI application.

    ``settings`` override what the environment says. ``clock`` returns an aware datetime in UTC; all
    that depends on time asks it. On SQLite the database is made and upgraded here, which a
    server with a database of its own does by ``scim-server db upgrade``.
    """
    config = Config.from_environment() if settings is None else Config.from_mapping(settings)
    database = _database(config, config.database_url)
    if database.is_sqlite:
        schema.upgrade(database)
    log = make_log(config.log_level)
    for line in unknown_settings(os.environ) if settings is None else ():
        log.warning(line)
    services = Services(
        config=config,
        database=database,
        reader=_reader(config, database),
        clock=_in_milliseconds(clock or _now),
        metrics=Metrics(),
        log=log,
        schema_is_current=lambda: schema.is_current(database),
        acquaintances=Acquaintances() if _saves_a_way(config, database) else None,
    )
    return _assemble(services)


def _database(config: Config, url: str) -> Database:
    return Database(url, pool_size=config.pool_size, durability=config.durability, pgbouncer=config.pgbouncer)


def _reader(config: Config, database: Database) -> Database | ReadReplica:
    if config.read_database_url is None:
        return database
    return ReadReplica(_database(config, config.read_database_url), database)


def _saves_a_way(config: Config, database: Database) -> bool:
    """Whether a token can be looked up on the way to what is asked: over the network, on the same connection."""
    return not database.is_sqlite and config.read_database_url is None


def _in_milliseconds(clock: Clock) -> Clock:
    """Instants are stored as they are shown, so that what a client read can be compared with."""
    return lambda: whole_milliseconds(clock())


def _now() -> datetime:
    return datetime.now(UTC)


def _assemble(services: Services) -> Flask:
    access_log = AccessLog(services.log, services.metrics)
    app = Application(services, access_log)
    for blueprint in (scim_api, discovery, bulk, login_hooks, health):
        app.register_blueprint(blueprint)
    error_handlers.register(app, services.log)
    admin = Later(app.wsgi_app, _ADMIN_PREFIX, lambda: _admin_application(services, access_log))
    app.extensions[ADMIN] = admin.part
    _put_the_front_door_before(app, admin, services, access_log)
    return app


def _admin_application(services: Services, access_log: AccessLog) -> Flask:
    """Make the Admin API: a fifth of all that is loaded, and the first request is hardly ever for it."""
    from scim_server.web.admin import api

    app = Application(services, access_log)
    api.register(app, _ADMIN_PREFIX, version("scim-seats"))
    error_handlers.register(app, services.log)
    return app


def _put_the_front_door_before(app: Flask, inner: Wsgi, services: Services, access_log: AccessLog) -> None:
    def refuse(environ: Environ, refusal: Exception) -> Wsgi:
        failure = error_handlers.failure_of(refusal)
        path = environ.get("PATH_INFO", "")
        response = error_handlers.failure_response(failure, path, environ[REQUEST_ID])
        access_log.note(environ, response)
        return response

    hops = services.config.trusted_proxies
    if hops:
        inner = ProxyFix(inner, x_for=hops, x_proto=hops, x_host=hops, x_port=0, x_prefix=0)
    front_door = FrontDoor(
        inner,
        bounds=Bounds(body=services.config.max_body_bytes),
        process_environment=dict(os.environ),
        refuse=refuse,
    )
    app.wsgi_app = front_door  # type: ignore[method-assign]

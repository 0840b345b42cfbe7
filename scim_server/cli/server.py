"""``serve``, ``demo``, ``db`` and ``run-due``."""

from __future__ import annotations

import fcntl
import gc
import multiprocessing
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING

import click

from scim_server.cli.files import usable
from scim_server.cli.shared import as_json, database, database_of, show, upgrade_or_refuse
from scim_server.config import Config, unknown_settings

if TYPE_CHECKING:
    from scim_server.store.database import Database

# What a worker has to finish what it has begun, when told to stop: one that is told so while it
# starts may not hear it, and would be waited for without end.
_SECONDS_TO_STOP = 20
_MODULE = "scim_server.background"
# Read by the library of the metrics when it is loaded.
_METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_METRICS_PREFIX = "scim-seats-metrics-"
_SECONDS_TO_BE_HELD = 20
_SHARED_MEMORY = "/dev/shm"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(1, 256), help="Worker processes."
)
def serve(host: str, port: int, workers: int) -> None:
    """Serve SCIM, the login hook and the Admin API until told to stop."""
    _collect_no_garbage()
    with _reserved(host, port) as address:
        with database_of(_config()) as database:
            upgrade_or_refuse(database)
            threads = _threads_for(database)
        _serve(address, port, workers, threads)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
def demo(host: str, port: int) -> None:
    """Serve a demo organization; made at the first start, kept at the next."""
    from scim_server.cli import demo_organization

    _collect_no_garbage()
    with _reserved(host, port) as address:
        with database_of(_config()) as opened:
            upgrade_or_refuse(opened)
            file = opened.engine.url.database if opened.is_sqlite else None
            tokens = demo_organization.prepare(opened, Path(file or ".").parent / "demo-tokens.json")
            threads = _threads_for(opened)
        demo_organization.introduce(f"http://{f'[{host}]' if ':' in host else host}:{port}", tokens)
        sys.stdout.flush()
        _serve(address, port, 2, threads)


def _config() -> Config:
    """Read the settings, and say where one is misspelled: it would be as if it had not been set."""
    for line in unknown_settings(os.environ):
        click.echo(line, err=True)
    return Config.from_environment()


def _threads_for(database: Database) -> int:
    """Return how many requests a worker answers at once.

    On SQLite more would only get in each other's way, but one would hold up everybody else's requests, that read too,
    while it waits for its turn to write.
    """
    return 2 if database.is_sqlite else 4


def _collect_no_garbage() -> None:
    """Switch the collector off while everything is loaded: there is none, and the search is an eighth of the start."""
    gc.disable()


@contextmanager
def _reserved(host: str, port: int) -> Iterator[str]:
    """Give out the address of a host, and keep every other server from the port: one that listens, or is about to.

    The workers share their port, and so would a second server without a word: each would
    answer some of the requests. Raises ClickException where nobody can listen there, or somebody already does.
    """
    family, address = _resolved(host, port)
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            if sys.platform == "linux":  # elsewhere such a name is a file, and stays
                claim.bind(f"\0scim-server {address} {port}")
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            raise click.ClickException(
                f"{host}:{port} cannot be listened on: {error.strerror}. Choose another with --host, --port."
            ) from error
        yield address


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    """Return the address that a name leads to, IPv4 before IPv6. The web server takes no names."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise click.ClickException(
            f"{host or 'An empty name'} is no address of this machine, and no name of one. Choose another with --host."
        ) from error
    family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, str(where[0])


def _serve(host: str, port: int, workers: int, threads: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    server = Granian(
        f"{_MODULE}:create_served_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        respawn_failed_workers=True,
        workers_kill_timeout=_SECONDS_TO_STOP,
        websockets=False,
        log_access=False,
    )
    with _common_metrics():
        _load_the_application()
        server.serve()


@contextmanager
def _common_metrics() -> Iterator[None]:
    """Let the workers count in files of one directory: whichever of them is asked for metrics answers for all.

    It is one of this server alone, within the one that is named or else in the memory, which no disk fills and nobody
    tidies up.
    """
    named = os.environ.get(_METRICS_DIRECTORY)
    within = named or (_SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None)
    with usable(within or gettempdir(), f"Name a directory that can be written with {_METRICS_DIRECTORY}."):
        directory = TemporaryDirectory(prefix=_METRICS_PREFIX, dir=within)
    with directory as path, _locked(path):
        _remove_what_killed_servers_left(Path(path).parent)
        os.environ[_METRICS_DIRECTORY] = path
        yield


@contextmanager
def _locked(directory: str | Path) -> Iterator[None]:
    """Hold a directory, by this process and its workers. Raises OSError where others do."""
    file = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def _remove_what_killed_servers_left(within: Path) -> None:
    """Remove the directories that nobody holds any more, but for new ones, which somebody is about to hold."""
    for left in within.glob(f"{_METRICS_PREFIX}*"):
        with suppress(OSError):  # it is held, or another user's
            if time.time() - left.stat().st_mtime > _SECONDS_TO_BE_HELD:
                with _locked(left):
                    shutil.rmtree(left)


def _load_the_application() -> None:
    """Load here what workers that are forks of this process would all load, and look at it for garbage no more."""
    if multiprocessing.get_start_method() == "fork":
        import_module(_MODULE)
    gc.freeze()
    gc.enable()


@click.group()
def db() -> None:
    """The database."""


@db.command()
def upgrade() -> None:
    """Make the tables, or bring them up to date."""
    from scim_server.store import schema

    with database_of(Config.from_environment()) as opened:
        schema.upgrade(opened)
    click.echo("The schema is current.", err=True)


@click.command("run-due")
@as_json
def run_due(json_: bool) -> None:
    """Do what is due: expired invitations and overrides, scheduled reductions, renewals.

    For cron, where no server runs; a server does it by itself. Safe to run anywhere, any time.
    """
    from scim_server.operations import due

    with database() as opened:
        done = list(due.run_all(opened, datetime.now(UTC)))
    show(
        [{"organization_id": one.organization_id, "steps": one.steps} for one in done if not one.error],
        json_,
        "\n".join(f"{one.organization_id}  {one.steps}" for one in done if not one.error)
        or "Nothing is due.",
    )
    failed = [f"{one.organization_id}: {one.error}" for one in done if one.error]
    if failed:
        raise click.ClickException("Not everything that is due could be done: " + "; ".join(failed))

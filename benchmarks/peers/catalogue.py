"""The peers: other SCIM servers and libraries that package indexes offer, each in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Service
from benchmarks.servers import PostgreSQL, Server, Traits, free_port, process

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_TOKEN = "a-token-for-the-benchmark"


Start = Callable[[str, Path, Path, PostgreSQL], AbstractContextManager[Server]]
"""Starts a peer: its name, its environment, a folder for its data, a database server."""


@dataclass(frozen=True, slots=True)
class Peer:
    """``packages``: what pip installs; without them, the node packages of ``package.json`` of the peer's folder."""

    name: str
    environment: str
    packages: tuple[str, ...]
    start: Start

    def install(self, cache: Path) -> Path:
        """Install the packages where they are not there yet; return the folder of the environment."""
        place = cache / self.environment
        mark = place / ".installed"
        wanted = " ".join(self.packages) or (_HERE / "scimmy" / "package.json").read_text()
        if mark.exists() and mark.read_text() == wanted:
            return place
        shutil.rmtree(place, ignore_errors=True)
        if self.packages:
            _run(sys.executable, "-m", "venv", str(place))
            _run(
                str(place / "bin" / "python"),
                "-m",
                "pip",
                "--disable-pip-version-check",
                "--quiet",
                "install",
                *self.packages,
            )
        else:
            shutil.copytree(_HERE / "scimmy", place)
            _run("npm", "install", "--silent", "--no-audit", "--no-fund", cwd=place)
        mark.write_text(wanted)
        return place


@contextmanager
def _scim2_server(name: str, installed: Path, folder: Path, _postgresql: PostgreSQL) -> Iterator[Server]:
    """Its own command: people in memory, one process, threads."""
    port = free_port()
    command = [str(installed / "bin" / "scim2-server"), "--bearer-token", _TOKEN, "--port", str(port)]
    traits = Traits(keeps_data=False)
    with _started(name, command, folder, port, "/v2", os.environ, traits, None) as server:
        yield server


@contextmanager
def _django_on_sqlite(name: str, installed: Path, folder: Path, _postgresql: PostgreSQL) -> Iterator[Server]:
    with _django(name, installed, folder, f"sqlite://{folder}/django.sqlite3", 1, None) as server:
        yield server


@contextmanager
def _django_on_postgresql(
    name: str, installed: Path, folder: Path, postgresql: PostgreSQL
) -> Iterator[Server]:
    url = postgresql.make("django_scim2")
    with _django(name, installed, folder, url, 4, postgresql.process) as server:
        yield server


@contextmanager
def _django(
    name: str, installed: Path, folder: Path, url: str, threads: int, database: int | None
) -> Iterator[Server]:
    """Served as scim-seats is: granian, two workers, as many threads."""
    environment = os.environ | {
        "BENCH_DATABASE": url,
        "BENCH_TOKEN": _TOKEN,
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.django_site.settings",
        "PYTHONPATH": str(_ROOT),
    }
    _run(str(installed / "bin" / "django-admin"), "migrate", "--run-syncdb", environment=environment)
    port = free_port()
    command = [
        *(str(installed / "bin" / "granian"), "--interface", "wsgi", "--workers", "2", "--port", str(port)),
        *("--blocking-threads", str(threads), "benchmarks.peers.django_site.wsgi:application"),
    ]
    traits = Traits(has_bulk=False, removes_by_value=True)
    with _started(name, command, folder, port, "/scim/v2", environment, traits, database) as server:
        yield server


@contextmanager
def _scimmy(name: str, installed: Path, folder: Path, _postgresql: PostgreSQL) -> Iterator[Server]:
    """With a store in memory, ``scimmy/server.js``; one process."""
    port = free_port()
    command = ["node", str(installed / "server.js"), str(port), _TOKEN]
    traits = Traits(keeps_data=False)
    with _started(name, command, folder, port, "/scim/v2", os.environ, traits, None) as server:
        yield server


@contextmanager
def _started(
    name: str,
    command: list[str],
    folder: Path,
    port: int,
    path: str,
    environment: Mapping[str, str],
    traits: Traits,
    database: int | None,
) -> Iterator[Server]:
    scim = Service("127.0.0.1", port, path, _TOKEN)
    with process(command, folder / "log", scim, "/ServiceProviderConfig", environment, _ROOT) as (root, _):
        yield Server(name, scim, root, database=database, traits=traits, is_peer=True)


def _run(*command: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, env=environment, cwd=cwd, stdout=subprocess.DEVNULL)


_DJANGO = ("django-scim2==0.23.0", "django>=5.2,<5.3", "psycopg[binary]>=3.3,<4", "granian>=2.8.3,<3")

PEERS = (
    Peer("django-scim2, SQLite", "django", _DJANGO, _django_on_sqlite),
    Peer("django-scim2, PostgreSQL", "django", _DJANGO, _django_on_postgresql),
    Peer("scim2-server, memory", "scim2-server", ("scim2-server==0.8.3",), _scim2_server),
    Peer("scimmy, memory", "scimmy", (), _scimmy),
)

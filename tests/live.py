"""A real server process, and organizations made by the real command."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import httpx

COMMAND = Path(sys.executable).parent / "scim-server"
PATIENCE = 90
"""Seconds after which something will not happen any more, on a machine that has much else to do."""
_numbers = count(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.02)


@dataclass
class LiveServer:
    """The address of a server process, and the environment in which its commands run."""

    url: str
    environment: dict[str, str] = field(repr=False)

    @classmethod
    @contextmanager
    def start(cls, settings: dict[str, str], log: Path) -> Iterator[LiveServer]:
        port = free_port()
        server = cls(f"http://127.0.0.1:{port}", {**os.environ, **settings})
        server.command("db", "upgrade")
        with (
            log.open("w") as output,
            subprocess.Popen(
                [COMMAND, "serve", "--port", str(port), "--workers", "2"],
                env=server.environment,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            try:
                server.await_readiness(process)
                yield server
            finally:
                process.terminate()

    def client(self, path: str = "", **headers: str) -> httpx.Client:
        """Return a client that has patience, and spares the time to load certificates."""
        return httpx.Client(
            base_url=self.url + path, headers=headers, trust_env=False, verify=False, timeout=PATIENCE
        )

    def await_readiness(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        with self.client() as http:
            while time.monotonic() < deadline and process.poll() is None:
                with suppress(httpx.TransportError):
                    if http.get("/readyz").status_code == 200:
                        return
                time.sleep(0.05)
        raise RuntimeError(f"the server did not become ready (exit code {process.poll()})")

    def command(self, *arguments: str) -> str:
        """Run ``scim-server`` on the server's database and return what it prints."""
        result = subprocess.run(
            [COMMAND, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise RuntimeError(f"scim-server {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def organization(self, plan: str = "team", **seats: int) -> LiveOrganization:
        """Make an organization, by the command line."""
        name = f"live-{os.getpid()}-{next(_numbers)}"
        options = [f"--seats={tier}={number}" for tier, number in seats.items()]
        made: dict[str, Any] = json.loads(
            self.command("organization", "create", name, "--plan", plan, *options, "--json")
        )
        return LiveOrganization(self, made["id"], name)


@dataclass
class LiveOrganization:
    """An organization of a live server; a token is made, by the command line, where it is first wanted."""

    server: LiveServer
    id: str
    name: str
    _tokens: dict[tuple[str, ...], str] = field(default_factory=dict, repr=False)
    _making: Lock = field(default_factory=Lock, repr=False)

    @property
    def scim(self) -> str:
        return self._token("--kind", "scim")

    @property
    def strict(self) -> str:
        return self._token("--kind", "scim", "--profile", "strict")

    @property
    def jit(self) -> str:
        return self._token("--kind", "jit")

    @property
    def admin(self) -> str:
        return self._token("--kind", "admin", "--role", "admin")

    @property
    def owner(self) -> str:
        return self._token("--kind", "admin", "--role", "owner")

    def _token(self, *kind: str) -> str:
        with self._making:
            if kind not in self._tokens:
                made = self.server.command("token", "create", self.name, *kind, "--json")
                self._tokens[kind] = json.loads(made)["token"]
            return self._tokens[kind]

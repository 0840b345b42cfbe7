"""A real PgBouncer in transaction mode, where the machine has one."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

from tests.live import free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
# As few as can be, so that one client meets many servers and many clients meet one.
SERVERS = 3

_SETTINGS = """\
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {servers}
max_client_conn = 200
"""


@contextmanager
def before(url: str, directory: Path) -> Iterator[str]:
    """Put a PgBouncer before the server of a database; the address to reach the database through it."""
    assert PROGRAM is not None
    server = make_url(url)
    port = free_port()
    settings = directory / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(server=_server(server), port=port, servers=SERVERS))
    pooled = server.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    user = "pgserver" if os.geteuid() == 0 else None  # as the wheel's server; neither of them runs as root
    with (
        settings.open() as given,  # which the other user may read, once it is open
        (directory / "pgbouncer.log").open("w") as log,
        subprocess.Popen(
            [PROGRAM, "-q", "/dev/stdin"], stdin=given, stdout=log, stderr=log, user=user
        ) as process,
    ):
        try:
            _await(pooled, process)
            yield pooled
        finally:
            process.terminate()


def _server(url: URL) -> str:
    """Return where the server is, in PgBouncer's words."""
    host = url.host or url.query.get("host")
    known = {"host": host, "port": url.port, "user": url.username, "password": url.password}
    return " ".join(f"{name}={value}" for name, value in known.items() if value)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PgBouncer does not answer (exit code {process.poll()})")

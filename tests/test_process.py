"""The server process: a worker that dies is replaced, and what has begun is finished before the end."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.live import COMMAND, PATIENCE, LiveServer, free_port, wait_until

pytestmark = pytest.mark.live


@pytest.fixture(params=["127.0.0.1"])
def served(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[LiveServer, subprocess.Popen[bytes]]]:
    """A server of this test alone, and its process."""
    port = free_port()
    environment = {**os.environ, "SCIM_DATABASE_URL": f"sqlite:///{tmp_path}/scim.sqlite3"}
    server = LiveServer(f"http://127.0.0.1:{port}", environment)
    arguments = [COMMAND, "serve", "--host", request.param, "--port", str(port), "--workers", "2"]
    log = (tmp_path / "log").open("w")
    with log, subprocess.Popen(arguments, env=environment, stdout=log, stderr=log) as process:
        try:
            server.await_readiness(process)
            yield server, process
        finally:
            process.terminate()
            process.wait(timeout=30)


def workers(process: subprocess.Popen[bytes]) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def test_a_worker_that_dies_is_replaced(served):
    server, process = served
    before = workers(process)

    os.kill(before[-1], signal.SIGKILL)

    wait_until(
        lambda: before[-1] not in workers(process) and len(workers(process)) >= len(before), seconds=30
    )
    server.await_readiness(process)
    time.sleep(3)  # one that is told to stop while it starts does not hear it, and the end takes longer


def test_workers_end_with_a_server_that_is_killed(served):
    _, process = served
    orphans = workers(process)

    process.kill()

    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in orphans), seconds=10)


def test_a_request_that_has_begun_is_finished_before_the_server_ends(served):
    server, process = served
    server.command("organization", "create", "acme", "--plan", "team", "--seats", "premium=1")
    token = json.loads(server.command("token", "create", "acme", "--kind", "scim", "--json"))["token"]
    body = json.dumps({"userName": "late"}).encode()
    head = (
        "POST /scim/v2/Users HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port), timeout=PATIENCE) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(10_000).startswith(b"HTTP/1.1 200")  # so there is somebody who reads what follows
        client.sendall(head.encode() + body[:5])
        time.sleep(1)
        process.terminate()
        time.sleep(0.5)
        client.sendall(body[5:])
        answer = client.recv(100)

    assert answer.startswith(b"HTTP/1.1 201")
    assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("served", ["localhost"], indirect=True)
def test_a_server_listens_where_a_name_leads(served):
    server, _ = served

    with server.client() as http:
        assert http.get("/healthz").status_code == 200


def test_whichever_worker_is_asked_counts_for_all(served):
    server, process = served
    answered = 30
    with server.client(Connection="close") as http:  # each over a connection of its own
        for _ in range(answered):
            http.get("/scim/v2/Users")
        killed = workers(process)[-1]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in workers(process))

        counted = [requests_counted(http) for _ in range(8)]

    assert counted == [answered] * 8


def requests_counted(http: httpx.Client) -> int:
    text = http.get("/metrics").text
    series = 'scim_requests_total{method="GET",route="/scim/v2/Users",status="401"}'
    return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith(series))


def test_what_the_workers_count_in_is_gone_with_the_server(served):
    _, process = served
    directory = counted_in(process)
    assert directory.is_dir()

    process.terminate()
    process.wait(timeout=30)

    assert not directory.exists()


def test_what_the_workers_count_in_has_no_holes_that_a_full_disk_could_not_fill(served):
    """Whoever wrote into one would be ended by a signal."""
    _, process = served

    sizes = [(file.stat().st_blocks * 512, file.stat().st_size) for file in counted_in(process).iterdir()]

    assert sizes
    assert all(there >= size > 0 for there, size in sizes)


def test_what_killed_servers_counted_in_is_removed_by_the_next(tmp_path):
    old, held, new = (tmp_path / f"scim-seats-metrics-{name}" for name in ("old", "held", "new"))
    for directory in (old, held, new):
        directory.mkdir()
    for directory in (old, held):
        os.utime(directory, (0, 0))
    holder = os.open(held, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)

    settings = {
        "SCIM_DATABASE_URL": f"sqlite:///{tmp_path}/scim.sqlite3",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    with LiveServer.start(settings, tmp_path / "log"):
        left = {path.name for path in tmp_path.glob("scim-seats-metrics-*")}
    os.close(holder)

    assert old.name not in left
    assert {held.name, new.name} < left


def counted_in(process: subprocess.Popen[bytes]) -> Path:
    """Return the directory in which the workers of a server keep what they count."""
    mapped = "".join(Path(f"/proc/{worker}/maps").read_text() for worker in workers(process))
    [directory] = {line.split()[-1].rsplit("/", 1)[0] for line in mapped.splitlines() if "-metrics-" in line}
    return Path(directory)


def test_of_servers_that_start_at_once_one_gets_the_port(tmp_path):
    port = free_port()
    environment = {**os.environ, "SCIM_DATABASE_URL": f"sqlite:///{tmp_path}/scim.sqlite3"}
    log = tmp_path / "log"
    with log.open("w") as output, ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen([COMMAND, "serve", "--port", str(port)], env=environment, stderr=output)
            )
            for _ in range(3)
        ]
        try:
            wait_until(lambda: sum(one.poll() is None for one in started) == 1)
            [serving] = [one for one in started if one.poll() is None]
            LiveServer(f"http://127.0.0.1:{port}", environment).await_readiness(serving)
        finally:
            for one in started:
                one.terminate()

    assert log.read_text().count("cannot be listened on: Address already in use") == 2

#!/usr/bin/env python3
"""Does adding or removing one member cost the same in a small group and in a large one?

Starts ``scim-server serve`` on an empty database, fills groups of 10, 1,000 and 100,000
members, then adds and removes one member again and again, taking the groups in turn so
that whatever else the machine does falls on all of them. Prints medians and their ratio.

    benchmarks/member_patch.py                                  # SQLite
    benchmarks/member_patch.py --database postgresql://…/empty  # PostgreSQL
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

COMMAND = Path(sys.executable).parent / "scim-server"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


@contextmanager
def server(database: str) -> Iterator[tuple[str, str]]:
    """Run a server with two workers; yield its address and a SCIM token."""
    environment = {**os.environ, "SCIM_DATABASE_URL": database, "SCIM_LOG_LEVEL": "warning"}

    def command(*arguments: str) -> str:
        return subprocess.run(
            [COMMAND, *arguments], env=environment, check=True, capture_output=True, text=True
        ).stdout

    command("db", "upgrade")
    name = f"bench-{time.time_ns()}"
    command(
        "organization",
        "create",
        name,
        "--plan",
        "enterprise",
        "--seats",
        "premium=10",
        "--seats",
        "standard=200000",
    )
    token = json.loads(command("token", "create", name, "--kind", "scim", "--json"))["token"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [COMMAND, "serve", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address)
            yield address, token
        finally:
            process.terminate()


def wait_for(address: str) -> None:
    for _ in range(200):
        try:
            if httpx.get(f"{address}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit("the server did not start")


def create_users(http: httpx.Client, number: int) -> list[str]:
    """Create users by Bulk, a thousand at a time; return their ids."""
    ids: list[str] = []
    while len(ids) < number:
        batch = range(len(ids), min(len(ids) + 1000, number))
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": f"u{i}", "data": {"userName": f"user-{i}"}}
            for i in batch
        ]
        answer = http.post("/Bulk", json={"schemas": [BULK], "Operations": operations}).raise_for_status()
        ids += [result["location"].rsplit("/", 1)[1] for result in answer.json()["Operations"]]
        note(f"{len(ids):,} of {number:,} users")
    return ids


def create_group(http: httpx.Client, members: list[str]) -> str:
    body = {"displayName": f"group of {len(members)}", "members": [{"value": member} for member in members]}
    answer = http.post("/Groups?attributes=id", json=body, timeout=300).raise_for_status()
    return str(answer.json()["id"])


def patch(http: httpx.Client, group: str, operation: dict[str, Any]) -> float:
    """Return the milliseconds that a PATCH took."""
    body = {"schemas": [PATCH_OP], "Operations": [operation]}
    start = time.perf_counter()
    answer = http.patch(f"/Groups/{group}", json=body)
    taken = time.perf_counter() - start
    if answer.status_code != 204:
        raise SystemExit(f"PATCH answered {answer.status_code}: {answer.text[:200]}")
    return taken * 1000


def measure(
    http: httpx.Client, groups: dict[int, str], extra: list[str], rounds: int
) -> dict[int, list[float]]:
    taken: dict[int, list[float]] = {size: [] for size in groups}
    for number in range(rounds):
        member = extra[number % len(extra)]
        for size, group in groups.items():
            taken[size].append(
                patch(http, group, {"op": "add", "path": "members", "value": [{"value": member}]})
            )
            removal = {"op": "remove", "path": f'members[value eq "{member}"]'}
            taken[size].append(patch(http, group, removal))
    return taken


def note(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}   ", end="", file=sys.stderr)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--database", help="the URL of an empty database (default: a temporary SQLite file)")
    options.add_argument("--sizes", default="10,1000,100000")
    options.add_argument("--rounds", type=int, default=200)
    given = options.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    with (
        tempfile.TemporaryDirectory() as folder,
        server(given.database or f"sqlite:///{folder}/bench.sqlite3") as (
            address,
            token,
        ),
        httpx.Client(
            base_url=f"{address}/scim/v2",
            headers={"Authorization": f"Bearer {token}"},
            timeout=120,
            trust_env=False,
        ) as http,
    ):
        users = create_users(http, max(sizes) + 50)
        groups = {size: create_group(http, users[:size]) for size in sizes}
        measure(http, groups, users[-50:], 20)
        taken = measure(http, groups, users[-50:], given.rounds)
    note("\n")
    medians = {size: statistics.median(times) for size, times in taken.items()}
    print(f"{'members':>10}  {'median ms':>10}  {'p95 ms':>8}  ratio to the smallest")
    for size in sizes:
        p95 = statistics.quantiles(taken[size], n=20)[-1]
        print(f"{size:>10,}  {medians[size]:>10.2f}  {p95:>8.2f}  {medians[size] / medians[sizes[0]]:.2f}")


if __name__ == "__main__":
    main()

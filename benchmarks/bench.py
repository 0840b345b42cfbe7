"""Measure scim-seats on SQLite and PostgreSQL, beside the least that Flask can do on this machine.

python -m benchmarks.bench              # everything, with 1,000 and 100,000 users
python -m benchmarks.bench --quick      # the same rows, smaller and shorter
python -m benchmarks.bench --rows 'get*' 'add-member/*' --rounds 5
python -m benchmarks.bench --publish    # and write the tables into docs/performance.md
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import contention, machine, membership, reading, report, servers, writing
from benchmarks.measure import Result, Stage, measure
from benchmarks.processes import memory, workers
from benchmarks.rows import Row
from benchmarks.servers import Server
from benchmarks.targets import POSTGRESQL, SQLITE
from benchmarks.world import World

RESULTS = Path(__file__).parent / "results"
_STARTS = 3


def main() -> None:
    given = _options()
    stop_servers_when_terminated()
    few, many = given.users
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scim-seats-bench-")))
        postgresql = stack.enter_context(servers.postgresql(folder))
        facts = machine.facts() | {"PostgreSQL": postgresql.description}
        floor = stack.enter_context(servers.floor(folder))
        worlds = {
            users: [
                World(server, users) for server in ours(stack, folder, postgresql, users, given.databases)
            ]
            for users in dict.fromkeys((few, many))
        }
        fill([world for some in worlds.values() for world in some])
        stages = [Stage(some, chosen(rows_for(users, few), given.rows)) for users, some in worlds.items()]
        results = measure(stages, floor, rounds=given.rounds, seconds=given.seconds, note=note)
        used = {world.server.name: _largest_worker(world.server) for world in worlds[many]}
        start = {world.server.name: _start(world.server, folder) for world in worlds[many]}
    note("\n")
    facts["load at the end"] = machine.load_now()
    text = "\n\n".join(_sections(results, facts, given, start, used))
    document = {
        "facts": facts,
        "options": {"users": given.users, "rounds": given.rounds, "seconds": given.seconds},
        "start_seconds": start,
        "worker_megabytes": used,
        "results": [report.as_json(one) for one in results],
    }
    report.write(text, document, "bench", given.output)
    if given.publish:
        report.publish(text, "bench")
    sys.exit(any(one.void for one in results))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--users", type=int, nargs=2, metavar=("FEW", "MANY"), help="[default: 1000 100000; quick: 1000 5000]"
    )
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRESQL), default=[SQLITE, POSTGRESQL])
    add_common_options(parser, rounds=5)
    given = parser.parse_args()
    given.users = given.users or ([1000, 5000] if given.quick else [1000, 100_000])
    complete(given, rounds=5)
    return given


def add_common_options(parser: argparse.ArgumentParser, *, rounds: int) -> None:
    parser.add_argument("--rounds", type=int, help=f"[default: {rounds}; quick: 1]")
    parser.add_argument("--seconds", type=float, help="for a row in a round [default: 0.7; quick: 0.3]")
    parser.add_argument("--rows", nargs="+", metavar="KEY", help="only these; * stands for anything")
    parser.add_argument("--quick", action="store_true", help="to see that it works")
    parser.add_argument("--publish", action="store_true", help="write the tables into docs/performance.md")
    parser.add_argument(
        "--output",
        type=Path,
        default=RESULTS,
        help="the folder for the tables and the JSON; - prints both [default: benchmarks/results]",
    )


def complete(given: argparse.Namespace, *, rounds: int) -> None:
    """Fill in what depends on ``--quick``."""
    given.rounds = given.rounds or (1 if given.quick else rounds)
    given.seconds = given.seconds or (0.3 if given.quick else 0.7)


def rows_for(users: int, few: int) -> list[Row]:
    """Return the rows for a number of users: everything among few, point operations and lists among many."""
    if users == few:
        one = membership.rows([0, few])
        return [
            *reading.rows([few]),
            *writing.rows(),
            *one,
            *membership.wide_rows(few),
            writing.bulk_row(),
            *contention.rows(),
        ]
    sizes = sorted({few, users // 10, users})
    return [*reading.rows(sizes), *writing.rows(), *membership.rows([0, *sizes])]


def chosen(rows: list[Row], patterns: Sequence[str] | None) -> list[Row]:
    if patterns is None:
        return rows
    return [row for row in rows if any(fnmatch(row.key, pattern) for pattern in patterns)]


def ours(
    stack: ExitStack,
    folder: Path,
    postgresql: servers.PostgreSQL,
    users: int,
    databases: Sequence[str],
    names: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start scim-seats once for each database, each with a database of its own."""
    for database in databases:
        name = names[database] if names else database
        place = folder / f"{database}-{users}".lower()
        place.mkdir()
        if database == SQLITE:
            yield stack.enter_context(servers.scim_seats(name, f"sqlite:///{place}/scim.sqlite3", place))
        else:
            url = postgresql.make(f"bench_{users}")
            yield stack.enter_context(servers.scim_seats(name, url, place, postgresql.process))


def fill(worlds: Sequence[World]) -> None:
    """Fill all worlds at once."""
    there = dict.fromkeys(worlds, 0)

    def fill_one(world: World) -> None:
        def progress(count: int) -> None:
            there[world] = count
            note(f"{sum(there.values()):,} users created")

        world.fill(progress)

    with ThreadPoolExecutor(len(worlds)) as pool:
        list(pool.map(fill_one, worlds))


def _largest_worker(server: Server) -> dict[str, float]:
    largest = max(memory(workers(server.process)), key=lambda one: one.rss)
    return {"rss": largest.rss, "pss": largest.pss}


def _start(server: Server, folder: Path) -> float:
    return statistics.median(servers.start_time(server.database_url, folder) for _ in range(_STARTS))


def _sections(
    results: Sequence[Result],
    facts: dict[str, str],
    given: argparse.Namespace,
    start: dict[str, float],
    used: dict[str, dict[str, float]],
) -> Iterator[str]:
    found = report.Results(results)
    few, many = given.users
    yield report.of_facts(facts)
    yield report.of_run(results, given.rounds, given.seconds)
    yield f"### {few:,} users"
    yield report.of_rows(found)
    if few != many:
        yield f"### {few:,} and {many:,} users"
        yield report.of_sizes(found)
    yield "### Many at once"
    yield report.of_clients(found, contention.CLIENTS)
    yield "### One member of a group"
    yield report.of_groups(found)
    yield "### Processes"
    yield report.of_processes(start, used, many)
    if notes := found.notes():
        yield "### What does not count"
        yield "\n".join(notes)


def stop_servers_when_terminated() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def note(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr)


if __name__ == "__main__":
    main()

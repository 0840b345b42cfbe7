"""Measure scim-seats beside its peers: other SCIM servers and libraries that package indexes offer.

python -m benchmarks.peers                    # install what is missing, then measure
python -m benchmarks.peers --only 'django*'   # some peers
python -m benchmarks.peers --quick            # shorter
python -m benchmarks.peers --publish          # and write the table into docs/performance.md
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import bench, machine, membership, reading, report, servers, targets, writing
from benchmarks.measure import Result, Stage, measure
from benchmarks.peers.catalogue import PEERS
from benchmarks.rows import Row
from benchmarks.targets import POSTGRESQL, SQLITE
from benchmarks.world import World

_OURS = {SQLITE: "scim-seats, SQLite", POSTGRESQL: "scim-seats, PostgreSQL"}
_NOT_OF_PEERS = ("jit-login", "override")


def main() -> None:
    given = _options()
    bench.stop_servers_when_terminated()
    chosen = [peer for peer in PEERS if any(fnmatch(peer.name, pattern) for pattern in given.only)]
    installed = {}
    for peer in chosen:
        bench.note(f"installing {peer.name}")
        installed[peer] = peer.install(given.cache)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scim-seats-bench-")))
        postgresql = stack.enter_context(servers.postgresql(folder))
        facts = machine.facts() | {"PostgreSQL": postgresql.description}
        floor = stack.enter_context(servers.floor(folder))
        ours = bench.ours(stack, folder, postgresql, given.users, tuple(_OURS), names=_OURS)
        worlds = [World(server, given.users) for server in ours]
        for peer, place in installed.items():
            own = folder / peer.name.replace(", ", "-").replace(" ", "-")
            own.mkdir()
            server = stack.enter_context(peer.start(peer.name, place, own, postgresql))
            worlds.append(World(server, given.users))
        bench.fill(worlds)
        rows = bench.chosen(_rows(given.users), given.rows)
        results = measure(
            [Stage(worlds, rows)], floor, rounds=given.rounds, seconds=given.seconds, note=bench.note
        )
        kept = {world.server.name: world.server.traits.keeps_data for world in worlds}
    bench.note("\n")
    facts["load at the end"] = machine.load_now()
    text = "\n\n".join(_sections(results, facts, given, kept))
    document = {
        "facts": facts,
        "options": {"users": given.users, "rounds": given.rounds, "seconds": given.seconds},
        "keeps_data": kept,
        "results": [report.as_json(one) for one in results],
    }
    report.write(text, document, "peers", given.output)
    if given.publish:
        report.publish(text, "peers")


def _options() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scim-seats-peers"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--only", nargs="+", metavar="PEER", default=["*"], help="* stands for anything")
    parser.add_argument(
        "--cache", type=Path, default=cache, help=f"where peers are installed [default: {cache}]"
    )
    bench.add_common_options(parser, rounds=3)
    given = parser.parse_args()
    bench.complete(given, rounds=3)
    return given


def _rows(users: int) -> list[Row]:
    every = [
        *reading.rows([users]),
        *writing.rows(),
        *membership.rows([0, users]),
        *membership.wide_rows(users),
        writing.bulk_row(),
    ]
    return [row for row in every if row.key not in _NOT_OF_PEERS]


def _sections(
    results: Sequence[Result], facts: dict[str, str], given: argparse.Namespace, kept: dict[str, bool]
) -> Iterator[str]:
    found = report.Results(results)
    yield report.of_facts(facts)
    yield f"{given.users:,} users. {report.of_run(results, given.rounds, given.seconds)}"
    yield _rates(found, given.users)
    yield "### How many times the best peer"
    yield _ratios(found, given.users, kept)
    if notes := found.notes():
        yield "### What does not count"
        yield "\n".join(notes)


def _rates(found: report.Results, users: int) -> str:
    """Return requests (or operations) a second of everybody."""
    lines = []
    for key, title in found.rows(users).items():
        of_row = [found.get(server, users, key) for server in found.servers]
        cells = [
            f"{one.rate:,.0f}" if one is not None and one.counts else report.word_for(one) for one in of_row
        ]
        lines.append([title, *cells])
    return report.table(["requests a second", *found.servers], lines)


def _ratios(found: report.Results, users: int, kept: dict[str, bool]) -> str:
    """Compare each of ours with the best that keeps its data and the best that does not."""
    peers = [server for server in found.servers if server not in _OURS.values()]
    head = ["row"]
    for ours in _OURS.values():
        head += [f"{ours} : durable", ": in memory"]
    lines = []
    for key, title in found.rows(users).items():
        target = targets.target_of(key)
        line = [title]
        for ours in _OURS.values():
            for durable in (True, False):
                wanted = None if target is None else target.durable if durable else target.in_memory
                best = _best(found, [one for one in peers if kept[one] == durable], users, key)
                line.append(_ratio(found.get(ours, users, key), best, wanted))
        lines.append(line)
    return report.table(head, lines)


def _best(found: report.Results, peers: Sequence[str], users: int, key: str) -> Result | None:
    known = [one for peer in peers if (one := found.get(peer, users, key)) and one.counts]
    return max(known, key=lambda one: one.rate, default=None)


def _ratio(ours: Result | None, best: Result | None, wanted: float | None) -> str:
    if ours is None or not ours.counts or best is None:
        return "–"
    ratio = ours.rate / best.rate
    text = f"{ratio:,.1f}"
    return text if wanted is None else report.judged(f"{text} (≥ {wanted:g})", ratio >= wanted)


if __name__ == "__main__":
    main()

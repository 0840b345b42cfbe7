"""Writes down what was measured: JSON, Markdown tables, and the tables of docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks import targets
from benchmarks.measure import Result, Sample

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"


def publish(text: str, marker: str) -> None:
    """Put tables into docs/performance.md, between the two comments of their name."""
    begin, end = f"<!-- {marker}: written by the run -->", f"<!-- {marker}: end -->"
    before, rest = DOCUMENT.read_text().split(begin)
    _, after = rest.split(end)
    DOCUMENT.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")


def write(text: str, document: Mapping[str, object], name: str, output: Path) -> None:
    """Write tables and JSON into a folder, or both to standard output for ``-``."""
    if str(output) == "-":
        print(text, json.dumps(document, indent=1), sep="\n\n")
        return
    output.mkdir(parents=True, exist_ok=True)
    (output / f"{name}.md").write_text(text + "\n")
    (output / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(text)


def of_facts(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def judged(text: str, is_met: bool) -> str:
    return f"{text} {'✓' if is_met else '✗'}"


class Results:
    """Results by server, number of users and row."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = {(one.server, one.users, one.row): one for one in results}
        self.sizes = sorted({one.users for one in results})
        self.servers = list(dict.fromkeys(one.server for one in results))

    def get(self, server: str, users: int, row: str) -> Result | None:
        return self._results.get((server, users, row))

    def rows(self, users: int) -> dict[str, str]:
        """Return the titles of the rows that were measured with this number of users, by key."""
        return {row: one.title for (_, size, row), one in self._results.items() if size == users}

    def notes(self) -> list[str]:
        """Say of each row that does not count why."""
        return [
            f"- {one.server}, {one.users:,} users, {one.title}: "
            + (f"n/a, {one.absent}" if one.absent else f"void, {one.void}")
            for one in self._results.values()
            if one.absent or one.void
        ]


def of_rows(results: Results) -> str:
    """The main table: every row with few users, on both databases."""
    users = results.sizes[0]
    head = ["row"]
    for database in results.servers:
        head += [f"{database}: 1/s", "× floor (target)", "p50 ms", "p99 ms", "CPU µs"]
    lines = []
    for key, title in results.rows(users).items():
        line = [title]
        for database in results.servers:
            line += _cells(results.get(database, users, key), database)
        lines.append(line)
    return table(head, lines)


def _cells(result: Result | None, database: str) -> list[str]:
    if result is None or not result.counts:
        return [word_for(result), "", "", "", ""]
    share, target = f"{result.floor_share:.2f}", targets.target_of(result.row)
    if target is not None:
        wanted = target.floor[database]
        share = judged(f"{share} (≥ {wanted:g})", result.floor_share >= wanted)
    return [
        f"{result.rate:,.0f}",
        share,
        f"{result.median(lambda sample: sample.p50):.1f}",
        f"{result.median(lambda sample: sample.p99):.1f}",
        _cpu(result),
    ]


def _cpu(result: Result) -> str:
    server = f"{result.median(lambda sample: sample.cpu):,.0f}"
    database = result.median(lambda sample: sample.database_cpu)
    return f"{server} + {database:,.0f}" if database else server


def word_for(result: Result | None) -> str:
    if result is None:
        return "–"
    return "n/a" if result.absent else "**void**" if result.void else "–"


def of_sizes(results: Results) -> str:
    """What the number of people costs: point operations are judged, the rest is shown."""
    few, many = results.sizes[0], results.sizes[-1]
    head = ["row"]
    for database in results.servers:
        head += [f"{database}: 1/s at {few:,}", f"at {many:,}", "ratio"]
    lines = []
    for key, title in results.rows(few).items():
        if key not in results.rows(many):
            continue
        line = [title]
        for database in results.servers:
            least = targets.MANY_PEOPLE if targets.is_point_operation(key) else None
            line += _compared(results.get(database, few, key), results.get(database, many, key), least)
        lines.append(line)
    return table(head, lines)


def _compared(few: Result | None, many: Result | None, least: float | None) -> list[str]:
    """Return both rates and the second's share of the first, judged where there is a ``least``."""
    if few is None or many is None or not few.counts or not many.counts:
        return [word_for(few), word_for(many), ""]
    ratio = many.rate / few.rate
    text = f"{ratio:.2f}"
    if least is not None:
        text = judged(f"{text} (≥ {least:g})", ratio >= least)
    return [f"{few.rate:,.0f}", f"{many.rate:,.0f}", text]


def of_clients(results: Results, clients: tuple[int, int]) -> str:
    """What it costs that many ask for seats of one organization at the same time."""
    users = results.sizes[0]
    few, many = clients
    titles = {key: title for key, title in results.rows(users).items() if key.endswith(f"-by/{few}")}
    head = ["row"]
    for database in results.servers:
        head += [f"{database}: 1/s by {few}", f"by {many}", "ratio"]
    lines = []
    for key, title in titles.items():
        line = [title.rpartition(",")[0]]
        for database in results.servers:
            one, all_ = (results.get(database, users, f"{key.split('/')[0]}/{number}") for number in clients)
            line += _compared(one, all_, targets.MANY_CLIENTS)
        lines.append(line)
    return table(head, lines)


def of_groups(results: Results) -> str:
    """What the size of a group costs whoever adds or removes one member."""
    users = results.sizes[-1]
    rows = results.rows(users)
    sizes = [int(key.split("/")[1]) for key in rows if key.startswith("add-member/")]
    head = ["one member, requests a second", *(f"group of {size:,}" for size in sizes), "fastest : slowest"]
    lines = []
    for database in results.servers:
        for kind in ("add", "remove"):
            found = [results.get(database, users, f"{kind}-member/{size}") for size in sizes]
            lines.append([f"{database}, {kind}", *_rates(found)])
    return table(head, lines)


def _rates(found: Sequence[Result | None]) -> list[str]:
    rates = [one.rate if one is not None and one.counts else None for one in found]
    cells = [
        word_for(one) if rate is None else f"{rate:,.0f}" for one, rate in zip(found, rates, strict=True)
    ]
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates) or not known:
        return [*cells, ""]
    spread = max(known) / min(known)
    return [*cells, judged(f"{spread:.2f} (≤ {targets.GROUP_SIZES:g})", spread <= targets.GROUP_SIZES)]


def of_processes(start: Mapping[str, float], memory: Mapping[str, Mapping[str, float]], users: int) -> str:
    head = ["", "command to first answer, s", f"RSS of a worker at {users:,} users, MB", "PSS, MB"]
    lines = []
    for database, seconds in start.items():
        used = memory[database]
        lines.append(
            [
                database,
                judged(f"{seconds:.2f} (< {targets.START_SECONDS:g})", seconds < targets.START_SECONDS),
                judged(
                    f"{used['rss']:.0f} (< {targets.WORKER_MEGABYTES})",
                    used["rss"] < targets.WORKER_MEGABYTES,
                ),
                f"{used['pss']:.0f}",
            ]
        )
    return table(head, lines)


def of_run(results: Sequence[Result], rounds: int, seconds: float) -> str:
    """Say how long was measured, and how fast the floor was meanwhile."""
    floors = sorted(sample.floor for one in results for sample in one.samples)
    if not floors:
        return "No row has counted."
    low, middle, high = (floors[int((len(floors) - 1) * share)] for share in (0.1, 0.5, 0.9))
    return (
        f"The floor: {middle:,.0f} requests a second (10th percentile {low:,.0f}, 90th {high:,.0f}). "
        f"Medians of {rounds} × {seconds:g} s for each row."
    )


def as_json(result: Result) -> dict[str, object]:
    medians: dict[str, Callable[[Sample], float]] = {
        "rate": lambda sample: sample.rate,
        "floor_share": lambda sample: sample.rate / sample.floor,
        "p50_ms": lambda sample: sample.p50,
        "p99_ms": lambda sample: sample.p99,
        "cpu_us": lambda sample: sample.cpu,
        "database_cpu_us": lambda sample: sample.database_cpu,
    }
    return {
        "server": result.server,
        "users": result.users,
        "row": result.row,
        "title": result.title,
        "absent": result.absent,
        "void": result.void,
        **({name: result.median(of) for name, of in medians.items()} if result.counts else {}),
        "rounds": [
            {"rate": s.rate, "p50_ms": s.p50, "p99_ms": s.p99, "cpu_us": s.cpu, "floor": s.floor}
            for s in result.samples
        ],
    }

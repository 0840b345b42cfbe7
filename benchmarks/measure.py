"""Runs rows on servers that take turns, beside the floor, and keeps what each round brought."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.load import Broken, run
from benchmarks.processes import cpu_seconds
from benchmarks.rows import Row
from benchmarks.servers import Server
from benchmarks.world import NotServed, World

_FLOOR_SECONDS = 0.3
_REHEARSAL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of a row. ``rate`` and ``floor`` are a second's, ``p50`` and ``p99`` milliseconds,
    ``cpu`` and ``database_cpu`` microseconds of the process trees for each operation."""

    rate: float
    p50: float
    p99: float
    cpu: float
    database_cpu: float
    floor: float


@dataclass(slots=True)
class Result:
    """All rounds of a row on a server. ``absent``: why the server cannot serve it; ``void``: what was wrong."""

    server: str
    users: int
    row: str
    title: str
    samples: list[Sample] = field(default_factory=list)
    absent: str | None = None
    void: str | None = None

    @property
    def counts(self) -> bool:
        return bool(self.samples) and self.absent is None and self.void is None

    def median(self, of: Callable[[Sample], float]) -> float:
        return statistics.median(of(sample) for sample in self.samples)

    @property
    def rate(self) -> float:
        return self.median(lambda sample: sample.rate)

    @property
    def floor_share(self) -> float:
        return self.median(lambda sample: sample.rate / sample.floor)


class WrongAnswer(Exception):
    """A row is void: the message says what was wrong."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Worlds of one size that take turns in the same rows."""

    worlds: Sequence[World]
    rows: Sequence[Row]


def measure(
    stages: Sequence[Stage], floor: Server, *, rounds: int, seconds: float, note: Callable[[str], None]
) -> list[Result]:
    """Rehearse every row once, then measure it in each round, the servers one after the other."""
    results = {
        (world, row): Result(world.server.name, world.size, row.key, row.title)
        for stage in stages
        for row in stage.rows
        for world in stage.worlds
    }
    for number in range(rounds + 1):
        for stage in stages:
            for row in stage.rows:
                note(f"round {number} of {rounds}: {row.title}")
                floor_rate = _floor_rate(floor) if number else 1.0
                for world in stage.worlds:
                    result = results[world, row]
                    if not number:
                        _rehearse(world, row, result)
                    elif not (result.absent or result.void):
                        _take_turn(world, row, result, floor_rate, seconds)
    return list(results.values())


def _rehearse(world: World, row: Row, result: Result) -> None:
    """Find out whether the server can do it. What a peer cannot is no fault; of ours it is one."""
    try:
        _sample(world, row, 1.0, _REHEARSAL_SECONDS)
    except NotServed as error:
        result.absent = str(error)
    except (WrongAnswer, Broken) as error:
        if world.server.is_peer:
            result.absent = str(error)
        else:
            result.void = str(error)


def _take_turn(world: World, row: Row, result: Result, floor_rate: float, seconds: float) -> None:
    try:
        result.samples.append(_sample(world, row, floor_rate, seconds))
    except (NotServed, WrongAnswer, Broken) as error:
        result.void = str(error)


def _sample(world: World, row: Row, floor_rate: float, seconds: float) -> Sample:
    work = row.prepare(world)
    server = [world.server.process]
    database = [world.server.database] if world.server.database else []
    before, database_before = cpu_seconds(server), cpu_seconds(database)
    outcome = run(world.scim, work.requests, connections=row.connections, seconds=seconds)
    spent, database_spent = cpu_seconds(server) - before, cpu_seconds(database) - database_before
    faults = [fault for answer in outcome.answers if (fault := work.check(answer))]
    fault = faults[0] if faults else work.after(outcome.sent)
    work.finish()
    if fault:
        raise WrongAnswer(f"{len(faults) or 'state'} wrong of {outcome.sent}: {fault}")
    operations = len(outcome.answers) * row.per_request
    return Sample(
        rate=operations / outcome.seconds,
        p50=outcome.milliseconds(0.50),
        p99=outcome.milliseconds(0.99),
        cpu=spent / operations * 1e6,
        database_cpu=database_spent / operations * 1e6,
        floor=floor_rate,
    )


def _floor_rate(floor: Server) -> float:
    request = floor.scim.request("GET", "/")
    outcome = run(floor.scim, [request] * 100_000, connections=8, seconds=_FLOOR_SECONDS)
    if any(answer.status != 200 for answer in outcome.answers):
        raise WrongAnswer("the floor")
    return outcome.rate

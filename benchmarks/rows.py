"""What is measured: every row of the tables, as data.

A row turns a world into ``Work``: requests made beforehand, what each answer has to be, and what
the server has to hold afterwards. A row with one wrong answer counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.load import Answer
from benchmarks.world import World

Fault = str | None
"""What is wrong; None where nothing is."""


def _nothing(_sent: int) -> Fault:
    return None


def _no_traces() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Work:
    """One measurement of a row.

    ``check`` is asked for every answer. ``after`` is asked once, with the number of requests that
    were sent, whether the server holds what it should. ``finish`` puts the world back, untimed.
    """

    requests: Sequence[bytes]
    check: Callable[[Answer], Fault]
    after: Callable[[int], Fault] = _nothing
    finish: Callable[[], None] = _no_traces


@dataclass(frozen=True, slots=True)
class Row:
    """``per_request``: how many operations a request holds; rates are counted in operations."""

    key: str
    title: str
    prepare: Callable[[World], Work]
    connections: int = 8
    per_request: int = 1


def status(*expected: int) -> Callable[[Answer], Fault]:
    """Return a check of the status alone, for answers that have no content of their own."""

    def check(answer: Answer) -> Fault:
        return None if answer.status in expected else str(answer)

    return check

"""Seats as they are stored: which rows are taken, and in what order."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from scim_server.store import seats
from scim_server.store.arrays import WORTH_A_STATEMENT
from seat_policy import Seat, SeatChange, Source

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("people", [3, 2 * WORTH_A_STATEMENT])
def test_rows_are_taken_in_the_order_of_their_ids_whoever_gets_what(people):
    """Who counts versions up takes them in this order, too; in another one the two could wait for each other."""
    ids = [f"p{number:03}" for number in range(people)]
    changes = [
        SeatChange(id_, Seat(None, Source.NONE, None, None), seat(number), "C6")
        for number, id_ in enumerate(ids)
    ]
    asked: list[Any] = []
    tx: Any = SimpleNamespace(
        dialect=SimpleNamespace(name="postgresql"),
        execute=lambda statement, parameters: asked.append(parameters),
    )

    seats.save(tx, "acme", changes, {}, AT)

    assert taken_in(asked[0]) == ids


def seat(number: int) -> Seat:
    return Seat("premium" if number % 2 else "standard", Source.DEFAULT, None, None)


def taken_in(parameters: Any) -> list[str]:
    """Return the rows that the first statement takes: those that it saves, or locks before any is saved."""
    return parameters["ids"] if isinstance(parameters, dict) else [row["of_member"] for row in parameters]

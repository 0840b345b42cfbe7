"""The rows of files that are imported: CSV with a header, or a JSON document on each line."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import click

from scim_server.errors import InvalidSyntax, ScimSeatsError
from scim_server.operations.transfer import COLUMNS, JsonRows, Result, Row, column_of, row_of_csv
from scim_server.scim import json_text

_LONGEST_CELL = 16 * 1024 * 1024


def rows_of(source: IO[str], kind: str) -> Iterator[Row | Result]:
    """Yield what each row says of a user or a group, or that it is left out or refused, and why.

    Raises ClickException where the whole file makes no sense.
    """
    return _csv_rows(source) if kind == "csv" else _json_rows(source)


def _csv_rows(source: IO[str]) -> Iterator[Row | Result]:
    csv.field_size_limit(_LONGEST_CELL)
    # Strict: a quotation mark that is never closed would take in all rows behind it without a word.
    reader = csv.reader(source, strict=True)
    header = _header_of(reader)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
            if cells:
                yield row_of_csv(line, header.kind, header.named(cells))
        except StopIteration:
            return
        except csv.Error as error:
            yield Result(line, "refused", f"No CSV, from line {line} to {reader.line_num}: {error}.")
        except ScimSeatsError as error:
            yield Result(line, "refused", error.detail)


def _json_rows(source: IO[str]) -> Iterator[Row | Result]:
    rows = JsonRows()
    for line, text in enumerate(source, 1):
        if not text.strip():
            continue
        try:
            yield rows.read(line, json_text.load_object(text.encode("utf-8", "surrogateescape")))
        except ScimSeatsError as error:
            yield Result(line, "refused", error.detail)


@dataclass(frozen=True, slots=True)
class _Header:
    """What a CSV file is about, and which column each of its cells is of, None for those that are left out."""

    kind: str
    columns: list[str | None]

    def named(self, cells: Sequence[str]) -> dict[str, str]:
        """Return the cells of a row by their columns. Raises InvalidSyntax where it has more than there are."""
        if any(cell.strip() for cell in cells[len(self.columns) :]):
            raise InvalidSyntax(
                "This row has more cells than the first line has columns: a comma that belongs to a cell wants "
                'quotation marks around it, as in "Lovelace, Ada".'
            )
        return {column: cell for column, cell in zip(self.columns, cells, strict=False) if column}


def _header_of(reader: Iterator[list[str]]) -> _Header:
    """Read the first line. It says what the file is about: nobody becomes a group for want of a userName."""
    try:
        names = next(reader, [])
    except csv.Error as error:
        raise click.ClickException(f"The first line is no CSV: {error}.") from error
    columns = [column_of(name) for name in names]
    twice = [column for column, times in Counter(columns).items() if column and times > 1]
    if twice:
        raise click.ClickException(f"The first line names {', '.join(twice)} more than once.")
    kind = "user" if "userName" in columns else "group"
    if kind == "group" and "displayName" not in columns:
        raise click.ClickException(
            "The first line must name the columns, among them userName or displayName; known are "
            f"{', '.join(COLUMNS['user'])} for people and {', '.join(COLUMNS['group'])} for groups."
        )
    used = [column if column in COLUMNS[kind] else None for column in columns]
    left_out = [name for name, column in zip(names, used, strict=True) if column is None]
    if left_out:
        click.echo(f"Columns that are left out: {', '.join(map(ascii, left_out))}.", err=True)
    return _Header(kind, used)

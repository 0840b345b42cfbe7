"""What an import reads, and what it writes: the report of refused rows, and how far it has come."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, BinaryIO

import click

from scim_server.cli.files import usable
from scim_server.operations.transfer import Result

_STANDARD_INPUT = Path("-")
_PASSING = ("/dev/stdin", "/dev/fd/", "/proc/")
_MOST_DIGITS = 12


class Source:
    """A file, or what can be read only once: standard input (``-``), a pipe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_file = path.is_file() and not str(path).startswith(_PASSING)
        self.name = "standard input" if path == _STANDARD_INPUT else str(path)
        self.kind = "csv" if path.suffix.lower() == ".csv" else "ndjson"

    def beside(self, suffix: str) -> Path:
        """Return the path of what is kept beside the file, in the working directory where there is none."""
        return Path(f"{self.path}{suffix}" if self.is_file else f"import{suffix}")

    def is_kept_in(self, path: Path) -> bool:
        """Tell whether that is the file itself, or where is written how far it is imported."""
        mine = (self.path, self.beside(".progress"))
        return self.is_file and os.path.realpath(path) in map(os.path.realpath, mine)

    def usable(self) -> Any:
        """Say in a line where the file cannot be read."""
        return usable(self.name, "It must be a file, or a pipe, that you may read.")

    def line_count(self) -> int | None:
        """Return how many lines there are, None where that shows at the end only."""
        if not self.is_file:
            return None
        with self.usable(), self.path.open("rb") as lines:
            return sum(1 for _ in lines)

    @contextmanager
    def opened(self) -> Iterator[IO[str]]:
        """Open it as text. Bytes that are no UTF-8 come as halves of surrogate pairs, for the row to be refused."""
        with self.usable():
            data = _standard_input() if self.path == _STANDARD_INPUT else self.path.open("rb")
        with data, TextIOWrapper(data, "utf-8-sig", errors="surrogateescape", newline="") as text:
            yield text


def _standard_input() -> BinaryIO:
    # Its number is not asked for: where it is closed, that is by now the number of some other file.
    if sys.stdin is None:
        raise click.ClickException("Standard input is closed.")
    return sys.stdin.buffer


class Report:
    """Refused rows, a JSON line each. It is opened before anything is imported, and kept where it says anything.

    A file that somebody ``named`` and that was there is kept in any case.
    """

    def __init__(self, path: Path, *, named: bool, goes_on: bool) -> None:
        self._path = path
        self._stays = named and path.exists()
        with self._usable():
            self._file = path.open("a" if goes_on else "w", encoding="utf-8")

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        with self._usable():
            self._file.close()
            if not self._stays and self._path.is_file() and not self._path.stat().st_size:
                self._path.unlink()

    def write(self, result: Result) -> None:
        with self._usable():
            self._file.write(json.dumps({"line": result.line, "reason": result.reason}) + "\n")
            self._file.flush()

    def _usable(self) -> Any:
        return usable(self._path, "Name a file that can be written with --report.")


class Progress:
    """How many rows of a file are done, beside it until all are. Of what passes by nothing is kept."""

    def __init__(self, source: Source, *, resumes: bool) -> None:
        self._path = source.beside(".progress")
        self._lines = source.line_count()
        self._file: IO[str] | None = None
        self.done = 0
        if self._lines is None:
            return
        with self._usable():
            if resumes and self._path.exists():
                self.done = self._read(self._lines)
            self._file = self._path.open("r+" if self.done else "w", encoding="utf-8")

    @property
    def lines_left(self) -> int | None:
        return None if self._lines is None else max(self._lines - self.done, 0)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            if failure is None or not self.done:
                self._path.unlink(missing_ok=True)

    def add(self, rows: int) -> None:
        self.done += rows
        if self._file is not None:
            with self._usable():
                self._file.seek(0)
                self._file.write(
                    f"{self.done:0{_MOST_DIGITS}}\n"
                )  # always as long, so it is never half of a number
                self._file.flush()

    def _read(self, lines: int) -> int:
        said = self._path.read_bytes().strip()
        if said.isdigit() and len(said) <= _MOST_DIGITS and int(said) <= lines:
            return int(said)
        raise click.ClickException(
            f"{self._path} is damaged, or of another file. Import without --resume: who is there already stays."
        )

    def _usable(self) -> Any:
        return usable(
            self._path,
            "Have the file in a directory that can be written, or import it from standard input (-).",
        )

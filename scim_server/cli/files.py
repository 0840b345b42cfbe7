"""Files that commands write: what is half written never looks like a whole, and what goes wrong is one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import click


@contextmanager
def usable(name: object, remedy: str) -> Iterator[None]:
    """Say in a line, with a remedy, where a file cannot be used."""
    try:
        yield
    except BrokenPipeError:  # whoever reads has had enough, as head has
        raise
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror}. {remedy}") from error


@contextmanager
def written_whole(output: Path | None) -> Iterator[IO[bytes]]:
    """Open a file, or standard output for None. A file has its name once everything is in it."""
    if output is None:
        if sys.stdout is None:
            raise click.ClickException("Standard output is closed. Write to a file with --output.")
        with usable("Standard output", "Write to a file with --output."):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    is_device = output.exists() and not output.is_file()
    with usable(output, "Choose another with --output."):
        opened: AbstractContextManager[IO[bytes]] = (
            output.open("wb") if is_device else _renamed_when_whole(output.resolve())
        )
        with opened as stream:
            yield stream


@contextmanager
def _renamed_when_whole(path: Path) -> Iterator[IO[bytes]]:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

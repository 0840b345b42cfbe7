"""Files that commands write: what is half written never looks like a whole, and what goes wrong is one line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from stat import S_IMODE
from tempfile import mkstemp
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
            output.open("wb") if is_device else _renamed_when_whole(Path(os.path.realpath(output)))
        )
        with opened as stream:
            yield stream


@contextmanager
def _renamed_when_whole(path: Path) -> Iterator[IO[bytes]]:
    """Write what only the user may read, or whoever may read the file that it takes the place of."""
    descriptor, name = mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with _ended_by_sigterm(), os.fdopen(descriptor, "wb") as stream:
            if path.exists():
                _take_over(path.stat(), descriptor)
            yield stream
            stream.flush()
            os.fsync(descriptor)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _take_over(old: os.stat_result, new: int) -> None:
    with suppress(PermissionError):  # only root gives files away
        os.fchown(new, old.st_uid, old.st_gid)
    os.fchmod(new, S_IMODE(old.st_mode))


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, so that nothing half written is left."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

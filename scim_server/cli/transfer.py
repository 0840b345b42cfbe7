"""``import`` and ``export``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from operator import attrgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from scim_server.cli.files import written_whole
from scim_server.cli.shared import as_json, as_text, call_for, database, of_organization, show

if TYPE_CHECKING:
    from scim_server.call import Call
    from scim_server.cli.import_files import Source
    from scim_server.operations.transfer import Result, Row
    from scim_server.store.database import Database
    from scim_server.store.transaction import Transaction

_BATCH = 100


@click.command("import")
@of_organization
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "ndjson"]),
    help="[default: csv where FILE is named so, or else ndjson]",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused rows go, a JSON line each. [default: FILE.refused.ndjson, or import.refused.ndjson]",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted import of FILE stopped.")
@as_json
def import_command(
    organization_name: str, file: Path, format_: str | None, report: Path | None, resume: bool, json_: bool
) -> None:
    """Import people and groups from FILE (- for standard input) into ORGANIZATION.

    CSV has a header: userName, externalId, displayName, givenName, familyName, email,
    active, title, department, groups (names, separated by ;) for a file of people, or
    displayName, externalId, members (userNames, separated by ;) for one of groups. NDJSON has a SCIM user or
    group on each line, or is an export. Who is there already stays as they are, so a file can be imported
    again. Seats are given as if the identity provider had pushed them.
    """
    from scim_server.cli.import_files import Progress, Report, Source
    from scim_server.cli.rows import rows_of

    source = Source(file)
    if resume and not source.is_file:
        raise click.UsageError("--resume is for files: what came through a pipe cannot be read again.")
    target = report or source.beside(".refused.ndjson")
    if source.is_kept_in(target):
        raise click.UsageError(f"--report would write over {target}: name another file.")
    with database() as opened:
        call = call_for(opened, organization_name, "import")
        with (
            source.opened() as text,
            Progress(source, resumes=resume) as progress,
            Report(target, named=report is not None, goes_on=progress.done > 0) as refused,
            _bar(source.name, progress.lines_left) as bar,
        ):
            rows = islice(rows_of(text, format_ or source.kind), progress.done, None)
            counts = dict.fromkeys(("created", "known", "left_out", "refused"), 0)
            while batch := _next_batch(source, rows):
                for result in _import(opened, call, batch):
                    counts[result.outcome] += 1
                    if result.outcome == "refused":
                        refused.write(result)
                progress.add(len(batch))
                bar.update(len(batch))
    said = ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in counts.items())
    show(
        {**counts, "report": str(target) if counts["refused"] else None},
        json_,
        said + (f"; see {target}." if counts["refused"] else "."),
    )


def _bar(name: str, lines: int | None) -> Any:
    """Return a progress bar, on a terminal only; where nobody knows how much there is, it counts."""
    return click.progressbar(
        None if lines is not None else count(),
        length=lines,
        show_pos=lines is None,
        label=f"Importing {name}",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    )


def _next_batch(source: Source, rows: Iterator[Row | Result]) -> list[Row | Result]:
    with source.usable():
        return list(islice(rows, _BATCH))


def _import(opened: Database, call: Call, batch: list[Row | Result]) -> list[Result]:
    """Import what can be read of some rows; return what became of each, in their order."""
    from scim_server.operations.transfer import Result, Row, import_rows

    decided = [row for row in batch if isinstance(row, Result)]
    done = opened.run(import_rows, call, [row for row in batch if isinstance(row, Row)])
    return sorted(decided + done, key=attrgetter("line"))


@click.command("export")
@of_organization
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: standard output]")
def export_command(organization_name: str, output: Path | None) -> None:
    """Write everything of ORGANIZATION as NDJSON: a line for each member, group, mapping, invoice, event."""
    from scim_server.operations import transfer

    with written_whole(output) as target, database() as opened:
        call = call_for(opened, organization_name, "export")
        lines = opened.read(_Once(lambda tx: _write(target, transfer.export(tx, call))))
    click.echo(f"Exported {lines} lines.", err=True)


def _write(target: IO[bytes], lines: Iterable[Any]) -> int:
    import orjson

    written = 0
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME
    for line in lines:
        target.write(orjson.dumps(line, as_text, option))
        written += 1
    return written


class _Once:
    """An operation that has effects outside of its transaction, and must not be begun again when that is lost."""

    def __init__(self, operation: Callable[[Transaction], int]) -> None:
        self._operation = operation
        self._has_begun = False

    def __call__(self, tx: Transaction) -> int:
        if self._has_begun:
            raise click.ClickException(
                "The connection to the database was lost, and what was exported so far is not everything. Export again."
            )
        self._has_begun = True
        return self._operation(tx)

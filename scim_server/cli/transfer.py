"""``import`` and ``export``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from scim_server.cli.files import written_whole
from scim_server.cli.shared import as_json, call_for, database, of_organization, show

if TYPE_CHECKING:
    from scim_server.operations.transfer import Result
    from scim_server.store.transaction import Transaction

_BATCH = 100


@click.command("import")
@of_organization
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format", "format_", type=click.Choice(["csv", "ndjson"]), help="[default: by the name of the file]"
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused rows go, a JSON line each. [default: FILE.refused.ndjson]",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted import of FILE stopped.")
@as_json
def import_command(
    organization_name: str, file: Path, format_: str | None, report: Path | None, resume: bool, json_: bool
) -> None:
    """Import people and groups from FILE into ORGANIZATION.

    CSV has a header: userName, externalId, displayName, givenName, familyName, email,
    active, title, department, groups (names, separated by ;) for a file of people, or
    displayName, externalId, members (userNames, separated by ;) for one of groups. NDJSON has a SCIM user or
    group on each line. Who is there already stays as they are, so a file can be imported
    again. Seats are given as if the identity provider had pushed them.
    """
    from scim_server.cli.rows import rows_of
    from scim_server.operations import transfer

    kind = format_ or ("csv" if file.suffix.lower() == ".csv" else "ndjson")
    progress = Path(f"{file}.progress")
    done = int(progress.read_text()) if resume and progress.exists() else 0
    counts = {"created": 0, "known": 0, "refused": 0}
    target = report or Path(f"{file}.refused.ndjson")
    with database() as opened, _Report(target, append=done > 0) as refused:
        call = call_for(opened, organization_name, "import")
        with (
            file.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="") as source,
            click.progressbar(
                length=max(_line_count(file) - done, 0),
                label=f"Importing {file.name}",
                file=sys.stderr,
                hidden=not sys.stderr.isatty(),
            ) as bar,
        ):
            rows = islice(rows_of(source, kind), done, None)
            while batch := list(islice(rows, _BATCH)):
                results = [row for row in batch if isinstance(row, transfer.Result)]
                readable = [row for row in batch if isinstance(row, transfer.Row)]
                results += opened.run(transfer.import_rows, call, readable)
                for result in results:
                    counts[result.outcome] += 1
                    refused.write(result)
                done += len(batch)
                progress.write_text(str(done))
                bar.update(len(batch))
    progress.unlink(missing_ok=True)
    text = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    show(
        {**counts, "report": str(target) if counts["refused"] else None},
        json_,
        text + (f"; see {target}." if counts["refused"] else "."),
    )


def _line_count(file: Path) -> int:
    with file.open("rb") as source:
        return sum(1 for _ in source)


class _Report:
    """Refused rows, a JSON line each; the file is made when there is something to say."""

    def __init__(self, path: Path, *, append: bool) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._append = append

    def __enter__(self) -> _Report:
        if not self._append:
            self._path.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, result: Result) -> None:
        if result.outcome != "refused":
            return
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(json.dumps({"line": result.line, "reason": result.reason}) + "\n")
        self._file.flush()


@click.command("export")
@of_organization
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: standard output]")
def export_command(organization_name: str, output: Path | None) -> None:
    """Write everything of ORGANIZATION as NDJSON: a line for each member, group, mapping, invoice, event."""
    from scim_server.operations import transfer

    with written_whole(output) as target, database() as opened:
        call = call_for(opened, organization_name, "export")
        count = opened.read(_Once(lambda tx: _write(target, transfer.export(tx, call))))
    click.echo(f"Exported {count} lines.", err=True)


def _write(target: IO[bytes], lines: Iterable[Any]) -> int:
    import orjson

    count = 0
    for line in lines:
        target.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        count += 1
    return count


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

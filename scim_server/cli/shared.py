"""What the commands share: the database, an organization's call, options, and how results are printed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scim_server.config import Config
from scim_server.errors import Unavailable, said_by_driver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scim_server.call import Call
    from scim_server.store.database import Database

F = TypeVar("F", bound=Callable[..., Any])

_DURATION = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_LONGEST = timedelta(days=36_500)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@contextmanager
def database_of(config: Config) -> Iterator[Database]:
    """Open the database that the settings name, and close it again.

    Where it cannot be used the driver's own words say why: whoever types a command is the one who can mend that.
    """
    from sqlalchemy.exc import ProgrammingError

    from scim_server.store.database import Database

    opened = Database(
        config.database_url,
        pool_size=config.pool_size,
        durability=config.durability,
        pgbouncer=config.pgbouncer,
    )
    if opened.is_sqlite and opened.engine.url.database in (None, "", ":memory:"):
        raise click.ClickException(
            "SCIM_DATABASE_URL must name a file, as in sqlite:///file: what is in memory each process has for itself, "
            "and this command would leave nothing behind."
        )
    try:
        yield opened
    except (Unavailable, ProgrammingError) as error:  # the latter: a wrong option, a right that is missing
        raise click.ClickException(_trouble(opened, error)) from error
    finally:
        opened.close()


def _trouble(opened: Database, error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, Unavailable) else error
    reason = said_by_driver(cause)
    if reason is None:
        return str(error)
    # PostgreSQL names its host and database by itself. Its URL, which has a password, is not shown.
    named = f" {opened.engine.url.database}" if opened.is_sqlite else ""
    return f"The database{named} cannot be used: {reason}"


@contextmanager
def database() -> Iterator[Database]:
    """Open the database of the environment, with a schema that is current."""
    with database_of(Config.from_environment()) as opened:
        upgrade_or_refuse(opened)
        yield opened


def call_for(opened: Database, name: str, request_id: str) -> Call:
    """Return a call on behalf of an organization, by its name or id; ``request_id`` names the command."""
    from scim_server.operations import access, organizations

    found = opened.read(organizations.find, name)
    if found is None:
        raise click.ClickException(f"There is no organization {name}.")
    request_id = f"scim-server {request_id}"
    return access.system_call(found["id"], actor="command", at=datetime.now(UTC), request_id=request_id)


def all_pages(
    opened: Database, search: Callable[..., Any], call: Call, **wanted: Any
) -> list[dict[str, Any]]:
    """Return all items of a list that operations give out page by page."""
    from scim_server.operations.listing import MAX_LIMIT, Page

    items: list[dict[str, Any]] = []
    page = Page(MAX_LIMIT)
    while True:
        found = opened.read(search, call, page, **wanted)
        items += found.items
        if found.next_cursor is None:
            return items
        page = Page(MAX_LIMIT, found.next_cursor)


def show(document: Any, json_: bool, text: str) -> None:
    """Print a result, for a script or for a person."""
    click.echo(json.dumps(document, default=as_text) if json_ else text)


def as_text(value: object) -> str:
    """Return what JSON has no form for as the Admin API writes it: an instant is RFC 3339 text in UTC."""
    from scim_server.scim.values import format_date_time

    return format_date_time(value) if isinstance(value, datetime) else str(value)


def upgrade_or_refuse(database: Database) -> None:
    """The embedded database is brought up to date by itself; a shared one only on purpose."""
    from scim_server.store import schema

    if database.is_sqlite:
        schema.upgrade(database)
    elif not schema.is_current(database):
        raise click.ClickException("The schema of the database is not current: run scim-server db upgrade.")


# -- options


def as_json(command: F) -> F:
    """Add ``--json`` to a command."""
    return click.option("--json", "json_", is_flag=True, help="Print one JSON document.")(command)


def of_organization(command: F) -> F:
    """Add the argument ORGANIZATION, a name or an id."""
    return click.argument("organization_name", metavar="ORGANIZATION")(command)


def counts(_context: Any, option: click.Parameter, values: Iterable[str]) -> dict[str, int]:
    """Read TIER=NUMBER options in the order in which they stand."""
    counts: dict[str, int] = {}
    for value in values:
        tier, _, number = value.partition("=")
        if not number.isascii() or not number.isdigit() or tier in counts:
            raise click.BadParameter(f"{value!r} is not TIER=NUMBER, each tier once.", param=option)
        counts[tier] = int(number)
    return counts


def pairs(_context: Any, option: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """Read NAME=VALUE options."""
    pairs = [value.partition("=") for value in values]
    if not all(separator for _, separator, _ in pairs):
        raise click.BadParameter("each must be NAME=VALUE.", param=option)
    return {name: text for name, _, text in pairs}


def duration(_context: Any, option: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter("must be a number and one of s, m, h, d, w, as in 90d.", param=option)
    time = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if not timedelta() < time <= _LONGEST:
        raise click.BadParameter(f"must be more than 0 and at most {_LONGEST.days}d.", param=option)
    return time


def json_value(text: str) -> object:
    """Read ``5`` as a number and ``true`` as true, anything else as text."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value

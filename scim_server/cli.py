"""The ``scim-server`` command.

Modules that only one command needs are imported by that command: the time from the start
to the first answer is part of what is promised.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scim_server.config import Config, ConfigError
from scim_server.errors import ScimSeatsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scim_server.call import Call
    from scim_server.store.database import Database

F = TypeVar("F", bound=Callable[..., Any])

_DURATION = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LEAST_TIERS = ("premium", "standard")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scim-seats")
def cli() -> None:
    """Provisioning by SCIM 2.0, with a seat for everybody who should have one."""


def main() -> None:
    """Run the command; what goes wrong on purpose is one line on standard error."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        sys.exit(f"scim-server: {error}")
    except ScimSeatsError as error:
        sys.exit(f"scim-server: {error.detail}")


def as_json(command: F) -> F:
    """Add ``--json`` to a command."""
    return click.option("--json", "json_", is_flag=True, help="Print one JSON document.")(command)


# -- serve


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(1, 256), help="Worker processes."
)
def serve(host: str, port: int, workers: int) -> None:
    """Serve SCIM, the login hook and the Admin API until told to stop."""
    config = Config.from_environment()
    with database_of(config) as database:
        upgrade_or_refuse(database)
        threads = 1 if database.is_sqlite else 4
    _serve(host, port, workers, threads)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535))
def demo(host: str, port: int) -> None:
    """Serve a demo organization; made at the first start, kept at the next."""
    from pathlib import Path

    from scim_server import cli_demo

    config = Config.from_environment()
    with database_of(config) as opened:
        upgrade_or_refuse(opened)
        file = opened.engine.url.database if opened.is_sqlite else None
        tokens = cli_demo.prepare(opened, Path(file or ".").parent / "demo-tokens.json")
        threads = 1 if opened.is_sqlite else 4
    cli_demo.introduce(f"http://{host}:{port}", tokens)
    sys.stdout.flush()
    _serve(host, port, 2, threads)


def upgrade_or_refuse(database: Database) -> None:
    """The embedded database is brought up to date by itself; a shared one only on purpose."""
    from scim_server.store import schema

    if database.is_sqlite:
        schema.upgrade(database)
    elif not schema.is_current(database):
        raise click.ClickException("The schema of the database is not current: run scim-server db upgrade.")


def _serve(host: str, port: int, workers: int, threads: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        "scim_server:create_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        respawn_failed_workers=True,
        log_access=False,
    ).serve()


# -- db


@cli.group()
def db() -> None:
    """The database."""


@db.command()
def upgrade() -> None:
    """Make the tables, or bring them up to date."""
    from scim_server.store import schema

    with database() as opened:
        schema.upgrade(opened)
    click.echo("The schema is current.", err=True)


# -- organizations


@cli.group()
def organization() -> None:
    """Organizations: who buys seats."""


def _counts(_context: Any, option: click.Parameter, values: Iterable[str]) -> dict[str, int]:
    """Read TIER=NUMBER options in the order in which they stand."""
    counts: dict[str, int] = {}
    for value in values:
        tier, _, number = value.partition("=")
        if not number.isascii() or not number.isdigit() or tier in counts:
            raise click.BadParameter(f"{value!r} is not TIER=NUMBER, each tier once.", param=option)
        counts[tier] = int(number)
    return counts


def _settings(_context: Any, option: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """Read NAME=VALUE options."""
    pairs = [value.partition("=") for value in values]
    if not all(separator for _, separator, _ in pairs):
        raise click.BadParameter("each must be NAME=VALUE.", param=option)
    return {name: text for name, _, text in pairs}


@organization.command("create")
@click.argument("name")
@click.option("--plan", type=click.Choice(["team", "enterprise"]), default="team", show_default=True)
@click.option(
    "--seats", multiple=True, callback=_counts, metavar="TIER=NUMBER", help="Seats bought, once a tier."
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    callback=_counts,
    metavar="TIER=MINOR",
    help="Price of a seat for a month in minor units (cents). [default: premium=15000 standard=3000]",
)
@click.option("--currency", default="USD", show_default=True, help="ISO 4217.")
@click.option(
    "--billing", type=click.Choice(["monthly", "annual"]), help="[default: monthly; annual on enterprise]"
)
@click.option(
    "--term-start", type=click.DateTime(["%Y-%m-%d"]), help="First day of the term. [default: today]"
)
@click.option("--time-zone", default="UTC", show_default=True, help="Where the days of the bill begin.")
@click.option(
    "--set", "settings", multiple=True, callback=_settings, metavar="NAME=VALUE", help="A seat setting."
)
@as_json
def create_organization(
    name: str,
    plan: str,
    seats: dict[str, int],
    prices: dict[str, int],
    currency: str,
    billing: str | None,
    term_start: datetime | None,
    time_zone: str,
    settings: dict[str, str],
    json_: bool,
) -> None:
    """Create an organization with its seats.

    The tiers are premium and standard; other names may be given, highest first.
    """
    from scim_server.operations import organizations

    now = datetime.now(UTC)
    with database() as opened:
        created = opened.run(
            organizations.create,
            name=name,
            plan=plan,
            seats=tiers_of(seats),
            prices=prices,
            currency=currency,
            billing=billing or ("annual" if plan == "enterprise" else "monthly"),
            term_start=term_start.date() if term_start else date.fromisoformat(now.date().isoformat()),
            time_zone=time_zone,
            settings={name: json_value(text) for name, text in settings.items()},
            at=now,
            request_id="scim-server organization create",
        )
    show(created, json_, f"Created {name}, {created['id']}.")


def tiers_of(seats: dict[str, int]) -> dict[str, int]:
    """Return the tiers, highest first: premium above standard always, others as they were given."""
    if set(seats) <= set(_LEAST_TIERS):
        return {tier: seats.get(tier, 0) for tier in _LEAST_TIERS}
    return seats


def json_value(text: str) -> object:
    """Read ``5`` as a number and ``true`` as true, anything else as text."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


@organization.command("list")
@as_json
def list_organizations(json_: bool) -> None:
    """List the organizations."""
    from scim_server.operations import organizations

    with database() as opened:
        found = opened.read(organizations.list_all)
    show(found, json_, "\n".join(f"{one['id']}  {one['name']}  {one['plan']}" for one in found))


# -- tokens


@cli.group()
def token() -> None:
    """Tokens: what opens the SCIM service, the login hook and the Admin API."""


def _duration(_context: Any, option: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter("must be a number and one of s, m, h, d, w, as in 90d.", param=option)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@token.command("create")
@click.argument("organization_name", metavar="ORGANIZATION")
@click.option("--kind", required=True, type=click.Choice(["scim", "jit", "admin"]))
@click.option(
    "--role", type=click.Choice(["user", "admin", "owner", "primary_owner"]), help="For the kind admin."
)
@click.option("--member", help="The id of the person whom the token stands for.")
@click.option("--name", help="What the token is for.")
@click.option("--expires-in", callback=_duration, metavar="TIME", help="As in 90d or 12h. [default: never]")
@click.option(
    "--profile", type=click.Choice(["interop", "strict"]), help="For the kind scim. [default: interop]"
)
@click.option(
    "--set", "settings", multiple=True, callback=_settings, metavar="NAME=VALUE", help="For the kind scim."
)
@as_json
def create_token(
    organization_name: str,
    kind: str,
    role: str | None,
    member: str | None,
    name: str | None,
    expires_in: timedelta | None,
    profile: str | None,
    settings: dict[str, str],
    json_: bool,
) -> None:
    """Make a token for ORGANIZATION (its name or id) and print it, this once."""
    from scim_server.operations import access

    now = datetime.now(UTC)
    with database() as opened:
        call = call_for(opened, organization_name, "scim-server token create")
        made = opened.run(
            access.create_token,
            call,
            kind=kind,
            role=role,
            member_id=member,
            name=name,
            expires_at=now + expires_in if expires_in else None,
            profile=profile,
            client_settings=settings,
        )
    show(made, json_, made["token"])


# -- schemas


@cli.group("schema")
def schema_group() -> None:
    """Further attributes that an organization declares."""


@schema_group.command("load")
@click.argument("organization_name", metavar="ORGANIZATION")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--type", "resource_type", type=click.Choice(["User", "Group"]), default="User", show_default=True
)
@as_json
def load_schema(organization_name: str, file: Any, resource_type: str, json_: bool) -> None:
    """Declare the schema in FILE (JSON as in RFC 7643 section 7, - for standard input) for ORGANIZATION.

    Its attributes are validated, stored, filterable and listed in /Schemas like the built-in
    ones. Loading it again may add attributes.
    """
    from scim_server.operations import extensions
    from scim_server.scim import json_text

    document = json_text.load_object(file.read())
    with database() as opened:
        call = call_for(opened, organization_name, "scim-server schema load")
        declared = opened.run(extensions.declare, call, resource_type, document)
    names = [attribute.name for attribute in declared.attributes]
    show(
        {"id": declared.id, "attributes": names},
        json_,
        f"{resource_type} has {declared.id}: {', '.join(names)}.",
    )


# -- shared


@contextmanager
def database_of(config: Config) -> Iterator[Database]:
    """Open the database that the settings name, and close it again."""
    from scim_server.store.database import Database

    opened = Database(
        config.database_url,
        pool_size=config.pool_size,
        durability=config.durability,
        pgbouncer=config.pgbouncer,
    )
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def database() -> Iterator[Database]:
    """Open the database of the environment; the embedded one is made where it is missing."""
    with database_of(Config.from_environment()) as opened:
        upgrade_or_refuse(opened) if opened.is_sqlite else None
        yield opened


def call_for(opened: Database, name: str, request_id: str) -> Call:
    """Return a call on behalf of an organization, by its name or id."""
    from scim_server.operations import access, organizations

    found = opened.read(organizations.find, name)
    if found is None:
        raise click.ClickException(f"There is no organization {name}.")
    return access.system_call(found["id"], actor="command", at=datetime.now(UTC), request_id=request_id)


def show(document: Any, json_: bool, text: str) -> None:
    """Print a result, for a script or for a person."""
    click.echo(json.dumps(document, default=str) if json_ else text)

"""Every setting of the server: its default, its check. Read once, frozen, passed on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, validate
from marshmallow import fields as marshmallow_fields

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

PREFIX = "SCIM_"
_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


class ConfigError(Exception):
    """A setting that makes no sense; the message is one line that names it."""


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one server. Each is the environment variable of its name with ``SCIM_`` before it."""

    database_url: str = "sqlite:///scim-seats.sqlite3"
    """Where the data is: ``sqlite:///file`` or ``postgresql://user:password@host/name``."""
    read_database_url: str | None = None
    """A replica that lists and look-ups of resources are read from; it may lag (docs/scaling.md)."""
    base_url: str | None = None
    """The public address, as in ``https://scim.example.com``; without it, that of the request."""
    max_body_bytes: int = 16 * 1024 * 1024
    """The largest request body that is read."""
    bulk_max_payload_bytes: int = 4 * 1024 * 1024
    """The largest body of a Bulk request (``bulk.maxPayloadSize``)."""
    bulk_max_operations: int = 1000
    """The most operations of a Bulk request (``bulk.maxOperations``)."""
    default_page_size: int = 100
    """How many resources a page has where the client does not say."""
    max_page_size: int = 1000
    """How many resources a page has at most (``filter.maxResults``)."""
    cursor_seconds: int = 3600
    """How long a cursor holds."""
    pool_size: int = 8
    """How many database connections a process keeps."""
    pgbouncer: bool = False
    """Whether PostgreSQL is reached through PgBouncer in transaction mode: no prepared statements are kept."""
    durability: str = "normal"
    """SQLite: ``normal`` survives a crash of the process, ``full`` a loss of power too."""
    due_seconds: int = 60
    """How often a serving process looks for what is due: expiries, renewals. 0: never, ``run-due`` does."""
    log_level: str = "info"
    """The least important line that is logged: debug, info, warning or error."""
    trusted_proxies: int = 0
    """How many reverse proxies stand in front whose ``X-Forwarded-…`` headers are to be believed."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Read the settings from environment variables. Raises ConfigError."""
        given = os.environ if environ is None else environ
        names = {PREFIX + field.name.upper(): field.name for field in fields(cls)}
        return cls._checked({names[key]: value for key, value in given.items() if key in names})

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Config:
        """Read the environment, overridden by ``settings``, which are named as here or as there.

        Raises ConfigError, also for a name that is no setting.
        """
        environ = dict(os.environ)
        known = {field.name for field in fields(cls)}
        for name, value in settings.items():
            plain = name.removeprefix(PREFIX).lower()
            if plain not in known:
                raise ConfigError(f"{name} is no setting of scim-server.")
            environ[PREFIX + plain.upper()] = "" if value is None else str(value)
        return cls.from_environment(environ)

    @classmethod
    def _checked(cls, given: Mapping[str, str]) -> Config:
        try:
            values = _CHECKS.load({name: value for name, value in given.items() if value != ""})
        except ValidationError as error:
            messages: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
            [(name, problems), *_] = messages.items()
            raise ConfigError(f"{PREFIX}{name.upper()}: {' '.join(map(str, problems))}") from error
        return cls(**values)


def unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """Say of each variable that is called as a setting and is none, which one was probably meant.

    It is no error: another program may have taken the same beginning for its own. Values are not shown.
    """
    known = [PREFIX + field.name.upper() for field in fields(Config)]
    return [
        f"{name.encode(errors='replace').decode()} is no setting of scim-server{_meant(name, known)}."
        for name in sorted(environ)
        if name.upper().startswith(PREFIX) and name not in known
    ]


def _meant(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    similar = get_close_matches(name.upper(), known, 1, 0.75)
    return f"; {similar[0]} is" if similar else ""


def _is_database(url: str) -> None:
    """Refuse what the store has no driver for: each is another library, which speaks of errors in its own way."""
    parsed = _parsed(url)
    name = parsed.drivername
    if name in _SQLITE and (parsed.host or parsed.username or "?" in url or "\0" in (parsed.database or "")):
        raise ValidationError(
            "must be sqlite:///file or, from the root, sqlite:////folder/file, and nothing behind it."
        )
    if name not in (*_SQLITE, *_POSTGRESQL):
        raise ValidationError(
            f"{name} is not supported; use sqlite or postgresql, without a +driver behind it."
        )


def _is_postgresql(url: str) -> None:
    _is_database(url)
    if _parsed(url).drivername in _SQLITE:
        raise ValidationError("must be a replica on PostgreSQL; SQLite has none.")


def _parsed(url: str) -> URL:
    # SQLAlchemy is half of what the command loads, and not needed to show its help.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        raise ValidationError(
            "must be a URL such as sqlite:///file or postgresql://user@host:5432/name."
        ) from error


def _number(least: int, most: int) -> marshmallow_fields.Integer:
    return marshmallow_fields.Integer(validate=validate.Range(least, most))


_CHECKS = Schema.from_dict(
    {
        "database_url": marshmallow_fields.String(validate=_is_database),
        "read_database_url": marshmallow_fields.String(validate=_is_postgresql),
        "base_url": marshmallow_fields.Url(schemes={"http", "https"}, require_tld=False),
        "max_body_bytes": _number(1024, 2**31),
        "bulk_max_payload_bytes": _number(1024, 2**31),
        "bulk_max_operations": _number(1, 100_000),
        "default_page_size": _number(1, 100_000),
        "max_page_size": _number(1, 100_000),
        "cursor_seconds": _number(1, 31_536_000),
        "pool_size": _number(1, 1000),
        "pgbouncer": marshmallow_fields.Boolean(),
        "durability": marshmallow_fields.String(validate=validate.OneOf(["normal", "full"])),
        "due_seconds": _number(0, 86_400),
        "log_level": marshmallow_fields.String(
            validate=validate.OneOf(["debug", "info", "warning", "error"])
        ),
        "trusted_proxies": _number(0, 100),
    }
)()

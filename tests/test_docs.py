"""What the documents say is so."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from scim_server import create_app, events
from scim_server.cli import cli
from scim_server.config import PREFIX, Config
from scim_server.errors import (
    InvalidRequest,
    NotSupported,
    OwnerProtected,
    PurchaseRefused,
    ScimSeatsError,
    VersionMismatch,
)
from scim_server.events import Event
from scim_server.operations.transfer import COLUMNS
from scim_server.scim.dialects import ClientSettings, Deviation
from scim_server.store.event_log import kind_of
from seat_policy import Settings, settings_as_values

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# What the profile strict does with a deviation.
STRICTLY = {"refused", "taken", "taken, except `remove`", "replace is refused", "setting"}


def rows(name: str) -> list[list[str]]:
    """Return the cells of every table row of a document."""
    lines = (DOCS / name).read_text().splitlines()
    tables = [line for line in lines if line.startswith("|") and not set(line) <= set("|- ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables]


def test_files_and_tests_of_the_conformance_table_exist():
    cited = [
        cell
        for row in rows("conformance.md")
        for cell in re.findall(r"`((?:scim_server|tests)/[\w/]+\.py)`", " ".join(row))
    ]

    assert len(cited) > 60
    assert [path for path in cited if not (ROOT / path).exists()] == []


def test_every_claim_of_conformance_names_a_test():
    claims = [row for row in rows("conformance.md") if row[1] in ("✅", "🟠")]

    assert len(claims) > 35
    assert [row[0] for row in claims if "tests/" not in row[4]] == []


def test_every_threat_names_tests_that_exist():
    threats = rows("security.md")[1:]
    cited = {row[0]: re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[2]) for row in threats}
    missing = [
        f"{path}::{name}"
        for tests in cited.values()
        for path, name in tests
        if not (ROOT / path).exists() or f"def {name}(" not in (ROOT / path).read_text()
    ]

    assert len(threats) > 30
    assert [threat for threat, tests in cited.items() if not tests] == []
    assert missing == []


def test_every_setting_of_the_server_is_documented():
    documented = (DOCS / "configuration.md").read_text()

    assert [f.name for f in fields(Config) if f"`{PREFIX}{f.name.upper()}`" not in documented] == []


@pytest.mark.parametrize("settings", [Settings, ClientSettings])
def test_every_setting_of_an_organization_and_of_a_client_is_documented(settings):
    documented = (DOCS / "administration.md").read_text()

    assert [f.name for f in fields(settings) if f"`{f.name}`" not in documented] == []


def test_every_deviation_is_documented_and_none_that_is_not():
    named = [row[0].strip("`") for row in rows("identity-providers.md") if row[-1] in STRICTLY]

    assert sorted(named) == sorted(Deviation)


def test_every_setting_of_an_organization_is_documented_with_its_default():
    documented = {
        row[0].strip("`"): re.split(r",| on ", row[1])[0]
        for row in rows("administration.md")
        if len(row) == 3 and row[0].startswith("`")
    }
    defaults = {
        name: value
        for name, value in settings_as_values(Settings(), ["the highest tier"]).items()
        if name not in ("min_total", "max_total")  # which depend on the plan
    }

    assert {name: documented[name] for name in defaults} == {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in defaults.items()
    }


def test_every_kind_of_event_is_documented():
    documented = (DOCS / "administration.md").read_text()
    classes = [
        thing for thing in vars(events).values() if isinstance(thing, type) and issubclass(thing, Event)
    ]
    kinds = {kind_of(event) for event in classes if not event.__subclasses__()}

    assert len(kinds) > 25
    assert {kind for kind in kinds if f"`{kind}`" not in documented} == set()


def test_every_error_code_of_the_admin_api_is_documented(tmp_path):
    app = create_app({"database_url": f"sqlite:///{tmp_path}/x.sqlite3", "log_level": "error"})
    spec = app.test_client().get("/admin/v1/openapi.json").get_data(as_text=True)
    app.extensions["scim_seats"].database.close()
    conflicts = set(re.findall(r"\w+", " ".join(re.findall(r"does not allow it: ([\w, ]+)", spec))))
    of_scim_alone = {InvalidRequest, *descendants(InvalidRequest), VersionMismatch, NotSupported}
    with_codes_of_their_own = {OwnerProtected, PurchaseRefused}
    codes = {error.code for error in descendants(ScimSeatsError) - of_scim_alone - with_codes_of_their_own}
    documented = (DOCS / "administration.md").read_text()

    assert len(conflicts) > 10 and len(codes) > 15
    assert {code for code in codes | conflicts if f"`{code}`" not in documented} == set()


def descendants(of: type) -> set[type]:
    return {one for sub in of.__subclasses__() for one in (sub, *descendants(sub))}


def commands(group: click.Group, *path: str) -> dict[str, click.Command]:
    """Return every command with subcommands in its name, as in ``token create``."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, *path, name)
        else:
            found[" ".join((*path, name))] = command
    return found


def test_every_command_says_what_it_does():
    assert [name for name, command in commands(cli).items() if not command.help] == []


def test_every_command_is_documented():
    documented = (DOCS / "administration.md").read_text()

    assert [name for name in commands(cli) if f"`{name}`" not in documented] == []


def test_every_column_of_an_import_is_documented():
    documented = (DOCS / "administration.md").read_text()

    assert [
        column for columns in COLUMNS.values() for column in columns if f"`{column}`" not in documented
    ] == []


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=lambda path: path.name
)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []

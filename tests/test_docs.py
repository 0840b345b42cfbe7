"""What the documents say is so."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from scim_server.cli import cli
from scim_server.config import PREFIX, Config
from scim_server.scim.dialects import ClientSettings, Deviation
from seat_policy import Settings

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


def test_every_command_says_what_it_does():
    def commands(group: click.Group) -> list[click.Command]:
        return [
            c
            for command in group.commands.values()
            for c in ([*commands(command), command] if isinstance(command, click.Group) else [command])
        ]

    assert [command.name for command in commands(cli) if not command.help] == []


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=lambda path: path.name
)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []

"""``scim-server demo``: an organization to try the server with, and the server itself."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from scim_server.operations import access, groups, organizations, seat_rules
from scim_server.scim import projection
from scim_server.scim.schemas import GROUP, GROUP_URN
from scim_server.store.database import Database

NAME = "demo"
_REQUEST = "scim-server demo"
_ROLES = {"scim": None, "jit": None, "admin": "owner"}
"""The kinds of token that there are of the demo, and what role each has."""


def prepare(database: Database, tokens_file: Path) -> dict[str, str]:
    """Make the demo organization where there is none, and return its tokens.

    Tokens are stored as hashes only, so the demo's own are kept beside the database for
    the next start; where that file is gone or damaged, there are new ones.
    """
    now = datetime.now(UTC)
    found = database.read(organizations.find, NAME) or _make(database, now)
    kept = _kept(tokens_file)
    if kept.get("organization") == found["id"]:
        return dict(kept["tokens"])
    tokens = {kind: _token(database, found["id"], kind, role, now) for kind, role in _ROLES.items()}
    _keep(tokens_file, {"organization": found["id"], "tokens": tokens})
    return tokens


def _make(database: Database, now: datetime) -> dict[str, Any]:
    made = database.run(
        organizations.create,
        name=NAME,
        plan="team",
        seats={"premium": 2, "standard": 3},
        prices={},
        currency="USD",
        billing="monthly",
        term_start=date(now.year, now.month, 1),
        time_zone="UTC",
        settings={"group_mappings": "on"},
        at=now,
        request_id=_REQUEST,
    )
    call = access.system_call(made["id"], actor="command", at=now, request_id=_REQUEST)
    body = {"schemas": [GROUP_URN], "displayName": "Engineering"}
    group = database.run(
        groups.create, call, groups.document_of(call, body), projection.of(GROUP, None, None)
    )
    database.run(
        seat_rules.set_mapping, call, group.id, tier="premium", priority=None, role=None, dry_run=False
    )
    return made


def _token(database: Database, organization_id: str, kind: str, role: str | None, now: datetime) -> str:
    call = access.system_call(organization_id, actor="command", at=now, request_id=_REQUEST)
    made = database.run(
        access.create_token,
        call,
        kind=kind,
        role=role,
        member_id=None,
        name="demo",
        expires_at=None,
        profile=None,
        client_settings={},
    )
    return str(made["token"])


def _kept(path: Path) -> dict[str, Any]:
    """Return what ``_keep`` wrote, empty where that cannot be read."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    tokens = content.get("tokens") if isinstance(content, dict) else None
    return content if isinstance(tokens, dict) and tokens.keys() == _ROLES.keys() else {}


def _keep(path: Path, content: dict[str, Any]) -> None:
    """Write a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)


def introduce(address: str, tokens: dict[str, str]) -> None:
    """Print where the server is and three requests to try."""
    click.echo(
        f"""
scim-seats, with a demo organization: 2 premium seats, 3 standard seats,
and the group Engineering mapped to premium.

  SCIM address   {address}/scim/v2
  SCIM token     {tokens["scim"]}
  JIT token      {tokens["jit"]}
  Admin token    {tokens["admin"]}
  Admin API      {address}/admin/v1/docs

Try, in another terminal:

  curl -X POST {address}/scim/v2/Users -H 'Authorization: Bearer {tokens["scim"]}' \\
       -H 'Content-Type: application/scim+json' -d '{{"userName": "ada@example.com"}}'

  curl {address}/admin/v1/seats -H 'Authorization: Bearer {tokens["admin"]}'

  curl -X POST {address}/jit/v1/login -H 'Authorization: Bearer {tokens["jit"]}' \\
       -H 'Content-Type: application/json' -d '{{"userName": "ada@example.com"}}'

Stop with Ctrl-C; the data stays.
"""
    )

"""``scim-server demo``: what it makes at the first start and finds again at the next."""

from __future__ import annotations

import json

import pytest

from scim_server.cli import demo_organization
from scim_server.operations import organizations


def test_the_next_start_finds_the_organization_and_its_tokens(database, tmp_path):
    file = tmp_path / "demo-tokens.json"

    first = demo_organization.prepare(database, file)
    second = demo_organization.prepare(database, file)

    assert first.keys() == {"scim", "jit", "admin"}
    assert second == first
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"tokens": {}}', '{"tokens": ["a"]}', b"\xff"])
def test_tokens_that_cannot_be_read_are_made_anew(database, tmp_path, content):
    file = tmp_path / "demo-tokens.json"
    first = demo_organization.prepare(database, file)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    second = demo_organization.prepare(database, file)

    assert second.keys() == first.keys()
    assert set(second.values()).isdisjoint(first.values())
    assert json.loads(file.read_text())["tokens"] == second


def test_tokens_of_another_database_are_not_shown(database, tmp_path):
    file = tmp_path / "demo-tokens.json"
    first = demo_organization.prepare(database, file)
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "organization": "another"}))

    assert set(demo_organization.prepare(database, file).values()).isdisjoint(first.values())
    assert database.read(organizations.find, demo_organization.NAME)["id"] == kept["organization"]

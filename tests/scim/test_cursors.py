"""Cursors: sealed, veiled, for a time (RFC 9865 §2, §5.2)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from scim_server.errors import ExpiredCursor, InvalidCount, InvalidCursor
from scim_server.scim import cursors

KEY = b"k" * 32
NOW = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA = "ada@example.com"


def sealed(**otherwise):
    values = {"organization_id": "acme", "fingerprint": "f", "count": 2, "position": [ADA, 7]}
    return cursors.seal(KEY, expires_at=NOW + HOUR, **(values | otherwise))


def opened(cursor, at=NOW, key=KEY, **otherwise):
    values = {"organization_id": "acme", "fingerprint": "f", "count": 2}
    return cursors.open(key, cursor=cursor, at=at, **(values | otherwise))


def test_what_was_sealed_is_opened():
    assert opened(sealed()) == [ADA, 7]


def test_a_cursor_has_unreserved_characters_only_and_cannot_be_read():
    cursor = sealed()

    assert all(character.isascii() and (character.isalnum() or character in "-_") for character in cursor)
    assert ADA.encode() not in base64.urlsafe_b64decode(cursor + "==")


@pytest.mark.parametrize(
    "otherwise", [{"organization_id": "other"}, {"fingerprint": "g"}, {"key": b"x" * 32}]
)
def test_a_cursor_of_something_else_is_none(otherwise):
    with pytest.raises(InvalidCursor):
        opened(sealed(), **otherwise)


def test_a_cursor_has_one_spelling():
    cursor = sealed()
    changed = [cursor[:at] + other + cursor[at + 1 :] for at in range(len(cursor)) for other in "AZaz09-_!é"]
    others = [cursor + "=", cursor + "A", cursor[:-1], " " + cursor, cursor + "\n", "", "=", "é", *changed]

    for other in others:
        if other != cursor:
            with pytest.raises(InvalidCursor):
                opened(other)


def test_a_cursor_holds_as_long_as_promised_and_not_a_second_longer():
    cursor = sealed()

    assert opened(cursor, at=NOW + HOUR) == [ADA, 7]
    with pytest.raises(ExpiredCursor):
        opened(cursor, at=NOW + HOUR + timedelta(seconds=1))


def test_the_page_size_stays():
    with pytest.raises(InvalidCount, match="2"):
        opened(sealed(), count=3)

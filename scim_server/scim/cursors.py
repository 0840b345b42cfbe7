"""Cursors: a place in a list, sealed for one organization, one query and one page size (RFC 9865 §2).

The seal stands before the content, which is veiled: what a client gets cannot be forged, nor read (RFC 9865 §5.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from datetime import datetime
from typing import Any

import orjson

from scim_server.errors import ExpiredCursor, InvalidCount, InvalidCursor

_SEAL = 16


def seal(
    key: bytes, organization_id: str, fingerprint: str, count: int, position: list[Any], expires_at: datetime
) -> str:
    """Return a cursor for a place; ``fingerprint`` stands for the query that it belongs to."""
    content = orjson.dumps([count, math.ceil(expires_at.timestamp()), position])
    mac = _mac(key, organization_id, fingerprint, content)
    return _text_of(mac + _veiled(key, mac, content))


def open(
    key: bytes, organization_id: str, fingerprint: str, count: int, cursor: str, at: datetime
) -> list[Any]:
    """Return the place that a cursor names.

    Raises InvalidCursor for one that was not sealed for this organization and query,
    InvalidCount for another page size than the one it was sealed for, ExpiredCursor.
    """
    sealed = _bytes_of(cursor)
    mac = sealed[:_SEAL]
    content = _veiled(key, mac, sealed[_SEAL:])
    if not hmac.compare_digest(mac, _mac(key, organization_id, fingerprint, content)):
        raise InvalidCursor("cursor was not given out for this query; begin again without one.")
    sealed_count, expires_at, position = orjson.loads(content)
    if sealed_count != count:
        raise InvalidCount(f"count must stay {sealed_count} from page to page.")
    if at.timestamp() > expires_at:
        raise ExpiredCursor("cursor has expired; begin again without one.")
    place: list[Any] = position
    return place


def _text_of(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _bytes_of(cursor: str) -> bytes:
    """Decode a cursor; a text that stands for the same bytes as another one is no cursor."""
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        sealed = b""
    if _text_of(sealed) != cursor:
        raise InvalidCursor("cursor is not one that this service has given out.")
    return sealed


def _mac(key: bytes, organization_id: str, fingerprint: str, content: bytes) -> bytes:
    bound = b"\x00".join((organization_id.encode(), fingerprint.encode(), content))
    return hmac.digest(key, bound, "sha256")[:_SEAL]


def _veiled(key: bytes, mac: bytes, content: bytes) -> bytes:
    """Hide the content, or uncover it, with a stream of bytes that only this seal has."""
    length = len(content)
    stream = hashlib.shake_256(key + mac).digest(length)
    return (int.from_bytes(content) ^ int.from_bytes(stream)).to_bytes(length)

"""Cursors: a place in a list, sealed for one organization, one query and one page size (RFC 9865 §2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Any

import orjson

from scim_server.errors import ExpiredCursor, InvalidCount, InvalidCursor

_SEAL = 16


def seal(
    key: bytes, organization_id: str, fingerprint: str, count: int, position: list[Any], expires_at: datetime
) -> str:
    """Return a cursor for a place; ``fingerprint`` stands for the query that it belongs to."""
    content = orjson.dumps([count, int(expires_at.timestamp()), position])
    return (
        base64.urlsafe_b64encode(_mac(key, organization_id, fingerprint, content) + content)
        .decode()
        .rstrip("=")
    )


def open(
    key: bytes, organization_id: str, fingerprint: str, count: int, cursor: str, at: datetime
) -> list[Any]:
    """Return the place that a cursor names.

    Raises InvalidCursor for one that was not sealed for this organization and query,
    InvalidCount for another page size than the one it was sealed for, ExpiredCursor.
    """
    try:
        sealed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor("cursor is not one that this service has given out.") from error
    mac, content = sealed[:_SEAL], sealed[_SEAL:]
    if not hmac.compare_digest(mac, _mac(key, organization_id, fingerprint, content)):
        raise InvalidCursor("cursor was not given out for this query; begin again without one.")
    sealed_count, expires_at, position = orjson.loads(content)
    if sealed_count != count:
        raise InvalidCount(f"count must stay {sealed_count} from page to page.")
    if expires_at <= at.timestamp():
        raise ExpiredCursor("cursor has expired; begin again without one.")
    place: list[Any] = position
    return place


def _mac(key: bytes, organization_id: str, fingerprint: str, content: bytes) -> bytes:
    bound = b"\x00".join((organization_id.encode(), fingerprint.encode(), content))
    return hmac.new(key, bound, hashlib.sha256).digest()[:_SEAL]

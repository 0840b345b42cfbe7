"""Values of attributes: JSON, text that is compared without case, dates (RFC 7643 §2.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any
from unicodedata import decomposition, normalize

import orjson

Json = dict[str, Any]

_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?"
    r"(Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))?",
    re.ASCII | re.IGNORECASE,
)

# Full-width and half-width forms, and the characters that they are forms of.
_WIDTHS = {
    code: normalize("NFKC", chr(code))
    for code in (0x3000, *range(0xFF01, 0xFFEF))
    if decomposition(chr(code)).startswith(("<wide>", "<narrow>"))
}

_TO_SECONDS = len('"2026-01-01T00:00:00')
_TO_MILLISECONDS = len('"2026-01-01T00:00:00.000')


def fold(text: str) -> str:
    """Return what texts share that differ in case, width or composition only.

    Stored keys and filter values are made with it. These are the mappings of the profile
    UsernameCaseMapped, by which a userName is compared (RFC 7644 §7.8, RFC 7613 §3.2.2).
    """
    folded = text.casefold()
    if folded.isascii():
        return folded
    return normalize("NFC", normalize("NFD", text.translate(_WIDTHS)).casefold())


def differing(before: Json, after: Json) -> tuple[Json, Json]:
    """Return of each of two documents the attributes whose values differ from the other's."""
    return (
        {name: value for name, value in before.items() if after.get(name) != value},
        {name: value for name, value in after.items() if before.get(name) != value},
    )


def parse_date_time(text: str) -> datetime:
    """Return the instant an xsd:dateTime names, in UTC; one without an offset counts as UTC.

    24:00:00 is the beginning of the next day. Fractions beyond microseconds are cut. Raises ValueError
    for anything else, and outside of the years 1 to 9999.
    """
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not an xsd:dateTime: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    microsecond = int((match[7] or "0")[:6].ljust(6, "0"))
    ends_day = (hour, minute, second, int(match[7] or 0)) == (24, 0, 0, 0)
    hour = 0 if ends_day else hour
    at = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=_offset(match[8] or "Z"))
    try:
        return (at + timedelta(days=ends_day)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"out of range: {text!r}") from error


@lru_cache(maxsize=4096)
def format_date_time(at: datetime) -> str:
    """Return the instant as RFC 3339 text in UTC, with milliseconds only where there are any."""
    quoted = orjson.dumps(at.astimezone(UTC)).decode()  # a third of the time that isoformat() takes
    return f"{quoted[1 : _TO_MILLISECONDS if at.microsecond >= 1000 else _TO_SECONDS]}Z"


def whole_milliseconds(at: datetime) -> datetime:
    """Return an instant without what ``format_date_time`` does not show."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _offset(text: str) -> timezone:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)

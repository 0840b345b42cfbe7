"""Identifiers: random enough not to be guessed, ordered by when they were made."""

from __future__ import annotations

import os
import threading
import time

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562 §5.7) as text; within one process each is greater than the one before.

    Rows that are keyed by it lie in the order in which they came, so "oldest first" is an
    index scan, and of two made at the same instant of an injected clock the first still sorts first.
    """
    [made] = new_ids(1)
    return made


def new_ids(count: int) -> list[str]:
    """Return several ids as ``new_id`` makes them, in their order."""
    global _last
    with _lock:
        # 48 bits of milliseconds and 12 bits of the fraction behind them (RFC 9562 §6.2, method 3).
        first = max(_last + 1, time.time_ns() * 4096 // 1_000_000)
        _last = first + count - 1
    return [_id_of(stamp) for stamp in range(first, first + count)]


def _id_of(stamp: int) -> str:
    random = int.from_bytes(os.urandom(8)) & (2**62 - 1)
    digits = f"{(stamp >> 12) << 80 | 7 << 76 | (stamp & 0xFFF) << 64 | 2 << 62 | random:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

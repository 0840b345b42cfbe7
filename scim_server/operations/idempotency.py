"""Once: the same request under the same key is carried out one time, and answered the same every time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson

from scim_server.call import Call
from scim_server.errors import InvalidSetting, KeyReused
from scim_server.scim.values import format_date_time
from scim_server.store import answers as store
from scim_server.store.transaction import Transaction

MAX_KEY_LENGTH = 255


def once(
    tx: Transaction,
    call: Call,
    key: str | None,
    request: Any,
    carry_out: Callable[[], dict[str, Any]],
    *,
    forgets: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Carry a request out unless it was already under this key; None is no key.

    ``request`` is all that makes up the request, as JSON; ``forgets`` names members of the
    answer that are given once and never stored. Raises KeyReused where the key came with
    another request.
    """
    if key is None:
        return carry_out()
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise InvalidSetting(f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} printable characters.")
    request_hash = hashlib.sha256(
        orjson.dumps([call.actor, request], option=orjson.OPT_SORT_KEYS)
    ).hexdigest()
    known = store.find(tx, call.organization_id, key)
    if known is not None:
        kept_hash, answer = known
        if kept_hash != request_hash:
            raise KeyReused("This Idempotency-Key came with another request before; choose a new one.")
        return dict(answer)
    answer = _as_json(carry_out())
    kept = {name: value for name, value in answer.items() if name not in forgets}
    store.keep(tx, call.organization_id, key, request_hash, kept, call.at)
    return answer


def _as_json(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as a replay will have it: instants are text."""
    encoded = orjson.dumps(answer, default=format_date_time, option=orjson.OPT_PASSTHROUGH_DATETIME)
    decoded: dict[str, Any] = orjson.loads(encoded)
    return decoded

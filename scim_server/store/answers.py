"""Answers to requests that must not be carried out twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import String, bindparam, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from scim_server.store.database import LostRace
from scim_server.store.prepared import Prepared
from scim_server.store.tables import Instant, idempotent_answers
from scim_server.store.transaction import Transaction

# On PostgreSQL, where transactions run side by side: the same key waits for its turn.
_WAIT = Prepared(
    select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=String), 0)))
)
_GET = Prepared(
    select(idempotent_answers.c.request_hash, idempotent_answers.c.answer).where(
        idempotent_answers.c.organization_id == bindparam("organization_id"),
        idempotent_answers.c.key == bindparam("key"),
    )
)
_FORGET = Prepared(
    delete(idempotent_answers).where(
        idempotent_answers.c.organization_id == bindparam("organization_id"),
        idempotent_answers.c.created_at <= bindparam("before", type_=Instant()),
    )
)


def find(tx: Transaction, organization_id: str, key: str) -> tuple[str, Any] | None:
    """Return the hash of the request that came with a key, and what it was answered.

    Who comes with the same key at the same moment waits here until that request is done.
    """
    if tx.dialect.name != "sqlite":
        tx.execute(_WAIT, {"name": f"{organization_id} {key}"})
    row = tx.execute(_GET, {"organization_id": organization_id, "key": key}).one_or_none()
    return None if row is None else (row.request_hash, orjson.loads(row.answer))


def keep(
    tx: Transaction, organization_id: str, key: str, request_hash: str, answer: Any, at: datetime
) -> None:
    """Store an answer. Raises LostRace where the same request was carried out at the same moment."""
    row = {
        "organization_id": organization_id,
        "key": key,
        "request_hash": request_hash,
        "answer": orjson.dumps(answer).decode(),
        "created_at": at,
    }
    tx.settle()  # what fails before is another matter
    try:
        tx.execute(insert(idempotent_answers), row)
    except IntegrityError as error:
        raise LostRace from error


def forget(tx: Transaction, organization_id: str, before: datetime) -> None:
    """Delete the answers that were given before an instant."""
    tx.execute(_FORGET, {"organization_id": organization_id, "before": before})

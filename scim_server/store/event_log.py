"""The event log: append, and read in order. Nothing in it is ever changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Text, bindparam, insert, select

from scim_server.call import Call
from scim_server.events import Event
from scim_server.ids import new_ids
from scim_server.store.arrays import WORTH_A_STATEMENT, in_chunks, pairs_of
from scim_server.store.prepared import Prepared
from scim_server.store.tables import Instant, events
from scim_server.store.transaction import Transaction

_INSERT = Prepared(insert(events))
_subjects_by_id = pairs_of("subjects_by_id")
_alike = {
    "organization_id": bindparam("in_organization", type_=Text()),
    "id": _subjects_by_id.c.key,
    "kind": bindparam("of_kind", type_=Text()),
    "subject_id": _subjects_by_id.c.value,
    "at": bindparam("happened_at", type_=Instant()),
    "actor": bindparam("by", type_=Text()),
    "channel": bindparam("through", type_=Text()),
    "request_id": bindparam("in_request", type_=Text()),
    "data": bindparam("told", type_=Text()),
}
_INSERT_ALIKE = Prepared(insert(events).from_select(list(_alike), select(*_alike.values())))
_after = (
    select(events)
    .where(events.c.organization_id == bindparam("organization_id"), events.c.id > bindparam("after"))
    .order_by(events.c.id)
    .limit(bindparam("limit"))
)
_is_of_kind = events.c.kind == bindparam("kind")
_is_about = events.c.subject_id == bindparam("subject_id")
# By what is asked for beside the place: a kind, a subject, both or neither.
_AFTER = {
    (False, False): Prepared(_after),
    (True, False): Prepared(_after.where(_is_of_kind)),
    (False, True): Prepared(_after.where(_is_about)),
    (True, True): Prepared(_after.where(_is_of_kind, _is_about)),
}


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as it was written: what, about whom, when, by whom, through which door and request."""

    id: str
    kind: str
    subject_id: str
    at: datetime
    actor: str
    channel: str
    request_id: str
    data: dict[str, Any]


def append(tx: Transaction, call: Call, happened: Iterable[Event]) -> None:
    """Write events in the order in which they happened, which their ids say.

    Where many of them differ in their subject only, as after a large change, they are one statement.
    """
    for chunk in in_chunks(happened):
        alike: dict[tuple[str, str], dict[str, str]] = {}
        for event, event_id in zip(chunk, new_ids(len(chunk)), strict=True):
            what = kind_of(type(event)), orjson.dumps(_data_of(event)).decode()
            alike.setdefault(what, {})[event_id] = event.subject_id
        rows = []
        for (kind, data), subjects_by_id in alike.items():
            if len(subjects_by_id) >= WORTH_A_STATEMENT:
                _append_alike(tx, call, kind, data, subjects_by_id)
            else:
                rows += [_row(call, kind, data, *one) for one in subjects_by_id.items()]
        if rows:
            tx.execute(_INSERT, rows)


def _append_alike(
    tx: Transaction, call: Call, kind: str, data: str, subjects_by_id: Mapping[str, str]
) -> None:
    tx.execute(
        _INSERT_ALIKE,
        {
            "in_organization": call.organization_id,
            "subjects_by_id": subjects_by_id,
            "of_kind": kind,
            "happened_at": call.at,
            "by": call.actor,
            "through": call.channel,
            "in_request": call.request_id,
            "told": data,
        },
    )


def _row(call: Call, kind: str, data: str, event_id: str, subject_id: str) -> dict[str, Any]:
    return {
        "organization_id": call.organization_id,
        "id": event_id,
        "kind": kind,
        "subject_id": subject_id,
        "at": call.at,
        "actor": call.actor,
        "channel": call.channel,
        "request_id": call.request_id,
        "data": data,
    }


def read(
    tx: Transaction,
    organization_id: str,
    *,
    after: str,
    limit: int,
    kind: str | None = None,
    subject_id: str | None = None,
) -> Sequence[LoggedEvent]:
    """Return up to ``limit`` events behind the id ``after`` ("" for the beginning), oldest first."""
    parameters: dict[str, Any] = {"organization_id": organization_id, "after": after, "limit": limit}
    if kind is not None:
        parameters["kind"] = kind
    if subject_id is not None:
        parameters["subject_id"] = subject_id
    statement = _AFTER[kind is not None, subject_id is not None]
    return [
        LoggedEvent(
            row.id,
            row.kind,
            row.subject_id,
            row.at,
            row.actor,
            row.channel,
            row.request_id,
            orjson.loads(row.data),
        )
        for row in tx.execute(statement, parameters)
    ]


def kind_of(event: type[Event]) -> str:
    """Return the name of an event in the log: ``SeatChanged`` is ``seat_changed``."""
    return _in_snake_case(event.__name__)


@cache
def _in_snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _data_of(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__ if name != "subject_id"}

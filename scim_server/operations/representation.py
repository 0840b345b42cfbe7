"""A resource as a client sees it: the stored document with the attributes that are derived.

What is derived (``id``, ``meta``, ``groups``, ``members``, the seat extension) is spliced
behind the stored text, so that a whole representation is never decoded and encoded again.
Only a projection that leaves something out needs the document taken apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import orjson

from scim_server.call import Call
from scim_server.scim.attributes import ResourceType
from scim_server.scim.conditions import entity_tag
from scim_server.scim.projection import Projection
from scim_server.scim.schemas import SEAT_URN
from scim_server.scim.values import Json, format_date_time
from scim_server.store.arrays import in_chunks
from scim_server.store.groups import GroupRecord, Membership
from scim_server.store.users import GroupReference, UserRecord
from seat_policy import UNASSIGNED

_ENDPOINTS = {"User": "Users", "Group": "Groups"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer about one resource. ``body`` is its JSON text, None where none is wanted."""

    id: str
    version: int
    location: str
    body: bytes | None


def user(call: Call, record: UserRecord, groups: Sequence[GroupReference], projection: Projection) -> bytes:
    """Return the JSON text of a user."""
    if projection.is_default:
        return _whole_user(call, record, groups)
    derived: Json = {"id": record.id}
    if groups:
        derived["groups"] = [group_reference(call, group) for group in groups]
    derived[SEAT_URN] = seat(record)
    derived["meta"] = meta(call, call.user_type, record)
    return assemble(record.document, derived, projection)


def group(call: Call, record: GroupRecord, members: Sequence[Membership], projection: Projection) -> bytes:
    """Return the JSON text of a group; ``members`` is empty where they are not wanted."""
    if projection.is_default:
        return _whole_group(call, record, members)
    derived: Json = {"id": record.id}
    if members:
        derived["members"] = [member_reference(call, member) for member in members]
    derived["meta"] = meta(call, call.group_type, record)
    return assemble(record.document, derived, projection)


def _whole_group(call: Call, record: GroupRecord, members: Sequence[Membership]) -> bytes:
    """Return what ``group`` does where nothing is left out, joined from texts.

    100,000 members as objects would take many times the memory of their text.
    """
    head = f'{record.document[:-1]},"id":"{record.id}",'.encode()
    tail = b'"meta":%b}' % orjson.dumps(meta(call, call.group_type, record))
    if not members:
        return head + tail
    texts = (_member_texts(call, chunk) for chunk in in_chunks(members))
    return b'%b"members":[%b],%b' % (head, b",".join(texts), tail)


def _member_texts(call: Call, members: Iterable[Membership]) -> bytes:
    """Return the JSON text of some elements of ``members``.

    Ids and addresses have no character that JSON would write otherwise.
    """
    beginnings = {name: f'","$ref":"{call.base_url}/{endpoint}/' for name, endpoint in _ENDPOINTS.items()}
    ends = {name: f'","type":"{name}"}}' for name in _ENDPOINTS}
    texts = (
        f'{{"value":"{member_id}{beginnings[member_type]}{member_id}{ends[member_type]}'
        for member_id, member_type in members
    )
    return ",".join(texts).encode()


def _whole_user(call: Call, record: UserRecord, groups: Sequence[GroupReference]) -> bytes:
    """Return what ``user`` does where nothing is left out, written as text: lists are made of these.

    Ids and addresses have no character that JSON would write otherwise.
    """
    told = (
        _text([group_reference(call, group) for group in groups]).join((',"groups":', "")) if groups else ""
    )
    return (
        f'{record.document[:-1]},"id":"{record.id}"{told},"{SEAT_URN}":{_seat_text(_seat_of(record))},'
        f'"meta":{{"resourceType":"User","created":"{format_date_time(record.created_at)}",'
        f'"lastModified":"{format_date_time(record.modified_at)}",'
        f'"location":"{call.base_url}/Users/{record.id}","version":"W/\\"{record.version}\\""}}}}'
    ).encode()


def _text(value: object) -> str:
    return orjson.dumps(value).decode()


@lru_cache(maxsize=1024)
def _seat_text(shown: _ShownSeat) -> str:
    return _text(_as_json(shown))


def assemble(document: str, derived: Json, projection: Projection) -> bytes:
    """Join a stored document with its derived attributes and leave out what is not wanted."""
    if projection.is_default:
        return b"%b,%b" % (document.encode()[:-1], orjson.dumps(derived)[1:])
    return orjson.dumps(projection.apply({**orjson.loads(document), **derived}))


def rendered(
    call: Call, resource_type: ResourceType, record: UserRecord | GroupRecord, body: bytes | None
) -> Rendered:
    return Rendered(record.id, record.version, location(call, resource_type.name, record.id), body)


def location(call: Call, type_name: str, resource_id: str) -> str:
    """Return the address of a resource (RFC 7643 §3.1 ``meta.location``)."""
    return f"{call.base_url}/{_ENDPOINTS[type_name]}/{resource_id}"


def meta(call: Call, resource_type: ResourceType, record: UserRecord | GroupRecord) -> Json:
    """Return the ``meta`` attribute (RFC 7643 §3.1)."""
    return {
        "resourceType": resource_type.name,
        "created": format_date_time(record.created_at),
        "lastModified": format_date_time(record.modified_at),
        "location": location(call, resource_type.name, record.id),
        "version": entity_tag(record.version),
    }


def group_reference(call: Call, group: GroupReference) -> Json:
    """Return an element of a user's ``groups`` (RFC 7643 §4.1.2)."""
    return {
        "value": group.id,
        "$ref": location(call, "Group", group.id),
        "display": group.display,
        "type": "direct",
    }


def member_reference(call: Call, member: Membership) -> Json:
    """Return an element of a group's ``members`` (RFC 7643 §4.2)."""
    return {
        "value": member.member_id,
        "$ref": location(call, member.member_type, member.member_id),
        "type": member.member_type,
    }


def seat(record: UserRecord) -> Json:
    """Return a user's seat as the read-only extension shows it."""
    return _as_json(_seat_of(record))


class _ShownSeat(NamedTuple):
    """What of a seat is shown; most people of an organization share one of a few."""

    tier: str | None
    source: str
    status: str
    can_use: bool
    desired: str | None
    waiting_since: datetime | None


def _seat_of(record: UserRecord) -> _ShownSeat:
    can_use = record.active and not record.invited and record.tier is not None
    return _ShownSeat(
        record.tier, record.source, record.seat_status, can_use, record.desired, record.waiting_since
    )


def _as_json(seat: _ShownSeat) -> Json:
    shown: Json = {
        "tier": seat.tier or UNASSIGNED,
        "source": seat.source,
        "status": seat.status,
        "canUse": seat.can_use,
    }
    if seat.desired is not None:
        shown["desiredTier"] = seat.desired
    if seat.waiting_since is not None:
        shown["waitingSince"] = format_date_time(seat.waiting_since)
    return shown

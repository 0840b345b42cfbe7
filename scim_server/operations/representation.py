"""A resource as a client sees it: the stored document with the attributes that are derived.

What is derived (``id``, ``meta``, ``groups``, ``members``, the seat extension) is spliced
behind the stored text, so that a whole representation is never decoded and encoded again.
Only a projection that leaves something out needs the document taken apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson

from scim_server.call import Call
from scim_server.scim.attributes import ResourceType
from scim_server.scim.conditions import entity_tag
from scim_server.scim.projection import Projection
from scim_server.scim.schemas import SEAT_URN
from scim_server.scim.values import Json, format_date_time
from scim_server.store.arrays import in_chunks
from scim_server.store.groups import GroupRecord, Membership
from scim_server.store.tables import instant_of
from scim_server.store.users import ShownUser, UserRecord
from seat_policy import UNASSIGNED

_ENDPOINTS = {"User": "Users", "Group": "Groups"}
_LONGEST_REMEMBERED = 1_000  # characters


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer about one resource. ``body`` is its JSON text, None where none is wanted."""

    id: str
    version: int
    location: str
    body: bytes | None


def user(call: Call, shown: ShownUser, projection: Projection) -> bytes:
    """Return the JSON text of a user."""
    [text] = users(call, [shown], projection)
    return text


def users(call: Call, shown: Iterable[ShownUser], projection: Projection) -> list[bytes]:
    """Return the JSON texts of some users."""
    base_url = call.base_url
    texts = [_whole_user(base_url, one).encode() for one in shown]
    if projection.is_default:
        return texts
    return [orjson.dumps(projection.apply(orjson.loads(text))) for text in texts]


def group(call: Call, record: GroupRecord, members: Sequence[Membership], projection: Projection) -> bytes:
    """Return the JSON text of a group; ``members`` is empty where they are not wanted."""
    if projection.is_default:
        return _whole_group(call, record, members)
    derived: Json = {"id": record.id}
    if members:
        derived["members"] = [member_reference(call, member) for member in members]
    derived["meta"] = _meta(call, record)
    return orjson.dumps(projection.apply({**record.as_json(), **derived}))


def _whole_group(call: Call, record: GroupRecord, members: Sequence[Membership]) -> bytes:
    """Return what ``group`` does where nothing is left out, joined from texts.

    100,000 members as objects would take many times the memory of their text.
    """
    head = f'{record.document[:-1]},"id":"{record.id}",'.encode()
    tail = b'"meta":%b}' % orjson.dumps(_meta(call, record))
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


def _whole_user(base_url: str, user: ShownUser) -> str:
    """Return a user with nothing left out, written as text: lists are made of hundreds of these.

    Ids and addresses have no character that JSON would write otherwise.
    """
    told = "" if user.groups is None else _groups_text(base_url, user.groups)
    seat = _seat_text(
        user.active,
        user.invited,
        user.tier,
        user.source,
        user.seat_status,
        user.desired,
        user.waiting_since,
    )
    return (
        f'{user.document[:-1]},"id":"{user.id}"{told},"{SEAT_URN}":{seat},"meta":{{"resourceType":"User",'
        f'"created":"{_time_text(user.created_at)}","lastModified":"{_time_text(user.modified_at)}",'
        f'"location":"{base_url}/Users/{user.id}","version":"W/\\"{user.version}\\""}}}}'
    )


@lru_cache(maxsize=4096)
def _time_text(microseconds: int) -> str:
    return format_date_time(instant_of(microseconds))


# Most people of an organization share one of a few seats, and one of a few sets of groups.


@lru_cache(maxsize=1024)
def _seat_text(
    active: bool,
    invited: bool,
    tier: str | None,
    source: str,
    status: str,
    desired: str | None,
    waiting_since: int | None,
) -> str:
    """Return a user's seat as the read-only extension shows it."""
    shown: Json = {
        "tier": tier or UNASSIGNED,
        "source": source,
        "status": status,
        "canUse": bool(active and not invited and tier is not None),
    }
    if desired is not None:
        shown["desiredTier"] = desired
    if waiting_since is not None:
        shown["waitingSince"] = _time_text(waiting_since)
    return orjson.dumps(shown).decode()


def _groups_text(base_url: str, pairs: str) -> str:
    """Return the member ``groups`` of a user, for a JSON object that goes on (RFC 7643 §4.1.2)."""
    # Names can be of any length: what is remembered is short.
    make = _remembered_groups_text if len(pairs) <= _LONGEST_REMEMBERED else _made_groups_text
    return make(base_url, pairs)


def _made_groups_text(base_url: str, pairs: str) -> str:
    elements = [
        {"value": group_id, "$ref": f"{base_url}/Groups/{group_id}", "display": display, "type": "direct"}
        for group_id, display in sorted(orjson.loads(pairs))
    ]
    return orjson.dumps(elements).decode().join((',"groups":', "")) if elements else ""


_remembered_groups_text = lru_cache(maxsize=1024)(_made_groups_text)


def rendered(
    call: Call, resource_type: ResourceType, record: UserRecord | ShownUser | GroupRecord, body: bytes | None
) -> Rendered:
    return Rendered(record.id, record.version, location(call, resource_type.name, record.id), body)


def location(call: Call, type_name: str, resource_id: str) -> str:
    """Return the address of a resource (RFC 7643 §3.1 ``meta.location``)."""
    return f"{call.base_url}/{_ENDPOINTS[type_name]}/{resource_id}"


def _meta(call: Call, record: GroupRecord) -> Json:
    """Return the ``meta`` attribute of a group (RFC 7643 §3.1)."""
    return {
        "resourceType": "Group",
        "created": format_date_time(record.created_at),
        "lastModified": format_date_time(record.modified_at),
        "location": location(call, "Group", record.id),
        "version": entity_tag(record.version),
    }


def member_reference(call: Call, member: Membership) -> Json:
    """Return an element of a group's ``members`` (RFC 7643 §4.2)."""
    return {
        "value": member.member_id,
        "$ref": location(call, member.member_type, member.member_id),
        "type": member.member_type,
    }

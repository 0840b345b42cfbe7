"""Groups: rows in, records out; members as differences."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    Select,
    Text,
    bindparam,
    delete,
    exists,
    insert,
    literal,
    select,
    true,
    union,
    update,
)

from scim_server.errors import NotFound, NotUnique
from scim_server.scim.attributes import ResourceType
from scim_server.scim.values import Json, differing, fold
from scim_server.store import attribute_values, indexing
from scim_server.store.arrays import among, in_chunks, pairs_of
from scim_server.store.database import LostRace
from scim_server.store.prepared import Prepared
from scim_server.store.tables import group_mappings, groups, memberships, users
from scim_server.store.transaction import Transaction


class GroupRecord(NamedTuple):
    """A stored group without its members. ``document`` is canonical JSON text without derived attributes."""

    id: str
    document: str
    display_name: str
    created_at: datetime
    modified_at: datetime
    version: int
    is_mapped: bool = False
    """Whether the group is mapped to a tier, which changes under the lock of the group only."""

    def as_json(self) -> Json:
        """Return the document, decoded."""
        document: Json = orjson.loads(self.document)
        return document


class Membership(NamedTuple):
    """A member of a group: a user or another group."""

    member_id: str
    member_type: str


Held = Callable[[], AbstractSet[str]]
"""Groups that a transaction holds; to ask which is to wait until it does."""

# In the order of GroupRecord's fields.
SELECT_GROUPS = select(
    groups.c.id,
    groups.c.document,
    groups.c.display_name,
    groups.c.created_at,
    groups.c.modified_at,
    groups.c.version,
    exists()
    .where(
        group_mappings.c.organization_id == bindparam("organization_id"),
        group_mappings.c.group_id == groups.c.id,
    )
    .label("is_mapped"),
)
_of_organization = groups.c.organization_id == bindparam("organization_id")
_this = _of_organization & (groups.c.id == bindparam("id"))
_members = (memberships.c.organization_id == bindparam("organization_id")) & (
    memberships.c.group_id == bindparam("group_id")
)
_GET = Prepared(SELECT_GROUPS.where(_this), GroupRecord)
_LOCK = Prepared(select(groups.c.id).where(_this).with_for_update(key_share=True))
_LOCK_TO_DELETE = Prepared(select(groups.c.id).where(_this).with_for_update())
_LOCK_GROUPS_OF = Prepared(
    select(groups.c.id)
    .where(
        _of_organization,
        groups.c.id.in_(
            select(memberships.c.group_id).where(
                memberships.c.organization_id == bindparam("organization_id"),
                memberships.c.member_id == bindparam("member_id"),
            )
        ),
    )
    .order_by(groups.c.id)
    .with_for_update(key_share=True)
)
_LOCK_MANY = Prepared(
    select(groups.c.id)
    .where(_of_organization, among(groups.c.id, "ids"))
    .order_by(groups.c.id)
    .with_for_update(key_share=True)
)
# One part for each index, for a list of alternatives SQLite would read all groups of the organization.
_NAMED = Prepared(
    union(
        *[
            select(groups.c.id).where(_of_organization, among(column, parameter))
            for column, parameter in (
                (groups.c.id, "ids"),
                (groups.c.external_id, "external_ids"),
                (groups.c.display_name_key, "name_keys"),
            )
        ]
    )
)
_NAMESAKE = Prepared(
    select(groups.c.id)
    .where(
        _of_organization,
        groups.c.display_name_key == bindparam("display_name_key"),
        groups.c.id != bindparam("other_than"),
    )
    .limit(1)
)
_INSERT = Prepared(insert(groups))
_REPLACE = Prepared(
    update(groups)
    .where(groups.c.organization_id == bindparam("in_organization"), groups.c.id == bindparam("group_id"))
    .values(version=groups.c.version + 1)
)
_TOUCH = Prepared(
    update(groups)
    .where(groups.c.organization_id == bindparam("in_organization"), among(groups.c.id, "ids"))
    .values(version=groups.c.version + 1, modified_at=bindparam("at"))
)
_DELETE = Prepared(delete(groups).where(_this))
_MEMBERS = Prepared(
    select(memberships.c.member_id, memberships.c.member_type)
    .where(_members)
    .order_by(memberships.c.member_id),
    Membership,
)
_MEMBERS_OF_MANY = Prepared(
    select(memberships.c.group_id, memberships.c.member_id, memberships.c.member_type)
    .where(
        memberships.c.organization_id == bindparam("organization_id"), among(memberships.c.group_id, "ids")
    )
    .order_by(memberships.c.group_id, memberships.c.member_id)
)
_GROUP_IDS_OF = Prepared(
    select(memberships.c.group_id)
    .where(
        memberships.c.organization_id == bindparam("organization_id"),
        memberships.c.member_id == bindparam("member_id"),
    )
    .order_by(memberships.c.group_id)
)
_REMOVE = Prepared(
    delete(memberships)
    .where(_members, among(memberships.c.member_id, "ids"))
    .returning(memberships.c.member_id)
)
_REMOVE_ALL = Prepared(delete(memberships).where(_members).returning(memberships.c.member_id))
_REMOVE_FROM_ALL = Prepared(
    delete(memberships)
    .where(
        memberships.c.organization_id == bindparam("organization_id"),
        memberships.c.member_id == bindparam("member_id"),
    )
    .returning(memberships.c.group_id)
)
_to_organization = bindparam("in_organization", type_=Text())
_to_group = bindparam("to_group", type_=Text())
_types_by_id = pairs_of("types_by_id")
# That a condition is said at all keeps SQLite from taking the ON of ON CONFLICT for that of a join.
_newcomers = select(_to_organization, _to_group, _types_by_id.c.key, _types_by_id.c.value).where(true())
_columns_of_membership = ["organization_id", "group_id", "member_id", "member_type"]
_known_users = (
    select(users.c.id)
    .where(users.c.organization_id == bindparam("organization_id"), among(users.c.id, "ids"))
    .order_by(users.c.id)
    .with_for_update(read=True, key_share=True)
)
_KNOWN_USERS = Prepared(_known_users)
_new_users = _known_users.with_only_columns(_to_organization, _to_group, users.c.id, literal("User", Text()))
_KNOWN_GROUPS = Prepared(
    select(groups.c.id)
    .where(_of_organization, among(groups.c.id, "ids"))
    .order_by(groups.c.id)
    .with_for_update(read=True, key_share=True)
)


def insert_group(
    tx: Transaction,
    organization_id: str,
    group_id: str,
    resource_type: ResourceType,
    document: Json,
    *,
    unique_name: bool,
    at: datetime,
) -> GroupRecord:
    """Store a group without members. Raises NotUnique where names must be unique and this one is taken."""
    row = {
        "organization_id": organization_id,
        "id": group_id,
        "version": 1,
        "created_at": at,
        **_columns(resource_type, document, unique_name=unique_name, at=at),
    }
    _write(tx, _INSERT, row, document)
    attribute_values.insert_rows(
        tx, organization_id, {group_id: indexing.value_rows(resource_type, document)}
    )
    return GroupRecord(group_id, row["document"], row["display_name"], at, at, 1)


def replace_document(
    tx: Transaction,
    organization_id: str,
    record: GroupRecord,
    resource_type: ResourceType,
    before: Json,
    document: Json,
    *,
    unique_name: bool,
    at: datetime,
) -> GroupRecord:
    """Put a document in the place of another and count the version up. Raises NotUnique."""
    group_id = record.id
    columns = _columns(resource_type, document, unique_name=unique_name, at=at)
    _write(tx, _REPLACE, {"in_organization": organization_id, "group_id": group_id, **columns}, document)
    had, has = differing(before, document)
    attribute_values.replace_rows(
        tx,
        organization_id,
        group_id,
        before=indexing.value_rows(resource_type, had),
        after=indexing.value_rows(resource_type, has),
    )
    return record._replace(
        document=columns["document"],
        display_name=columns["display_name"],
        modified_at=at,
        version=record.version + 1,
    )


def is_named(tx: Transaction, organization_id: str, display_name: str, other_than: str) -> bool:
    """Whether another group has a display name, in any letter case."""
    parameters = {
        "organization_id": organization_id,
        "display_name_key": fold(display_name),
        "other_than": other_than,
    }
    return tx.execute(_NAMESAKE, parameters).first() is not None


def get(tx: Transaction, organization_id: str, group_id: str) -> GroupRecord:
    """Raises NotFound, also for a group of another organization."""
    found: GroupRecord | None = tx.execute(
        _GET, {"organization_id": organization_id, "id": group_id}
    ).one_or_none()
    if found is None:
        raise not_found(group_id)
    return found


def groups_after(tx: Transaction, organization_id: str, *, after: str, limit: int) -> list[GroupRecord]:
    """Return up to ``limit`` groups behind an id, oldest first."""
    statement = SELECT_GROUPS.where(_of_organization, groups.c.id > after).order_by(groups.c.id).limit(limit)
    return [GroupRecord(*row) for row in tx.execute(statement, {"organization_id": organization_id})]


def lock(tx: Transaction, organization_id: str, group_id: str, *, to_delete: bool = False) -> GroupRecord:
    """Hold the group's row until the transaction ends, then read it. Raises NotFound."""
    if tx.dialect.name != "sqlite":  # which has one writer anyway
        statement = _LOCK_TO_DELETE if to_delete else _LOCK
        tx.execute(statement, {"organization_id": organization_id, "id": group_id})
    return get(tx, organization_id, group_id)


def lock_groups(tx: Transaction, organization_id: str, group_ids: Sequence[str]) -> None:
    """Hold the rows of some groups, in the order of their ids. Raises LostRace where one was deleted meanwhile."""
    if tx.dialect.name != "sqlite" and group_ids:
        held = tx.execute(_LOCK_MANY, {"organization_id": organization_id, "ids": group_ids}).all()
        if len(held) < len(group_ids):
            raise LostRace


def lock_groups_of(tx: Transaction, organization_id: str, member_id: str) -> Held:
    """Hold the rows of all groups that somebody, or a group, is a member of, in the order of their ids."""
    rows = tx.execute(_LOCK_GROUPS_OF, {"organization_id": organization_id, "member_id": member_id})
    return lambda: set(rows.scalars())


def find_named(tx: Transaction, organization_id: str, names: Sequence[str]) -> list[str]:
    """Return the ids of the groups that some texts name: by id, by externalId or by display name."""
    parameters = {
        "organization_id": organization_id,
        "ids": names,
        "external_ids": names,
        "name_keys": [fold(name) for name in names],
    }
    return sorted(tx.execute(_NAMED, parameters).scalars())


def touch(tx: Transaction, organization_id: str, group_ids: Collection[str], at: datetime) -> None:
    """Count up the versions of groups whose members changed."""
    if group_ids:
        tx.execute(_TOUCH, {"in_organization": organization_id, "ids": sorted(group_ids), "at": at})


def delete_group(tx: Transaction, organization_id: str, group_id: str) -> None:
    """Remove a group; its memberships are the caller's to remove first."""
    attribute_values.delete_rows(tx, organization_id, group_id)
    tx.execute(_DELETE, {"organization_id": organization_id, "id": group_id})


def members(tx: Transaction, organization_id: str, group_id: str) -> list[Membership]:
    """Return all members of a group in the order in which they were made."""
    rows: list[Membership] = tx.execute(
        _MEMBERS, {"organization_id": organization_id, "group_id": group_id}
    ).all()
    return rows


def members_of_many(
    tx: Transaction, organization_id: str, group_ids: Sequence[str]
) -> Mapping[str, list[Membership]]:
    """Return the members of each of some groups; one without members is absent."""
    found: dict[str, list[Membership]] = {}
    for group_id, member_id, member_type in tx.execute(
        _MEMBERS_OF_MANY, {"organization_id": organization_id, "ids": group_ids}
    ):
        found.setdefault(group_id, []).append(Membership(member_id, member_type))
    return found


def ids_of_member(tx: Transaction, organization_id: str, member_id: str) -> list[str]:
    """Return the ids of the groups that somebody is a direct member of."""
    return ask_for_groups_of(tx, organization_id, member_id)()


def ask_for_groups_of(tx: Transaction, organization_id: str, member_id: str) -> Callable[[], list[str]]:
    """Do as ``ids_of_member``, but wait for the answer only where it is called."""
    rows = tx.execute(_GROUP_IDS_OF, {"organization_id": organization_id, "member_id": member_id})
    return lambda: list(rows.scalars())


def known_members(tx: Transaction, organization_id: str, ids: Collection[str]) -> dict[str, str]:
    """Return the type ("User", "Group") of each id that exists, and keep those rows from being deleted meanwhile."""
    known: dict[str, str] = {}
    for type_name, statement in (("User", _KNOWN_USERS), ("Group", _KNOWN_GROUPS)):
        for chunk in in_chunks(sorted(set(ids) - known.keys())):
            found = tx.execute(statement, {"organization_id": organization_id, "ids": chunk})
            known |= dict.fromkeys(found.scalars(), type_name)
    return known


def add_users(tx: Transaction, organization_id: str, group_id: str, ids: Collection[str]) -> list[str]:
    """Add those among some ids that are users' and keep their rows from being deleted meanwhile.

    Return who were not members before.
    """
    joined: list[str] = []
    for chunk in in_chunks(sorted(ids)):
        parameters = {
            "organization_id": organization_id,
            "ids": chunk,
            "in_organization": organization_id,
            "to_group": group_id,
        }
        joined += tx.execute(_insert_unless_there(tx.dialect.name, _new_users), parameters).scalars()
    return joined


def add_members(
    tx: Transaction, organization_id: str, group_id: str, types_by_id: Mapping[str, str]
) -> list[str]:
    """Add members, who are known to exist; return those who were not members before."""
    joined: list[str] = []
    for chunk in in_chunks(sorted(types_by_id)):
        types = {member_id: types_by_id[member_id] for member_id in chunk}
        parameters = {"in_organization": organization_id, "to_group": group_id, "types_by_id": types}
        joined += tx.execute(_insert_unless_there(tx.dialect.name, _newcomers), parameters).scalars()
    return joined


@cache
def _insert_unless_there(database: str, rows: Select[Any]) -> Prepared:
    """Both databases say ON CONFLICT DO NOTHING, and SQLAlchemy has it once for each; one of them is loaded."""
    dialect = import_module(f"sqlalchemy.dialects.{database}")
    insert_into = dialect.insert(memberships).from_select(_columns_of_membership, rows)
    return Prepared(insert_into.on_conflict_do_nothing().returning(memberships.c.member_id))


def remove_members(tx: Transaction, organization_id: str, group_id: str, ids: Iterable[str]) -> list[str]:
    """Remove members; return those who were members."""
    left: list[str] = []
    for chunk in in_chunks(sorted(ids)):
        parameters = {"organization_id": organization_id, "group_id": group_id, "ids": chunk}
        left += tx.execute(_REMOVE, parameters).scalars()
    return left


def remove_all_members(tx: Transaction, organization_id: str, group_id: str) -> list[str]:
    """Empty the group; return who left."""
    rows = tx.execute(_REMOVE_ALL, {"organization_id": organization_id, "group_id": group_id})
    return list(rows.scalars())


def remove_from_all(
    tx: Transaction, organization_id: str, member_id: str, held: Held
) -> Callable[[], list[str]]:
    """Remove somebody, who is locked, from every group; what is returned waits for the groups and names them.

    Where one is not among those that are ``held``, joined before the member was locked, it raises LostRace:
    to wait for that group now could be to wait for somebody who waits for this transaction.
    """
    rows = tx.execute(_REMOVE_FROM_ALL, {"organization_id": organization_id, "member_id": member_id})

    def left() -> list[str]:
        groups_left = list(rows.scalars())
        if not held() >= set(groups_left):
            raise LostRace
        return groups_left

    return left


def not_found(group_id: str) -> NotFound:
    return NotFound(f"There is no group {group_id[:100]}.")


def _columns(
    resource_type: ResourceType, document: Json, *, unique_name: bool, at: datetime
) -> dict[str, Any]:
    attribute = resource_type.by_key
    external_id = document.get("externalId")
    name_key = indexing.key_of(attribute["displayname"], document["displayName"])
    return {
        "display_name": document["displayName"],
        "display_name_key": name_key,
        "unique_name_key": name_key if unique_name else None,
        "external_id": external_id and indexing.key_of(attribute["externalid"], external_id),
        "document": indexing.text_of(document),
        "search": orjson.dumps(indexing.search_document(resource_type, document)).decode(),
        "modified_at": at,
    }


def _write(tx: Transaction, statement: Any, row: Mapping[str, Any], document: Json) -> None:
    taken = NotUnique(f"A group with the displayName {document['displayName']} already exists.")
    tx.refuse_with(taken, "uq_groups_unique_name")
    tx.execute(statement, row)

"""Rows of multi-valued attributes, written as the difference to what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import bindparam, delete, insert

from scim_server.store.prepared import Prepared
from scim_server.store.tables import attribute_values
from scim_server.store.transaction import Transaction

_INSERT = Prepared(insert(attribute_values))
_DELETE_ALL = Prepared(
    delete(attribute_values).where(
        attribute_values.c.organization_id == bindparam("organization_id"),
        attribute_values.c.resource_id == bindparam("resource_id"),
    )
)
_DELETE_ONE = Prepared(
    _DELETE_ALL.statement.where(
        attribute_values.c.attribute == bindparam("of_attribute"),
        attribute_values.c.ordinal == bindparam("at_ordinal"),
    )
)

Row = dict[str, Any]


def insert_rows(tx: Transaction, organization_id: str, rows_of: Mapping[str, Sequence[Row]]) -> None:
    """Store the rows of resources, by their ids, that have none of them yet."""
    rows = [
        {
            **row,
            "organization_id": organization_id,
            "resource_id": resource_id,
            "element": row["element"] and orjson.dumps(row["element"]).decode(),
        }
        for resource_id, rows in rows_of.items()
        for row in rows
    ]
    if rows:
        tx.execute(_INSERT, rows)


def replace_rows(
    tx: Transaction, organization_id: str, resource_id: str, *, before: Sequence[Row], after: Sequence[Row]
) -> None:
    """Write what differs; a PATCH of an unrelated attribute writes nothing here."""
    gone = [row for row in before if row not in after]
    if gone:
        tx.execute(
            _DELETE_ONE,
            [
                {
                    "organization_id": organization_id,
                    "resource_id": resource_id,
                    "of_attribute": row["attribute"],
                    "at_ordinal": row["ordinal"],
                }
                for row in gone
            ],
        )
    insert_rows(tx, organization_id, {resource_id: [row for row in after if row not in before]})


def delete_rows(tx: Transaction, organization_id: str, resource_id: str) -> None:
    """Remove all rows of a resource."""
    tx.execute(_DELETE_ALL, {"organization_id": organization_id, "resource_id": resource_id})

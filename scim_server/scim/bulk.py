"""What a BulkRequest asks, and in which order it can be done (RFC 7644 §3.7).

A ``bulkId`` stands for a resource that the request itself creates. An operation waits for
those that it refers to. Where operations wait for each other, one is done without its
references and completed by a replacement once they are known (RFC 7644 §3.7.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scim_server.errors import InvalidSyntax, InvalidValue, PayloadTooLarge
from scim_server.scim.values import Json

# A whole value, or a quoted one within the filter of a PATCH path; a segment of an operation's own path.
_IN_DATA = re.compile(r'\AbulkId:(?P<whole>\S+)\Z|(?<=")bulkId:(?P<quoted>[^"]+)(?=")', re.DOTALL)
_IN_PATH = re.compile(r"(?<=/)bulkId:(?P<segment>[^/?]+)")
_LEFT_OUT = object()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as it was sent, and its place in the request.

    ``references`` are the bulkIds of the resources that must be there before. ``completes``:
    it gives a resource that is there already what could not be said when it was created.
    """

    number: int
    method: str
    path: str
    bulk_id: str | None
    version: str | None
    data: Any
    references: frozenset[str]
    completes: bool = False

    @property
    def targets(self) -> set[str]:
        """The bulkIds in its own path: the resource that it changes."""
        return _found(_IN_PATH, self.path)


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """``fail_on_errors`` None: go on whatever fails."""

    operations: Sequence[Operation]
    fail_on_errors: int | None


def read(body: Json, max_operations: int) -> BulkRequest:
    """Read a BulkRequest. Raises InvalidSyntax, InvalidValue (a bulkId twice), PayloadTooLarge."""
    members = {name.lower(): value for name, value in body.items()}
    operations = members.get("operations")
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise InvalidSyntax("Operations must be a list of objects.")
    if len(operations) > max_operations:
        raise PayloadTooLarge(
            f"The number of bulk operations exceeds the maxOperations ({max_operations}).",
            limit=max_operations,
        )
    fail_on_errors = members.get("failonerrors")
    if isinstance(fail_on_errors, bool) or not isinstance(fail_on_errors, int | None):
        raise InvalidSyntax("failOnErrors must be a whole number.")
    read_ = [_operation(number, each) for number, each in enumerate(operations)]
    _refuse_repeated_ids(read_)
    return BulkRequest(read_, None if fail_on_errors is None else max(fail_on_errors, 1))


def _operation(number: int, given: Json) -> Operation:
    members = {name.lower(): value for name, value in given.items()}
    texts = {name: members.get(name) for name in ("method", "path", "bulkid", "version")}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise InvalidSyntax(f"{name} of operation {number + 1} must be a text.")
    path = texts["path"] or ""
    return Operation(
        number=number,
        method=(texts["method"] or "").upper(),
        path=path,
        bulk_id=texts["bulkid"] or None,
        version=texts["version"],
        data=members.get("data"),
        references=frozenset(_found(_IN_PATH, path) | references_in(members.get("data"))),
    )


def _refuse_repeated_ids(operations: Sequence[Operation]) -> None:
    seen = set()
    for operation in operations:
        if operation.method == "POST" and operation.bulk_id is not None:
            if operation.bulk_id in seen:
                raise InvalidValue(f"bulkId {operation.bulk_id[:100]} is given to two operations.")
            seen.add(operation.bulk_id)


class Agenda:
    """The operations that are still to be done, each as soon as what it refers to is there.

    What no operation of the request will create is not waited for. A resource that has to be
    completed is changed by others afterwards only, so that nothing of theirs is lost.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._pending = list(operations)
        self._coming = {each.bulk_id for each in operations if each.method == "POST"}
        self._incomplete: set[str | None] = set()

    def take(self) -> tuple[Operation, bool] | None:
        """Take the next operation off, with whether it has to be done without its references; None at the end."""
        if not self._pending:
            return None
        index = next((i for i, each in enumerate(self._pending) if self._is_ready(each)), None)
        waits = index is None
        if index is None:
            index = next(i for i, each in enumerate(self._pending) if each.method == "POST")
        operation = self._pending.pop(index)
        if operation.completes:
            self._incomplete.discard(operation.bulk_id)
        elif operation.method == "POST":
            self._coming.discard(operation.bulk_id)
        return operation, waits

    def take_alike(self, is_alike: Callable[[Operation], bool], most: int) -> list[Operation]:
        """Take off the operations that come next as long as they are alike and wait for nothing."""
        number = 0
        while (
            number < min(most, len(self._pending))
            and is_alike(self._pending[number])
            and self._is_ready(self._pending[number])
        ):
            number += 1
        alike, self._pending = self._pending[:number], self._pending[number:]
        self._coming.difference_update(operation.bulk_id for operation in alike)
        return alike

    def complete(self, operation: Operation, resource_id: str) -> None:
        """Put down what gives a resource the references that it was created without."""
        self._pending.insert(0, completion_of(operation, resource_id))
        self._incomplete.add(operation.bulk_id)

    def unfinished(self) -> list[Operation]:
        """Return the completions that have not been done."""
        return [each for each in self._pending if each.completes]

    def _is_ready(self, operation: Operation) -> bool:
        return operation.references.isdisjoint(self._coming) and operation.targets.isdisjoint(
            self._incomplete
        )


def references_in(value: Any) -> set[str]:
    """Return the bulkIds that stand anywhere in a value."""
    if isinstance(value, str):
        return _found(_IN_DATA, value)
    if isinstance(value, Mapping):
        return {found for item in value.values() for found in references_in(item)}
    if isinstance(value, list):
        return {found for item in value for found in references_in(item)}
    return set()


def resolved(operation: Operation, ids: Mapping[str, str]) -> Operation:
    """Return the operation with the ids of resources in the place of their bulkIds.

    Raises InvalidValue for one that stands for nothing, or for what could not be created.
    """
    for bulk_id in sorted(operation.references):
        if bulk_id not in ids:
            raise InvalidValue(
                f"bulkId:{bulk_id[:100]} stands for no resource that this request has created."
            )
    path = _IN_PATH.sub(lambda match: ids[match["segment"]], operation.path)
    return replace(operation, path=path, data=_replaced(operation.data, ids))


def without_references(operation: Operation) -> Operation:
    """Return the operation without the values that refer to others, to be completed later."""
    data = _cut(operation.data)
    return replace(operation, data={} if data is _LEFT_OUT else data)


def completion_of(operation: Operation, resource_id: str) -> Operation:
    """Return the replacement that gives a resource what it was created without."""
    endpoint, mark, query = operation.path.partition("?")
    path = f"{endpoint.rstrip('/')}/{resource_id}{mark}{query}"
    return replace(operation, method="PUT", path=path, version=None, completes=True)


def _found(pattern: re.Pattern[str], text: str) -> set[str]:
    return {match[match.lastgroup or 0] for match in pattern.finditer(text)} if "bulkId:" in text else set()


def _replaced(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _IN_DATA.sub(lambda match: ids[match[match.lastgroup or 0]], value)
    if isinstance(value, Mapping):
        return {name: _replaced(item, ids) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, ids) for item in value]
    return value


def _cut(value: Any) -> Any:
    """Leave out texts that refer, objects that have one directly in them, and what is empty then."""
    if isinstance(value, str):
        return _LEFT_OUT if references_in(value) else value
    if isinstance(value, Mapping):
        if any(isinstance(item, str) and references_in(item) for item in value.values()):
            return _LEFT_OUT
        cut = {name: _cut(item) for name, item in value.items()}
        return {name: item for name, item in cut.items() if item is not _LEFT_OUT}
    if isinstance(value, list):
        return [item for item in map(_cut, value) if item is not _LEFT_OUT]
    return value

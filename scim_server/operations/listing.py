"""Pages of the Admin API's lists: where to go on, and what comes next."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from scim_server.errors import InvalidSetting

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
_FURTHEST = 2**57  # beyond any number of items, and any instant in microseconds
_NOT_OURS = "cursor is not one that this list has given out."


@dataclass(frozen=True, slots=True)
class Page:
    """What a caller asks of a list: how many items, behind which cursor (None: from the beginning)."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def position(self, *start: str | int) -> list[Any]:
        """Return the place that the cursor names, ``start`` where there is none.

        Raises InvalidSetting for a cursor that is not ours: its parts are of the types of ``start``.
        """
        if self.cursor is None:
            return list(start)
        try:
            place = orjson.loads(base64.urlsafe_b64decode(self.cursor))
        except (binascii.Error, ValueError) as error:
            raise InvalidSetting(_NOT_OURS) from error
        if not isinstance(place, list) or [type(part) for part in place] != [type(part) for part in start]:
            raise InvalidSetting(_NOT_OURS)
        if not all(_could_be_stored(part) for part in place):
            raise InvalidSetting(_NOT_OURS)
        return place

    def after(self) -> str:
        """Return the id behind which a list that is ordered by id goes on; "" for its beginning."""
        [identifier] = self.position("")
        return str(identifier)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list; ``next_cursor`` is None on the last."""

    items: list[dict[str, Any]]
    next_cursor: str | None


def listing(items: Sequence[dict[str, Any]], page: Page, *, key: str = "id") -> Listing:
    """Make a page of items that are ordered by ``key``; one beyond the page was read to see that there are more."""
    if len(items) <= page.limit:
        return Listing(list(items), None)
    return Listing(list(items[: page.limit]), cursor([items[page.limit - 1][key]]))


def _could_be_stored(part: str | int) -> bool:
    return "\0" not in part if isinstance(part, str) else 0 <= part < _FURTHEST


def cursor(place: Sequence[str | int]) -> str:
    """Return a place in a list as an opaque text."""
    return base64.urlsafe_b64encode(orjson.dumps(list(place))).decode()

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
_FOREIGN = "cursor is not one that this list has given out."


@dataclass(frozen=True, slots=True)
class Page:
    """What a caller asks of a list: how many items, behind which cursor (None: from the beginning)."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def position(self, *shape: type[str] | type[int]) -> list[Any] | None:
        """Return the place that the cursor names, whose parts have the types of ``shape``.

        Raises InvalidSetting for a cursor that this list cannot have given out. A cursor is not
        sealed, for it opens nothing: a list is the caller's own wherever it begins.
        """
        if self.cursor is None:
            return None
        try:
            place = orjson.loads(base64.urlsafe_b64decode(self.cursor))
        except (binascii.Error, ValueError) as error:
            raise InvalidSetting(_FOREIGN) from error
        if not isinstance(place, list) or [type(part) for part in place] != list(shape):
            raise InvalidSetting(_FOREIGN)
        if not all(_is_storable(part) for part in place):
            raise InvalidSetting(_FOREIGN)
        return place

    def after(self) -> str:
        """Return the id behind which a list that is ordered by id goes on; "" for its beginning."""
        place = self.position(str)
        return "" if place is None else str(place[0])


def _is_storable(part: str | int) -> bool:
    return "\0" not in part if isinstance(part, str) else 0 <= part < _FURTHEST


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


def cursor(place: Sequence[str | int]) -> str:
    """Return a place in a list as an opaque text."""
    return base64.urlsafe_b64encode(orjson.dumps(list(place))).decode()

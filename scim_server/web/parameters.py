"""Query parameters of SCIM requests (RFC 7644 §3.4.2, §3.9; RFC 9865 §2)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from scim_server.errors import InvalidCount, InvalidValue
from scim_server.operations.queries import Query
from scim_server.scim import projection
from scim_server.scim.attributes import ResourceType
from scim_server.scim.projection import Projection
from scim_server.web.exchange import exchange

KNOWN = (
    "attributes",
    "excludedAttributes",
    "filter",
    "sortBy",
    "sortOrder",
    "startIndex",
    "count",
    "cursor",
)
_MAX_DIGITS = 30
_PARSED = "scim_seats.parameters"


def parameters() -> Mapping[str, str]:
    """Return the parameters of the request, read once; unknown ones do no harm (RFC 7644 §3.4.2)."""
    here = exchange()
    environ = here.environ
    if not environ.get("QUERY_STRING"):
        return {}
    found: Mapping[str, str] | None = environ.get(_PARSED)
    if found is None:
        found = environ[_PARSED] = parameters_in(here.request.query_string.decode(errors="replace"))
    return found


def parameters_in(query: str) -> Mapping[str, str]:
    """Return the parameters of an address by lower-case name.

    Names are compared without case, ``+`` stands for a blank, and of a repeated name the
    values are joined by commas, which is how lists are written. What is no UTF-8 stays encoded.
    """
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="werkzeug.url_quote"):
        given.setdefault(name, []).append(value)
    return {name.lower(): ",".join(values) for name, values in given.items()}


def projection_of(resource_type: ResourceType, given: Mapping[str, str] | None = None) -> Projection:
    """Return which attributes the client wants back; ``given``: by other parameters than the request's."""
    if given is None:
        given = parameters()
    return projection.of(resource_type, names(given, "attributes"), names(given, "excludedAttributes"))


def asks_for_attributes(given: Mapping[str, str] | None = None) -> bool:
    """Return whether parameters, else those of the request, say anything about the attributes to return."""
    if given is None:
        given = parameters()
    return "attributes" in given or "excludedattributes" in given


def query_of(resource_types: tuple[ResourceType, ...]) -> Query:
    """Return what the client asks of a list."""
    given = parameters()
    return Query(
        resource_types=resource_types,
        filter=given.get("filter"),
        sort_by=given.get("sortby") or None,
        descending=is_descending(given.get("sortorder")),
        start_index=_integer(given, "startIndex", InvalidValue) or 1,
        count=_integer(given, "count", InvalidCount if "cursor" in given else InvalidValue),
        cursor=given.get("cursor"),
        attributes=names(given, "attributes"),
        excluded=names(given, "excludedAttributes"),
    )


def names(given: Mapping[str, str], parameter: str) -> list[str] | None:
    """Return a comma-separated list of attribute names; None where none is given."""
    text = given.get(parameter.lower())
    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    return [part for part in parts if part] or None


def is_descending(order: str | None) -> bool:
    """Read ``sortOrder`` (RFC 7644 §3.4.2.3)."""
    if not order or order.lower() == "ascending":
        return False
    if order.lower() == "descending":
        return True
    raise InvalidValue("sortOrder must be ascending or descending.")


def _integer(
    given: Mapping[str, str], parameter: str, error: type[InvalidValue] | type[InvalidCount]
) -> int | None:
    text = given.get(parameter.lower(), "").strip()
    if not text:
        return None
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise error(f"{parameter} must be a whole number.")
    number = int(digits[:_MAX_DIGITS])  # far beyond any page; the operation brings it into range
    return -number if text.startswith("-") else number

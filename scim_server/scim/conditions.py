"""Entity tags and conditional requests (RFC 7644 §3.14, RFC 9110 §13)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scim_server.errors import InvalidRequest, VersionMismatch

# An element of a list may be empty (RFC 9110 §5.6.1.2).
_TAG = re.compile(r'\s*(?:(?:W/)?"([^"]*)"\s*)?(?:,|$)')


def entity_tag(version: int) -> str:
    """Return the weak entity tag of a version; it is the same for every projection of the resource."""
    return f'W/"{version}"'


@dataclass(frozen=True, slots=True)
class Tags:
    """The value of If-Match or If-None-Match: any version at all, or one of some."""

    any: bool
    opaque: frozenset[str]

    def include(self, version: int) -> bool:
        """Compare weakly (RFC 9110 §8.8.3.2)."""
        return self.any or str(version) in self.opaque


def tags_of(text: str | None) -> Tags | None:
    """Parse If-Match, If-None-Match or a bulk operation's ``version``; None where nothing was asked.

    A bare tag without quotes is taken too. Raises InvalidRequest for anything that is no list of tags.
    """
    if text is None:
        return None
    if not text.strip():
        return Tags(any=False, opaque=frozenset())  # a list of none, which no version is in
    if text.strip() == "*":
        return Tags(any=True, opaque=frozenset())
    if '"' not in text:
        return Tags(any=False, opaque=frozenset(part.strip() for part in text.split(",")))
    found, end = [], 0
    while end < len(text):
        match = _TAG.match(text, end)
        if match is None:
            raise InvalidRequest(f"Not a list of entity tags: {text[:100]}")
        found.append(match[1])
        end = match.end()
    return Tags(any=False, opaque=frozenset(tag for tag in found if tag is not None))


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What must hold of a resource for a change to be made: If-Match, If-None-Match (RFC 9110 §13.1)."""

    match: Tags | None
    none_match: Tags | None


def preconditions_of(if_match: str | None, if_none_match: str | None) -> Preconditions | None:
    """Return what two headers ask for, None where nothing is asked."""
    if if_match is None and if_none_match is None:
        return None
    return Preconditions(tags_of(if_match), tags_of(if_none_match))


def require(wanted: Preconditions | None, version: int) -> None:
    """Raise VersionMismatch where a precondition of a change does not hold (412)."""
    if wanted is None:
        return
    require_match(wanted.match, version)
    if wanted.none_match is not None and wanted.none_match.include(version):
        raise VersionMismatch(f"The resource exists, and its version is {entity_tag(version)}.")


def require_match(if_match: Tags | None, version: int) -> None:
    """Raise VersionMismatch where If-Match names other versions than the present one (412)."""
    if if_match is not None and not if_match.include(version):
        raise VersionMismatch(
            f"The resource has changed: its version is {entity_tag(version)}. Read it again and repeat the change."
        )

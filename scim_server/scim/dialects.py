"""How clients deviate from the RFC, and how far each of them is followed.

``ClientSettings`` are what a token says of its client. Below them stand the deviations
themselves, each a named rule with its source: a rule brings what was sent into the form
that the RFC gives it, and leaves everything else as it is. Who applies a rule reports its
name to ``note``, so that a counter shows which deviations a token's client uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from scim_server.errors import InvalidSetting
from scim_server.scim.attributes import Attribute
from scim_server.scim.values import Json

Note = Callable[[str], None]


class PatchUnmatchedFilter(StrEnum):
    """A ``replace`` through a value filter that matches nothing: make the value, or ``noTarget``."""

    CREATE = "create"
    REJECT = "reject"


class PostExisting(StrEnum):
    """A POST of somebody who is there and inactive: 409, or bring them back."""

    CONFLICT = "conflict"
    RESTORE_INACTIVE = "restore_inactive"


class UnknownMember(StrEnum):
    """A group member whom nobody knows: leave out, or refuse the request."""

    SKIP = "skip"
    REJECT = "reject"


class UnknownAttributes(StrEnum):
    """An attribute that no schema defines: ignore, or refuse the request."""

    IGNORE = "ignore"
    REJECT = "reject"


class ForceMediaType(StrEnum):
    """The media type of answers: what Accept asks for, or always one of the two."""

    NONE = "none"
    SCIM = "application/scim+json"
    JSON = "application/json"


class SeatExtension(StrEnum):
    """When a user's seat is part of an answer: always, or where ``attributes`` asks for it."""

    DEFAULT = "default"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a token says of its client. ``lenient``: values of a wrong but clear form are taken."""

    lenient: bool = True
    patch_unmatched_filter: PatchUnmatchedFilter = PatchUnmatchedFilter.CREATE
    post_existing: PostExisting = PostExisting.CONFLICT
    unique_group_names: bool = True
    unknown_member: UnknownMember = UnknownMember.SKIP
    unknown_attributes: UnknownAttributes = UnknownAttributes.IGNORE
    force_media_type: ForceMediaType = ForceMediaType.NONE
    seat_extension: SeatExtension = SeatExtension.DEFAULT


INTEROP = ClientSettings()
STRICT = ClientSettings(
    lenient=False,
    patch_unmatched_filter=PatchUnmatchedFilter.REJECT,
    unique_group_names=False,
    unknown_member=UnknownMember.REJECT,
    unknown_attributes=UnknownAttributes.REJECT,
    seat_extension=SeatExtension.REQUEST,
)
PROFILES: Mapping[str, ClientSettings] = {"interop": INTEROP, "strict": STRICT}

_FLAGS = {"true": True, "false": False}
_SETTINGS: Mapping[str, Callable[[str], Any]] = {
    "lenient": lambda text: _FLAGS[text.lower()],
    "patch_unmatched_filter": PatchUnmatchedFilter,
    "post_existing": PostExisting,
    "unique_group_names": lambda text: _FLAGS[text.lower()],
    "unknown_member": UnknownMember,
    "unknown_attributes": UnknownAttributes,
    "force_media_type": ForceMediaType,
    "seat_extension": SeatExtension,
}


def settings_from(profile: str, overrides: Mapping[str, str]) -> ClientSettings:
    """Return the settings of a profile with some of them set otherwise. Raises InvalidSetting naming the culprit."""
    if profile not in PROFILES:
        raise InvalidSetting(f"profile must be one of {', '.join(PROFILES)}.")
    if not overrides:
        return PROFILES[profile]
    values = {}
    for name, text in overrides.items():
        if name not in _SETTINGS:
            raise InvalidSetting(f"{name} is no setting of a client; there are {', '.join(_SETTINGS)}.")
        try:
            values[name] = _SETTINGS[name](str(text))
        except (KeyError, ValueError) as error:
            raise InvalidSetting(f"{name} cannot be {text!r}.") from error
    return replace(PROFILES[profile], **values)


# -- rules for values; each returns its argument unchanged where it does not apply


def boolean_as_text(value: Any) -> Any:
    """Entra sends "True" and "False" (learn.microsoft.com/…/use-scim-to-provision-users-and-groups)."""
    return _FLAGS.get(value.lower(), value) if isinstance(value, str) else value


def number_as_text(value: Any) -> Any:
    """An employeeNumber sent as a number; template-driven clients such as OneLogin quote nothing."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def single_value_as_list(value: Any) -> Any:
    """Entra's example 5 sends ``manager`` as a list of one; old Keycloak SDKs every single value."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def list_as_single_value(value: Any) -> Any:
    """One value where a list is due, as in a PATCH of ``members`` with one object."""
    return value if isinstance(value, list) or value is None else [value]


def value_as_object(value: Any) -> Any:
    """Entra adds to a custom list of texts by ``{"value": …}`` (learn.microsoft.com/answers/…/1693075)."""
    return value["value"] if isinstance(value, dict) and value.keys() == {"value"} else value


def complex_value_as_text(attribute: Attribute, value: Any) -> Any:
    """Entra sends the manager's id bare, Microsoft's collection a member's (msref_07)."""
    if isinstance(value, str) and attribute.is_complex and "value" in attribute.by_key:
        return {"value": value}
    return value


def manager_id(attribute: Attribute, value: Any) -> Any:
    """OneLogin's template names the manager's id ``managerId``."""
    if attribute.key == "manager" and isinstance(value, dict) and "managerId" in value:
        rest = {key: item for key, item in value.items() if key != "managerId"}
        return (
            rest if "value" in rest or value["managerId"] is None else {**rest, "value": value["managerId"]}
        )
    return value


def last_primary_wins(values: list[Any]) -> list[Any]:
    """Ping may mark two e-mail addresses primary (docs.pingidentity.com, SCIM connector); the last one counts."""
    primaries = [number for number, value in enumerate(values) if is_primary(value)]
    if len(primaries) < 2:
        return values
    return [
        {**value, "primary": False} if number in primaries[:-1] else value
        for number, value in enumerate(values)
    ]


def is_primary(value: Any) -> bool:
    return isinstance(value, dict) and value.get("primary") is True


def lower_case_op(operation: Json) -> Json:
    """Entra sends "Add", "Replace", "Remove" (learn.microsoft.com/…/use-scim-to-provision-users-and-groups)."""
    op = operation.get("op")
    return {**operation, "op": op.lower()} if isinstance(op, str) else operation


def lower_case_members(message: Json, names: Mapping[str, str]) -> Json:
    """``operations`` in lower case (ssoready#182); attribute names have no case (RFC 7643 §2.1).

    ``names`` maps the lower-case name of a member to the one that the RFC gives it.
    """
    return {names.get(key.lower(), key): value for key, value in message.items()}

"""How clients deviate from the RFC, and how far each of them is followed.

``ClientSettings`` are what a token says of its client. ``Deviation`` names every form that is
followed, with its source; a counter shows which of them a token's client uses. Those that can
be told by a value alone are rules below, functions of the same names: a rule brings what was
sent into the form that the RFC gives it, and leaves everything else as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from scim_server.errors import InvalidSetting
from scim_server.scim.attributes import Attribute
from scim_server.scim.values import Json


class Deviation(StrEnum):
    """What a client does otherwise than the RFC and is followed in; who follows it reports it to ``note``."""

    BOOLEAN_AS_TEXT = "boolean_as_text"
    NUMBER_AS_TEXT = "number_as_text"
    SINGLE_VALUE_AS_LIST = "single_value_as_list"
    LIST_AS_SINGLE_VALUE = "list_as_single_value"
    VALUE_AS_OBJECT = "value_as_object"
    COMPLEX_VALUE_AS_TEXT = "complex_value_as_text"
    MANAGER_ID = "manager_id"
    LAST_PRIMARY_WINS = "last_primary_wins"
    LOWER_CASE_OP = "lower_case_op"
    LOWER_CASE_MEMBERS = "lower_case_members"
    DOT_BEHIND_URN = "dot_behind_urn"
    BASE_SCHEMA_AS_EXTENSION = "base_schema_as_extension"

    OTHER_SCHEMAS = "other_schemas"
    """``schemas`` names SCIM 1, further URNs or nothing (OneLogin, Google; Entra's groups; jackson's PATCH)."""
    UNKNOWN_ATTRIBUTE_IGNORED = "unknown_attribute_ignored"
    """An attribute or extension that no schema defines (OneLogin's templates, msref_03)."""
    READ_ONLY_ATTRIBUTE_IGNORED = "read_only_attribute_ignored"
    """``id``, ``meta`` or ``groups`` in a PATCH without a path (Okta, authentik)."""
    SCHEMAS_IGNORED = "schemas_ignored"
    """``schemas`` in a PATCH (authentik sends whole groups as the value of an operation)."""
    EXTENSION_ATTRIBUTE_WITHOUT_URN = "extension_attribute_without_urn"
    """``manager`` for ``urn:…:enterprise:2.0:User:manager`` (Entra's example 5; authentik#23211)."""

    VALUE_MADE_FROM_FILTER = "value_made_from_filter"
    """add or replace ``emails[type eq "work"].value`` without such an address (Entra; SCIM-SDK#416)."""
    FILTER_OF_SINGLE_VALUE = "filter_of_single_value"
    """remove ``manager[value eq "…"]``, which has one value only (Entra; scim-patch#453)."""
    REMOVE_BY_VALUE_LIST = "remove_by_value_list"
    """remove ``members`` with a value that says whom (Entra, JumpCloud, authentik; azure-docs#30826)."""
    REMOVE_OF_WHAT_IS_NOT_THERE = "remove_of_what_is_not_there"
    """A removal that is repeated, or comes too late (Entra, JumpCloud; SCIMReferenceCode#87)."""
    UNKNOWN_MEMBER_SKIPPED = "unknown_member_skipped"
    """A group member whom nobody knows (Okta pushes groups whole; fleet#52600)."""
    RESTORE_INACTIVE = "restore_inactive"
    """A POST of somebody who left (better-auth#11111)."""
    POST_WITHOUT_BULK_ID = "post_without_bulk_id"
    """A POST in a bulk request to which nothing refers, and without a ``bulkId`` (RFC 7644 §3.7)."""

    UNQUOTED_TEXT = "unquoted_text"
    """``userName eq ada`` in a filter (authentik#16677; Microsoft's collection)."""
    VALUE_PATH_COMPARED = "value_path_compared"
    """``emails[type eq "work"].value eq "…"`` in a filter, beyond the grammar (Entra, PingOne)."""


Note = Callable[[Deviation], None]


def unnoted(deviation: Deviation) -> None:
    """The ``note`` of who does not ask."""


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
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "lenient": _FLAGS,
    "patch_unmatched_filter": {value.value: value for value in PatchUnmatchedFilter},
    "post_existing": {value.value: value for value in PostExisting},
    "unique_group_names": _FLAGS,
    "unknown_member": {value.value: value for value in UnknownMember},
    "unknown_attributes": {value.value: value for value in UnknownAttributes},
    "force_media_type": {value.value: value for value in ForceMediaType},
    "seat_extension": {value.value: value for value in SeatExtension},
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
        value = _SETTINGS[name].get(text.lower())
        if value is None:
            raise InvalidSetting(f"{name} must be one of {', '.join(_SETTINGS[name])}, not {text[:50]!r}.")
        values[name] = value
    return replace(PROFILES[profile], **values)


# -- rules for values; each returns its argument unchanged where it does not apply


def boolean_as_text(value: Any) -> Any:
    """Entra sends "True" and "False" (learn.microsoft.com/…/use-scim-to-provision-users-and-groups)."""
    return _FLAGS.get(value.lower(), value) if isinstance(value, str) else value


def number_as_text(value: Any) -> Any:
    """An employeeNumber sent as a number; template-driven clients such as OneLogin quote nothing."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def single_value_as_list(value: Any) -> Any:
    """Entra's example 5 sends ``manager`` as a list of one; old Keycloak SDKs every single value.

    In that spelling an empty list is no value.
    """
    if not isinstance(value, list) or len(value) > 1:
        return value
    return value[0] if value else None


def list_as_single_value(value: Any) -> Any:
    """One value where a list is due, as in a PATCH of ``members`` with one object."""
    return value if isinstance(value, list) or value is None else [value]


def value_as_object(value: Any) -> Any:
    """Entra adds to a custom list of texts by ``{"value": …}`` (learn.microsoft.com/answers/…/1693075).

    Microsoft's library writes every value so, with a ``$ref`` of null beside it (azure-docs#42220).
    """
    if not isinstance(value, dict) or "value" not in value:
        return value
    says_more = any(item is not None for name, item in value.items() if name != "value")
    return value if says_more else value["value"]


def complex_value_as_text(attribute: Attribute, value: Any) -> Any:
    """Entra sends the manager's id bare, Microsoft's collection a member's (msref_07).

    A text without characters is nobody, and so is the one manager whom an object names by it: so Microsoft's
    validator removes a manager.
    """
    if not (attribute.is_complex and "value" in attribute.by_key):
        return value
    if isinstance(value, dict):
        return None if value.get("value") == "" and not attribute.multi_valued else value
    text = number_as_text(value)
    if isinstance(text, str):
        return {"value": text} if text else None
    return value


def manager_id(attribute: Attribute, value: Any) -> Any:
    """OneLogin's template names the manager's id ``managerId``."""
    if attribute.key == "manager" and isinstance(value, dict) and "managerId" in value:
        rest = {key: item for key, item in value.items() if key != "managerId"}
        return (
            rest if "value" in rest or value["managerId"] is None else {**rest, "value": value["managerId"]}
        )
    return value


def base_schema_as_extension(resource: Json, urn: str) -> Json:
    """The attributes of the base schema under its URN, as if it were an extension. ``urn`` is in lower case.

    Whoever is to be deactivated in this form must not stay active because nobody reads it.
    """
    if not any(name.lower() == urn and isinstance(value, dict) for name, value in resource.items()):
        return resource
    spread: Json = {}
    for name, value in resource.items():
        if name.lower() == urn and isinstance(value, dict):
            spread.update(value)
        else:
            spread[name] = value
    return spread


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


def dot_behind_urn(path: str, urns: Collection[str]) -> str:
    """Microsoft's collection writes ``urn:…:2.0:User.manager``. ``urns`` are in lower case."""
    lower = path.lower()
    if any(lower.startswith(f"{urn}:") for urn in urns):
        return path
    found = next((urn for urn in urns if lower.startswith(f"{urn}.")), None)
    return path if found is None else f"{path[: len(found)]}:{path[len(found) + 1 :]}"


def lower_case_op(operation: Json) -> Json:
    """Entra sends "Add", "Replace", "Remove" (learn.microsoft.com/…/use-scim-to-provision-users-and-groups)."""
    op = operation.get("op")
    return operation if not isinstance(op, str) or op == op.lower() else {**operation, "op": op.lower()}


def lower_case_members(message: Json, names: Mapping[str, str]) -> Json:
    """``operations`` in lower case (ssoready#182); attribute names have no case (RFC 7643 §2.1).

    ``names`` maps the lower-case name of a member to the one that the RFC gives it.
    """
    renamed = {names.get(key.lower(), key): value for key, value in message.items()}
    return message if renamed.keys() == message.keys() else renamed

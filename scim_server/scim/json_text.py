"""JSON in and out: strict in what is read, quick in what is written."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NoReturn

import orjson

from scim_server.errors import InvalidSyntax, PayloadTooLarge
from scim_server.scim.values import Json

MAX_DEPTH = 32
MAX_VALUES = 750_000  # a group of 100,000 members with all their sub-attributes has less
_LARGEST = 2**63 - 1
_MARKS = (b",", b"[", b"{")  # each value but the first of its kind has one before it
_UNSAFE = re.compile("[\x00\ud800-\udfff]")
_MAY_BE_UNSAFE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def load_object(data: bytes, most_values: int = MAX_VALUES) -> Json:
    """Return the JSON object that a request body is.

    A byte order mark is skipped (RFC 8259 §8.1). Refused with InvalidSyntax: anything but one
    object in UTF-8; a member name that occurs twice, in another letter case too; NaN, Infinity
    and numbers beyond 64 bits; NUL and lone surrogates; more than 32 levels. Refused with
    PayloadTooLarge: more values than any request needs, which take many times the memory of their text.
    """
    if sum(data.count(mark) for mark in _MARKS) > most_values:
        raise PayloadTooLarge(f"The body has more than {most_values} values.", limit=most_values)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidSyntax("The body is not UTF-8.") from error
    if _deeper_than(text, MAX_DEPTH):
        raise InvalidSyntax(f"The body is nested deeper than {MAX_DEPTH} levels.")
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSyntax(f"The body is not JSON: {str(error)[:200]}.") from error
    if not isinstance(value, dict):
        raise InvalidSyntax("The body must be a JSON object.")
    if _MAY_BE_UNSAFE.search(text) and _UNSAFE.search(_decoded_texts(value)):
        raise InvalidSyntax("The body has a NUL character or half of a surrogate pair.")
    if "\x00" in text:
        raise InvalidSyntax("The body has a NUL character.")
    return value


def dump(value: Any) -> bytes:
    """Return a value as JSON text."""
    return orjson.dumps(value)


def ready_made(text: bytes) -> orjson.Fragment:
    """Return JSON text as a part of a value that ``dump`` takes as it is."""
    return orjson.Fragment(text)


def _object(pairs: list[tuple[str, Any]]) -> Json:
    """Names are compared without case (RFC 7643 §2.1), so two spellings of one are twice the same."""
    value = dict(pairs)
    if len({name.lower() for name in value}) < len(pairs):
        occurrences = Counter(name.lower() for name, _ in pairs)
        [(twice, _)] = occurrences.most_common(1)
        raise InvalidSyntax(f"The body has the member {twice[:100]} twice in one object.")
    return value


def _whole_number(text: str) -> int:
    if len(text) > 20 or abs(int(text)) > _LARGEST:
        raise InvalidSyntax(f"The number {text[:30]} is too large.")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InvalidSyntax(f"The number {text[:30]} is too large.")
    return value


def _refuse(text: str) -> NoReturn:
    raise InvalidSyntax(f"{text} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole_number, parse_float=_number, parse_constant=_refuse
)


def _deeper_than(text: str, limit: int) -> bool:
    """Tell whether brackets outside of texts are nested deeper than a limit."""
    if text.count("[") + text.count("{") <= limit:
        return False
    brackets = left = _ALL_ELSE.sub("", text)
    for _ in range(limit):  # each round takes off the innermost pairs
        left = left.replace("[]", "").replace("{}", "")
        if not left:
            return False
    return _deepest(brackets) > limit


def _deepest(brackets: str) -> int:
    """Return how deep brackets that may not belong together are nested."""
    depth = deepest = 0
    for bracket in brackets:
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


# A text that never ends goes to the end, so that nothing is looked at twice.
_ALL_ELSE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[^"\[\]{}]+', re.DOTALL)


def _decoded_texts(value: Any) -> str:
    """Return all texts of a value, names included, in one; the depth is bounded already."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "".join(name + _decoded_texts(item) for name, item in value.items())
    if isinstance(value, list):
        return "".join(_decoded_texts(item) for item in value)
    return ""

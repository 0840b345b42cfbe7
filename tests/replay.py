"""Replays a transcript: requests as a client sends them, and what it expects of each answer.

A transcript is a JSON file in ``tests/transcripts``::

    {"name", "client", "source", "why", "steps": [{"note", "request", "expect", "save"}]}

``request``: ``method``, ``path`` (sent as written), ``headers`` (null leaves one out), ``body``
or ``raw``. ``expect``: ``status``, a list; ``json``, a pattern; ``absent``, paths at which
nothing is; ``headers``, patterns. ``save`` keeps what is at a path under a name, for
``{{name}}`` in later steps; ``{{uniq}}``, ``{{UNIQ}}`` (in capitals) and ``{{guid}}`` are
new for every replay.

A pattern is a value. An object matches one with at least its members; an array, one of which
different elements match its own, in any order, and ``[]`` no element at all; null, what is
absent. An object with ``@`` in front of its names is an operator (``OPERATORS``).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from typing import Any

import httpx

_VARIABLE = re.compile(r"\{\{(\w+)\}\}")
_PART = re.compile(
    r'\["(?P<urn>[^"]+)"\]|\[(?P<number>\d+)\]|\[(?P<key>\w+)==(?P<value>\w+)\]|(?P<name>[^.\[]+)'
)
_TYPES: Mapping[str, Any] = {"string": str, "integer": int, "boolean": bool, "array": list}


class Unexpected(AssertionError):
    """An answer is not what the client expects; the message says which and how."""


def replay(transcript: Mapping[str, Any], http: httpx.Client) -> None:
    """Send every request of a transcript. Raises Unexpected at the first answer that does not match."""
    unique = f"u{uuid.uuid4().hex[:12]}"
    known = {"uniq": unique, "UNIQ": unique.upper(), "guid": str(uuid.uuid4())}
    for number, step in enumerate(transcript["steps"], 1):
        request = filled(step["request"], known)
        response = send(http, request)
        try:
            check(response, filled(step["expect"], known))
        except Unexpected as problem:
            where = f"step {number}, {request['method']} {request['path']}"
            raise Unexpected(f"{where}: {problem}\n{response.status_code} {response.text}") from None
        for name, path in step.get("save", {}).items():
            known[name] = next(at(response.json(), path))


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """Return a value with every ``{{name}}`` in it replaced."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: known[found[1]], value)
    if isinstance(value, list):
        return [filled(item, known) for item in value]
    if isinstance(value, dict):
        return {filled(name, known): filled(item, known) for name, item in value.items()}
    return value


def send(http: httpx.Client, request: Mapping[str, Any]) -> httpx.Response:
    headers = {"Accept": "application/scim+json", "Content-Type": "application/scim+json"}
    headers |= request.get("headers", {})
    content = None
    if "raw" in request or "body" in request:
        content = request["raw"] if "raw" in request else json.dumps(request["body"])
    address = (
        str(http.base_url).rstrip("/") + request["path"]
    )  # joined by hand, for ``//Users`` is no path to httpx
    message = http.build_request(request["method"], address, content=content)
    for name, value in headers.items():
        if value is None:
            message.headers.pop(name, None)
        else:
            message.headers[name] = value
    return http.send(message)


def check(response: httpx.Response, expected: Mapping[str, Any]) -> None:
    if response.status_code not in expected["status"]:
        raise Unexpected(f"the status is not {expected['status']}")
    for name, pattern in expected.get("headers", {}).items():
        match(pattern, response.headers.get(name), name)
    body = response.json() if response.content else {}
    match(expected.get("json", {}), body, "body")
    for path in expected.get("absent", []):
        match(None, next(at(body, path), None), path)


def at(value: Any, path: str) -> Iterator[Any]:
    """Yield what is at a path such as ``emails[0].value``, ``emails[type==work].value``, ``["urn:…"].manager``."""
    for part in _PART.finditer(path):
        if isinstance(value, list):
            value = (
                dict(enumerate(value)).get(int(part["number"])) if part["number"] else _chosen(value, part)
            )
        else:
            value = (value or {}).get(part["urn"] or part["name"])
    if value is not None:
        yield value


def _chosen(values: list[Any], part: re.Match[str]) -> Any:
    return next((value for value in values if value.get(part["key"]) == part["value"]), None)


# -- patterns


def match(pattern: Any, value: Any, where: str) -> None:
    """Raise Unexpected unless a value is what a pattern says."""
    if isinstance(pattern, dict) and pattern and all(name.startswith("@") for name in pattern):
        for name, argument in pattern.items():
            if not OPERATORS[name](argument, value):
                raise Unexpected(f"{where} does not match {name} {argument}")
    elif isinstance(pattern, dict):
        if not isinstance(value, dict):
            raise Unexpected(f"{where} is no object")
        for name, inner in pattern.items():
            match(inner, value.get(name), f"{where}.{name}")
    elif isinstance(pattern, list):
        if not _has_each(pattern, [] if value is None else value):
            raise Unexpected(f"{where} has not what {pattern} says")
    elif type(pattern) is not type(value) or pattern != value:
        raise Unexpected(f"{where} is not {pattern!r}")


def matches(pattern: Any, value: Any) -> bool:
    try:
        match(pattern, value, "")
    except Unexpected:
        return False
    return True


def _has_each(patterns: list[Any], values: Any) -> bool:
    """Whether different elements match the patterns; the lists of a transcript are short."""
    if not isinstance(values, list) or not patterns:
        return values == patterns
    fits = [{place for place, value in enumerate(values) if matches(pattern, value)} for pattern in patterns]
    if all(len(places) == 1 for places in fits):
        return len(set().union(*fits)) == len(patterns)
    return any(
        all(place in places for place, places in zip(chosen, fits, strict=True))
        for chosen in permutations(range(len(values)), len(patterns))
    )


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "@any": lambda present, value: (value is not None) is present,
    "@type": lambda name, value: type(value) is _TYPES[name],
    "@len": lambda length, value: len(value or []) == length,
    "@ge": lambda least, value: value >= least,
    "@le": lambda most, value: value <= most,
    "@regex": lambda expression, value: isinstance(value, str) and re.search(expression, value) is not None,
    "@in": lambda patterns, value: any(matches(pattern, value) for pattern in patterns),
    "@not": lambda pattern, value: not matches(pattern, value),
    "@allof": lambda patterns, value: all(matches(pattern, value) for pattern in patterns),
    "@each": lambda pattern, value: all(matches(pattern, element) for element in value),
    "@none": lambda pattern, value: not any(matches(pattern, element) for element in value or []),
}

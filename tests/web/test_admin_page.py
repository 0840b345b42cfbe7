"""The page of the Admin API, as a browser shows it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.live import LiveServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@dataclass
class Shown(HTMLParser):
    """What stands on the page: the heading of each operation with the body that its form has, and the links."""

    operations: dict[str, str | None] = field(default_factory=dict)
    links: list[str | None] = field(default_factory=list)
    _inside: str | None = None
    _heading: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append(dict(attrs).get("href"))
        if tag in ("summary", "textarea"):
            self._inside = tag
        if tag == "summary":
            self._heading = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "summary":
            self.operations[self._heading] = None
        if tag == self._inside:
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "summary":
            self._heading += data
        elif self._inside == "textarea":
            self.operations[self._heading] = (self.operations[self._heading] or "") + data


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LiveServer]:
    directory = tmp_path_factory.mktemp("page")
    settings = {"SCIM_DATABASE_URL": f"sqlite:///{directory}/scim.sqlite3"}
    with LiveServer.start(settings, directory / "server.log") as started:
        yield started


@pytest.fixture(scope="module")
def show(server, tmp_path_factory):
    profile = tmp_path_factory.mktemp("chromium")

    def visit(path: str) -> Shown:
        done = subprocess.run(
            [
                str(CHROMIUM),
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                f"--user-data-dir={profile}",
                "--virtual-time-budget=10000",
                "--dump-dom",
                server.url + path,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        shown = Shown()
        shown.feed(done.stdout)
        return shown

    return visit


@pytest.fixture(scope="module")
def spec(server) -> dict[str, Any]:
    with server.client() as http:
        found: dict[str, Any] = http.get("/admin/v1/openapi.json").json()
    return found


def operations_of(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        method.upper() + path: described
        for path, item in spec["paths"].items()
        for method, described in item.items()
        if method != "parameters"
    }


def operation_of(heading: str) -> str:
    return heading.split(" ", 1)[0]


@pytest.mark.parametrize("path", ["/admin/v1/docs", "/admin/v1/docs/"])
def test_every_operation_is_on_the_page(show, spec, path):
    shown = show(path)

    assert sorted(map(operation_of, shown.operations)) == sorted(operations_of(spec))
    assert shown.links == ["/admin/v1/openapi.json"]


def test_forms_are_filled_with_what_has_to_be_there_and_nothing_else(show, spec):
    schemas = spec["components"]["schemas"]
    bodies = {
        operation_of(heading): json.loads(body)
        for heading, body in show("/admin/v1/docs").operations.items()
        if body is not None
    }

    described = {
        operation: described["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        for operation, described in operations_of(spec).items()
        if "requestBody" in described
    }
    assert {operation: set(body) for operation, body in bodies.items()} == {
        operation: set(schemas[name].get("required", ())) for operation, name in described.items()
    }
    assert bodies["PATCH/admin/v1/organization"] == {"settings": {}}
    assert bodies["POST/admin/v1/seats/quotes"] == {"lines": [{"quantity": 0, "tier": ""}]}

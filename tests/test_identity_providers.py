"""What identity providers really send, replayed against a real server on both databases.

The transcripts are in ``tests/transcripts``. Where further ones, and vectors of the RFC, lie beside
the project in ``../shared``, they are replayed too, by the runners that lie with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.replay import replay

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.json"))
SHARED = Path(__file__).parents[1].parent / "shared"
CASES = sorted(SHARED.glob("cases/open/*.json"))
VECTORS = sorted(SHARED.glob("vectors/*.json"))

pytestmark = [
    pytest.mark.live,
    pytest.mark.parametrize("live_server", ["sqlite", "postgresql"], indirect=True, scope="session"),
]


@pytest.fixture(scope="module")
def acme(live_server):
    return live_server.organization(premium=5, standard=5)


@pytest.fixture
def http(live_server, acme) -> Iterator[httpx.Client]:
    """A client that sends the token of the profile ``interop`` and nothing else of its own."""
    with live_server.client("/scim/v2", Authorization=f"Bearer {acme.scim}") as client:
        yield client


@pytest.mark.parametrize("file", TRANSCRIPTS, ids=lambda file: file.stem)
def test_an_identity_provider_is_answered_as_it_expects(http, file):
    replay(json.loads(file.read_text()), http)


@pytest.mark.skipif(not CASES, reason="no transcripts beside this checkout")
def test_the_transcripts_beside_the_project_are_answered_as_they_expect(live_server, acme):
    runner = [sys.executable, SHARED / "cases" / "run_cases.py", "--base-url", f"{live_server.url}/scim/v2"]

    result = subprocess.run(
        [*runner, "--token", acme.scim, CASES[0].parent], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(not VECTORS, reason="no vectors beside this checkout")
@pytest.mark.parametrize("vectors", VECTORS, ids=lambda file: file.stem)
def test_the_vectors_of_the_rfc_are_answered_to_the_letter(live_server, vectors):
    acme = live_server.organization(premium=5, standard=5)
    runner = [sys.executable, SHARED / "suites" / "vectors_http.py", f"{live_server.url}/scim/v2"]

    result = subprocess.run([*runner, acme.strict, vectors], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr

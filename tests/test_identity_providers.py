"""What identity providers really send, replayed against a real server on both databases.

The transcripts and their runner lie beside the project, in ``../shared/cases``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parents[1].parent / "shared" / "cases"
FILES = sorted(CASES.glob("open/*.json"))

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not FILES, reason="the transcripts are not beside this checkout"),
]


@pytest.fixture(scope="module")
def token(live_server):
    return live_server.organization(premium=5, standard=5).scim


@pytest.mark.parametrize("case", FILES, ids=lambda file: file.stem)
def test_a_transcript_of_an_identity_provider_is_answered_as_it_expects(live_server, token, case):
    runner = [sys.executable, CASES / "run_cases.py", "--base-url", f"{live_server.url}/scim/v2"]

    result = subprocess.run([*runner, "--token", token, case], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("vectors", ["filters.json", "patches.json"])
def test_the_vectors_of_the_rfc_are_answered_to_the_letter(live_server, vectors):
    suites = CASES.parent / "suites" / "vectors_http.py"
    acme = live_server.organization(premium=5, standard=5)

    result = subprocess.run(
        [
            sys.executable,
            suites,
            f"{live_server.url}/scim/v2",
            acme.strict,
            CASES.parent / "vectors" / vectors,
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr

"""``make`` on a machine whose Python is not the one that is wanted."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_a_python_that_is_too_old_is_refused_in_a_line_and_leaves_nothing(tmp_path):
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.8"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o700)

    done = subprocess.run(
        ["make", "install", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert done.stderr.startswith(f"{old} is no Python 3.11 or newer; name one: make PYTHON=")
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("python", "refuses"), [((3, 10, 14), True), ((3, 11, 0), False), ((3, 14, 1), False)]
)
def test_what_make_asks_a_python_tells_old_from_new(python, refuses):
    makefile = (ROOT / "Makefile").read_text()
    [asked] = [line.split(" := ")[1] for line in makefile.splitlines() if line.startswith("IS_NEW_ENOUGH")]

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.version_info = {python}; {asked}"], check=False
    )

    assert (done.returncode != 0) is refuses


def test_an_environment_without_pip_is_made_anew(tmp_path):
    """Which is what is left where one could not be made whole."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    unable = tmp_path / "python3"
    unable.write_text('#!/bin/sh\ntest "$1" != -m\n')
    unable.chmod(0o700)

    done = subprocess.run(
        ["make", "--no-print-directory", "install", f"PYTHON={unable}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert done.stdout == "Making .venv …\n"
    assert not (tmp_path / ".venv").exists()


def test_make_asks_for_the_python_that_the_package_asks_for():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    major, minor = wanted.removeprefix(">=").split(".")

    makefile = (ROOT / "Makefile").read_text()

    assert f"sys.version_info < ({major}, {minor})" in makefile
    assert f"no Python {major}.{minor} or newer" in makefile

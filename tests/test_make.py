"""``make`` on a machine whose Python is not the one that is wanted."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

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


def test_make_asks_for_the_python_that_the_package_asks_for():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    major, minor = wanted.removeprefix(">=").split(".")

    makefile = (ROOT / "Makefile").read_text()

    assert f"sys.version_info < ({major}, {minor})" in makefile
    assert f"no Python {major}.{minor} or newer" in makefile

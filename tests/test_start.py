"""A start loads what the first answer needs; what is needed later, or by others, is loaded later."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scim_server.web.later import Later

LATER = {"alembic", "apispec", "flask_smorest", "sqlalchemy.orm", "scim_server.web.admin", "webargs"}


def loaded_by(program: str) -> set[str]:
    """Return the modules that a Python process has loaded when it has run a program."""
    program += "\nimport sys\nprint('loaded', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture
def serving(tmp_path: Path) -> str:
    """Return a program that makes the application over a database that is up to date."""
    program = (
        "import scim_server.background\n"
        "from scim_server import create_app\n"
        f"app = create_app({{'database_url': 'sqlite:///{tmp_path}/scim.sqlite3', 'log_level': 'error'}})\n"
        "assert app.test_client().get('/readyz').status_code == 200\n"
    )
    assert "alembic" in loaded_by(program), "the first start makes the database"
    return program


def test_a_server_on_sqlite_does_not_load_what_it_may_never_need(serving):
    assert not loaded_by(serving) & (LATER | {"psycopg", "scim_server.store.postgresql"})


def test_the_admin_api_is_loaded_with_its_first_request(serving):
    asked = serving + "assert app.test_client().get('/admin/v1/seats').status_code == 401\n"

    assert {"flask_smorest", "scim_server.web.admin.api"} <= loaded_by(asked)


def test_the_help_of_the_command_waits_for_no_library_but_its_own():
    loaded = loaded_by("from scim_server.cli import cli\ncli(['--help'], standalone_mode=False)")

    assert not loaded & {"flask", "granian", "psycopg", "scim_server.store", "sqlalchemy"}


def test_what_is_made_later_is_made_once(app):
    made = []

    def make():
        made.append(app)
        return app

    later = Later(app.wsgi_app, "/admin/v1", make)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda _: later.part(), range(40)))

    assert made == [app]
    assert parts == [app] * 40

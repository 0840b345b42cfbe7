"""The house keeps its shape: who imports whom, one definition per attribute, no clock but one."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from importlinter.cli import lint_imports
from sqlalchemy import UniqueConstraint

from scim_server import errors
from scim_server.scim.attributes import Uniqueness
from scim_server.scim.schemas import RESOURCE_TYPES
from scim_server.store.tables import metadata
from scim_server.web.error_handlers import STATUSES

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for package in ("scim_server", "seat_policy") for path in (ROOT / package).rglob("*.py")
)


def test_the_import_contracts_hold(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)

    outcome = lint_imports(config_filename="pyproject.toml", no_cache=True)

    assert outcome == 0, capsys.readouterr().out


def calls_in(path: Path) -> list[str]:
    """Return the dotted names that a module calls."""
    tree = ast.parse(path.read_text())
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_edges_look_at_the_clock(path):
    """Everything else is told what time it is, so that tests can set it."""
    edges = {ROOT / "scim_server" / "app.py", *(ROOT / "scim_server" / "cli").iterdir()}

    looks = {"datetime.now", "datetime.utcnow", "time.time", "date.today"} & set(calls_in(path))

    assert not looks or path in edges


def test_what_is_unique_has_a_constraint_of_that_name():
    """Each attribute with ``uniqueness: server`` is kept unique by the database, by a constraint with a name."""
    named = {
        str(constraint.name)
        for table in metadata.sorted_tables
        for constraint in (table.primary_key, *table.constraints)
        if isinstance(constraint, UniqueConstraint) or constraint is table.primary_key
    }
    promised = {
        attribute.name
        for resource_type in RESOURCE_TYPES
        for _, attribute, sub in resource_type.walk()
        if (sub or attribute).uniqueness is not Uniqueness.NONE
    }

    assert promised == {"id", "userName"}
    assert {"pk_users", "pk_groups", "uq_users_user_name"} <= named


def test_every_error_has_a_status():
    classes = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value)
        and issubclass(value, errors.ScimSeatsError)
        and value is not errors.ScimSeatsError
    ]

    without = [cls.__name__ for cls in classes if not any(base in STATUSES for base in cls.__mro__)]

    assert not without


def test_every_table_that_belongs_to_an_organization_has_it_in_its_key():
    for table in metadata.sorted_tables:
        if table.name != "organizations":
            assert "organization_id" in table.primary_key.columns, table.name

"""Every setting has a default, a check, a docstring and a line in the documentation."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from itertools import pairwise
from pathlib import Path

import pytest

from scim_server.config import PREFIX, Config, ConfigError, unknown_settings

ROOT = Path(__file__).parents[1]
NAMES = [field.name for field in dataclasses.fields(Config)]

SENSIBLE = {
    "database_url": ("postgresql://scim:secret@db.example.com/scim",) * 2,
    "read_database_url": ("postgresql://scim:secret@replica.example.com/scim",) * 2,
    "base_url": ("https://scim.example.com",) * 2,
    "max_body_bytes": ("2048", 2048),
    "bulk_max_payload_bytes": ("2048", 2048),
    "bulk_max_operations": ("7", 7),
    "default_page_size": ("7", 7),
    "max_page_size": ("777", 777),
    "cursor_seconds": ("60", 60),
    "pool_size": ("2", 2),
    "pgbouncer": ("true", True),
    "durability": ("full", "full"),
    "due_seconds": ("30", 30),
    "log_level": ("debug", "debug"),
    "trusted_proxies": ("1", 1),
}

# What counts where a setting without a default is not set.
INSTEAD = {"base_url": "that of the request", "read_database_url": "SCIM_DATABASE_URL"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def test_the_defaults_are_those_of_the_class():
    assert Config.from_environment({}) == Config()


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_is_read_from_the_variable_of_its_name(name):
    text, value = SENSIBLE[name]

    config = Config.from_environment({PREFIX + name.upper(): text, "UNRELATED": "x"})

    assert getattr(config, name) == value
    assert dataclasses.replace(config, **{name: getattr(Config(), name)}) == Config()


def test_an_empty_variable_is_as_good_as_none():
    assert Config.from_environment({"SCIM_BASE_URL": "", "SCIM_POOL_SIZE": ""}) == Config()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SCIM_DATABASE_URL", "scim.sqlite3"),
        ("SCIM_DATABASE_URL", "mysql://db.example.com/scim"),
        ("SCIM_DATABASE_URL", "postgresql+psycopg2://db.example.com/scim"),
        ("SCIM_DATABASE_URL", "postgresql+asyncpg://db.example.com/scim"),
        ("SCIM_DATABASE_URL", "sqlite+aiosqlite:///scim.sqlite3"),
        ("SCIM_DATABASE_URL", "sqlite://scim.sqlite3"),
        ("SCIM_DATABASE_URL", "sqlite://somebody@/scim.sqlite3"),
        ("SCIM_DATABASE_URL", "sqlite:///scim.sqlite3?timeout=soon"),
        ("SCIM_DATABASE_URL", "nonsense+driver://db.example.com/scim"),
        ("SCIM_DATABASE_URL", "postgresql://db.example.com:port/scim"),
        ("SCIM_READ_DATABASE_URL", "postgresql+psycopg2://db.example.com/scim"),
        ("SCIM_READ_DATABASE_URL", "sqlite:///copy.sqlite3"),
        ("SCIM_BASE_URL", "scim.example.com"),
        ("SCIM_BASE_URL", "ftp://scim.example.com"),
        ("SCIM_MAX_BODY_BYTES", "16 MB"),
        ("SCIM_MAX_BODY_BYTES", "0"),
        ("SCIM_BULK_MAX_PAYLOAD_BYTES", "-1"),
        ("SCIM_BULK_MAX_OPERATIONS", "0"),
        ("SCIM_DEFAULT_PAGE_SIZE", "0"),
        ("SCIM_MAX_PAGE_SIZE", "1e3"),
        ("SCIM_CURSOR_SECONDS", "0"),
        ("SCIM_POOL_SIZE", "0"),
        ("SCIM_PGBOUNCER", "perhaps"),
        ("SCIM_DURABILITY", "safe"),
        ("SCIM_LOG_LEVEL", "loud"),
        ("SCIM_TRUSTED_PROXIES", "all"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(variable, value):
    with pytest.raises(ConfigError, match=f"^{variable}: ") as refused:
        Config.from_environment({variable: value})

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///scim.sqlite3",
        "sqlite+pysqlite:////srv/scim.sqlite3",
        "postgres://db.example.com/scim",
        "postgresql+psycopg://db.example.com/scim",
    ],
)
def test_the_drivers_that_are_there_may_be_named(url):
    assert Config.from_environment({"SCIM_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize(
    "url", ["mysql://scim:secret@db.example.com/scim", "postgresql://scim:secret@db.example.com:port/scim"]
)
def test_the_password_of_a_database_is_in_no_error(url):
    with pytest.raises(ConfigError) as refused:
        Config.from_environment({"SCIM_DATABASE_URL": url})

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["pool_size", "SCIM_POOL_SIZE"])
def test_a_mapping_overrides_the_environment_in_either_spelling(monkeypatch, name):
    monkeypatch.setenv("SCIM_POOL_SIZE", "3")
    monkeypatch.setenv("SCIM_CURSOR_SECONDS", "60")

    config = Config.from_mapping({name: 5})

    assert (config.pool_size, config.cursor_seconds) == (5, 60)


def test_a_mapping_may_set_what_the_environment_sets_back_to_the_default(monkeypatch):
    monkeypatch.setenv("SCIM_BASE_URL", "https://scim.example.com")

    assert Config.from_mapping({"base_url": None}).base_url is None


def test_a_mapping_with_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="colour is no setting"):
        Config.from_mapping({"colour": "red"})


def test_a_variable_that_is_called_as_a_setting_and_is_none_is_named_without_its_value():
    given = {
        "SCIM_DATABASE_URL": "sqlite:///scim.sqlite3",
        "SCIM_DATABSE_URL": "postgresql://scim:secret@db.example.com/scim",
        "scim_pool_size": "3",
        "SCIM_GATEWAY": "yes",
        "PATH": "/bin",
    }

    assert unknown_settings(given) == [
        "SCIM_DATABSE_URL is no setting of scim-server; SCIM_DATABASE_URL is.",
        "SCIM_GATEWAY is no setting of scim-server.",
        "scim_pool_size is no setting of scim-server; SCIM_POOL_SIZE is.",
    ]


def test_the_settings_do_not_change_once_they_are_read():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().pool_size = 9  # type: ignore[misc]


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_is(name):
    """The docstring stands below the field, as documentation tools read it."""
    body = ast.parse(inspect.getsource(Config)).body[0].body
    follower = next(
        after
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign) and before.target.id == name
    )

    assert isinstance(follower, ast.Expr)
    assert isinstance(follower.value, ast.Constant)
    assert follower.value.value.endswith(".")


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_every_setting_is_documented_with_its_default(field):
    lines = (ROOT / "docs" / "configuration.md").read_text().splitlines()

    [row] = [line for line in lines if line.startswith(f"| `{PREFIX}{field.name.upper()}` |")]

    default = row.split("|")[2].strip(" `")
    assert default == INSTEAD.get(field.name, str(field.default).lower())


def test_the_documentation_names_no_setting_that_is_not_there():
    text = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

    named = set(re.findall(r"SCIM_[A-Z_]+", text))

    assert named == {PREFIX + name.upper() for name in NAMES}

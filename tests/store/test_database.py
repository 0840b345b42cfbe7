"""One transaction for each operation: committed, rolled back, begun again after a lost race."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from scim_server.errors import NotFound, Unavailable
from scim_server.store.database import _BUSY_MILLISECONDS, Database, LostRace
from scim_server.store.transaction import Transaction

ROW = {
    "id": "1",
    "name": "acme",
    "plan": "team",
    "billing": "monthly",
    "currency": "USD",
    "time_zone": "UTC",
    "term_start": "2026-01-01",
    "settings": "{}",
    "secret": "00",
    "version": 1,
    "invoice_count": 0,
    "user_count": 0,
    "group_count": 0,
    "billed_until": "2026-02-01",
    "next_due_at": 0,
    "created_at": 0,
}


def add(tx: Transaction, name: str) -> None:
    row = {**ROW, "id": name, "name": name}
    columns, values = ", ".join(row), ", ".join(f":{column}" for column in row)
    tx.execute(text(f"INSERT INTO organizations ({columns}) VALUES ({values})"), row)


def names(tx: Transaction) -> list[str]:
    return list(tx.connection.scalars(text("SELECT name FROM organizations ORDER BY name")))


@pytest.fixture
def sqlite(tmp_path: Path, sqlite_template: Path) -> Iterator[Database]:
    """A database in a file, for what SQLite has to itself."""
    path = tmp_path / "scim.sqlite3"
    shutil.copy(sqlite_template, path)
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.close()


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """The same database, as another process has it open."""
    opened = Database(database.engine.url.render_as_string(hide_password=False))
    yield opened
    opened.close()


def test_what_an_operation_did_is_there_when_it_returns(database, other):
    database.run(add, "acme")

    assert other.read(names) == ["acme"]


def test_nothing_remains_of_an_operation_that_raises(database):
    def fail(tx: Transaction) -> None:
        add(tx, "acme")
        raise NotFound("on purpose")

    with pytest.raises(NotFound):
        database.run(fail)

    assert database.read(names) == []


def losing(times: int) -> Callable[[Transaction], int]:
    """Make an operation that loses so many races and then returns how often it began."""
    begun = 0

    def operation(tx: Transaction) -> int:
        nonlocal begun
        begun += 1
        add(tx, f"acme-{begun}")
        if begun <= times:
            raise LostRace
        return begun

    return operation


@pytest.mark.parametrize("times", [2, 10])
def test_an_operation_that_lost_races_begins_again_from_nothing(database, times):
    begun = database.run(losing(times))

    assert begun == times + 1
    assert database.read(names) == [f"acme-{begun}"]


def test_an_operation_that_always_loses_gives_up(database):
    with pytest.raises(Unavailable, match="try again"):
        database.run(losing(100))

    assert database.read(names) == []


def test_a_deadlock_is_begun_again(database, other):
    """Two operations take the same two rows in opposite order; both get through."""
    database.run(add, "a")
    database.run(add, "b")
    both_hold_one = threading.Barrier(2)
    failures: list[Exception] = []
    attempts: list[str] = []

    def touch(tx: Transaction, first: str, second: str) -> None:
        attempts.append(first)
        for name in (first, second):
            statement = "UPDATE organizations SET version = version + 1 WHERE name = :name"
            tx.execute(text(statement), {"name": name})
            tx.settle()
            if name == first and attempts.count(first) == 1:
                wait(both_hold_one, 0.3 if database.is_sqlite else 60)

    def run(on: Database, *order: str) -> None:
        try:
            on.run(touch, *order)
        except Exception as error:
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=[database, "a", "b"]),
        threading.Thread(target=run, args=[other, "b", "a"]),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(attempts) == (2 if database.is_sqlite else 3)
    assert database.read(
        lambda tx: list(tx.connection.scalars(text("SELECT version FROM organizations")))
    ) == [3, 3]


def wait(barrier: threading.Barrier, seconds: float) -> None:
    """Wait for the other thread; on SQLite it cannot come, because one writer waits for the other to end."""
    with suppress(threading.BrokenBarrierError):
        barrier.wait(timeout=seconds)


def test_a_writer_that_begins_by_reading_loses_no_update(database, other):
    """On SQLite such a writer would be refused at its first write, had it not begun as a writer."""
    database.run(add, "acme")

    def count_up(tx: Transaction) -> None:
        lock = "" if database.is_sqlite else " FOR UPDATE"
        version = tx.connection.scalar(text(f"SELECT version FROM organizations{lock}"))
        tx.execute(text("UPDATE organizations SET version = :version"), {"version": version + 1})

    def many(on: Database) -> None:
        for _ in range(20):
            on.run(count_up)

    threads = [threading.Thread(target=many, args=[on]) for on in (database, database, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert database.read(lambda tx: tx.connection.scalar(text("SELECT version FROM organizations"))) == 81


def test_readers_do_not_wait_for_a_writer(database, other):
    def write_and_look(tx: Transaction) -> list[str]:
        add(tx, "acme")
        return other.read(names)

    assert database.run(write_and_look) == []
    assert other.read(names) == ["acme"]


def test_what_may_as_well_not_happen_waits_for_nobody(database, other):
    """On SQLite neither for a writer of this program nor for one of another; PostgreSQL has no such queue."""

    def add_meanwhile(tx: Transaction) -> None:
        add(tx, "acme")
        tx.settle()
        other.run_if_free(add, "other")
        database.run_if_free(add, "same")

    database.run(add_meanwhile)
    database.run_if_free(add, "free")

    assert other.read(names) == (
        ["acme", "free"] if database.is_sqlite else ["acme", "free", "other", "same"]
    )


def test_what_may_as_well_not_happen_gives_way_to_other_programs(sqlite, monkeypatch):
    monkeypatch.setattr("scim_server.store.database._BUSY_MILLISECONDS", 60_000)
    with closing(sqlite3.connect(sqlite.engine.url.database, isolation_level=None)) as program:
        program.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            sqlite.run_if_free(add, "acme")
        assert time.monotonic() - begun < 30
        program.execute("ROLLBACK")

    sqlite.run(add, "acme")
    assert sqlite.read(names) == ["acme"]


def test_a_writer_does_not_wait_long_for_other_programs(sqlite, monkeypatch):
    """It is told to come back, for it would keep a thread from all others that only read."""
    assert _BUSY_MILLISECONDS <= 2_000
    monkeypatch.setattr("scim_server.store.database._BUSY_MILLISECONDS", 4_000)
    with closing(sqlite3.connect(sqlite.engine.url.database, isolation_level=None)) as program:
        program.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="try again"):
            sqlite.run(add, "acme")
        assert 3 < time.monotonic() - begun < 7.5  # once, not twice
        assert sqlite.read(names) == []
        program.execute("ROLLBACK")

    sqlite.run(add, "acme")
    assert sqlite.read(names) == ["acme"]


def test_who_opens_a_new_file_waits_for_whoever_writes_the_first_of_it(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("scim_server.store.database._BUSY_MILLISECONDS", 60_000)
    path = tmp_path / "new.sqlite3"
    database = Database(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as first:
        first.execute("BEGIN IMMEDIATE")  # in the mode that a file begins in, which refuses a switch at once
        soon = threading.Timer(0.2, first.execute, ["COMMIT"])
        soon.start()

        mode = database.read(lambda tx: tx.execute(text("PRAGMA journal_mode")).scalar_one())
        soon.join()

    assert mode == "wal"
    database.close()


def test_a_turn_that_cannot_be_taken_is_nobodys(sqlite, monkeypatch):

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    for run in (sqlite.run, sqlite.run_if_free):
        with monkeypatch.context() as patched, pytest.raises(OSError, match="No locks"):
            patched.setattr("fcntl.flock", refuse)
            run(add, "acme")

    sqlite.run(add, "acme")
    assert sqlite.read(names) == ["acme"]


def test_the_log_of_sqlite_is_copied_beside_the_writers(sqlite, monkeypatch):
    monkeypatch.setattr("scim_server.store.database._COMMITS_BETWEEN_CHECKPOINTS", 3)
    for number in range(3):
        sqlite.run(add, f"acme {number}")

    until = time.monotonic() + 20
    while (found := rows_without_the_log(Path(sqlite.engine.url.database))) < 3 and time.monotonic() < until:
        time.sleep(0.01)

    assert found == 3


def rows_without_the_log(path: Path) -> int:
    """Count what the file of the database has by itself; nothing where it is being written at the moment."""
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    with (
        suppress(sqlite3.DatabaseError),
        closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as file,
    ):
        return int(file.execute("SELECT count(*) FROM organizations").fetchone()[0])
    return 0


def test_a_broken_constraint_is_not_tried_again(database):
    database.run(add, "acme")
    begun = []

    def add_again(tx: Transaction) -> None:
        begun.append(1)
        add(tx, "acme")

    with pytest.raises(IntegrityError):
        database.run(add_again)

    assert len(begun) == 1


def test_foreign_keys_hold(database):
    """SQLite has to be told so on every connection."""
    statement = (
        "INSERT INTO seat_pools (organization_id, tier, rank, features, month_price_minor, allocated, used, version)"
        " VALUES ('none', 'premium', 1, '[]', 0, 1, 0, 0)"
    )

    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        database.run(lambda tx: tx.execute(text(statement)))


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://nobody@127.0.0.1:1/nothing", id="postgresql"),
        pytest.param("sqlite:////no/such/directory/scim.sqlite3", id="sqlite"),
    ],
)
def test_a_database_that_is_away_is_unavailable(url):
    database = Database(url)

    with pytest.raises(Unavailable):
        database.ping()
    with pytest.raises(Unavailable):
        database.run(add, "acme")
    database.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path):
    path = tmp_path / "scim.sqlite3"
    path.write_bytes(b"no database at all " * 100)
    database = Database(f"sqlite:///{path}")

    with pytest.raises(Unavailable, match="no SQLite database"):
        database.ping()
    database.close()


def test_a_database_that_cannot_be_written_to_is_read_and_refuses_writers(tmp_path: Path, sqlite_template):
    path = tmp_path / "scim.sqlite3"
    shutil.copy(sqlite_template, path)
    database = Database(f"sqlite:///file:{path}?mode=ro&uri=true")

    with pytest.raises(Unavailable):
        database.run(add, "acme")

    assert database.read(names) == []
    database.close()


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
def test_durability_says_what_sqlite_survives(tmp_path: Path, durability, synchronous):
    database = Database(f"sqlite:///{tmp_path}/scim.sqlite3", durability=durability)

    found = database.read(lambda tx: tx.connection.scalar(text("PRAGMA synchronous")))
    journal = database.read(lambda tx: tx.connection.scalar(text("PRAGMA journal_mode")))

    assert (found, journal) == (synchronous, "wal")
    database.close()


@pytest.mark.parametrize(("pgbouncer", "prepares"), [(False, True), (True, False)])
def test_nothing_is_prepared_on_a_connection_that_pgbouncer_lends(make_postgresql, pgbouncer, prepares):
    """The next transaction may meet another server, which would not know what was prepared."""
    database = Database(make_postgresql("pgbouncer"), pgbouncer=pgbouncer)

    def ask_often(tx: Transaction) -> int:
        for _ in range(10):
            tx.execute(text("SELECT name FROM organizations"))
        return int(tx.execute(text("SELECT count(*) FROM pg_prepared_statements")).scalar_one())

    assert bool(database.run(ask_often)) is prepares
    database.close()

"""Statements whose answer nobody has looked at yet: what is kept of them, when they fail, and who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from select import select as poll
from typing import Any

import pytest
from sqlalchemy import bindparam, func, insert, literal_column, select, text, update
from sqlalchemy.exc import DataError, IntegrityError

from scim_server.errors import NotUnique
from scim_server.store.database import Database
from scim_server.store.prepared import Prepared
from scim_server.store.tables import attribute_values
from scim_server.store.transaction import Transaction

INSERT = Prepared(insert(attribute_values))
COUNT_UP = Prepared(
    update(attribute_values)
    .where(attribute_values.c.organization_id == "acme", attribute_values.c.ordinal == bindparam("at"))
    .values(value_key=attribute_values.c.value_key + bindparam("more"))
)
ROWS = Prepared(
    select(attribute_values)
    .where(attribute_values.c.organization_id == bindparam("organization_id"))
    .order_by(attribute_values.c.ordinal)
)


# SQLite answers at once, counts the bytes of a text, and has writers take turns before they begin.
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def row(ordinal: int, **more: Any) -> dict[str, Any]:
    empty = {"value_key": "", "type_key": None, "is_primary": False, "element": None}
    key = {"organization_id": "acme", "resource_id": "ada", "attribute": "emails", "ordinal": ordinal}
    return {**key, **empty, **more}


def stored(tx: Transaction) -> list[dict[str, Any]]:
    return list(tx.execute(ROWS, {"organization_id": "acme"}).mappings())


def values(tx: Transaction) -> dict[int, str]:
    return {one["ordinal"]: one["value_key"] for one in stored(tx)}


@pytest.fixture(params=[True, False], ids=["prepared", "not-prepared"])
def opened(request: pytest.FixtureRequest, database: Database) -> Iterator[Database]:
    """The database as a server has it open: with prepared statements, or as behind PgBouncer without."""
    url = database.engine.url.render_as_string(hide_password=False)
    made = Database(url, pgbouncer=not request.param)
    yield made
    made.close()


def test_what_nobody_looked_at_is_kept(opened):
    opened.run(lambda tx: tx.execute(INSERT, row(1)) and None)

    assert opened.read(values) == {1: ""}


def test_statements_run_in_their_order(opened):
    def work(tx: Transaction) -> tuple[dict[int, str], dict[int, str]]:
        tx.execute(INSERT, row(1, value_key="a"))
        before = tx.execute(ROWS, {"organization_id": "acme"})
        tx.execute(COUNT_UP, {"at": 1, "more": "b"})
        after = values(tx)
        return {one.ordinal: one.value_key for one in before}, after

    assert opened.run(work) == ({1: "a"}, {1: "ab"})


def test_rows_are_counted(opened):
    def work(tx: Transaction) -> list[int]:
        tx.execute(INSERT, [row(1), row(2)])
        return [tx.execute(COUNT_UP, {"at": at, "more": "b"}).rowcount for at in (1, 3)]

    assert opened.run(work) == [1, 0]


def test_any_value_goes_into_a_row_among_many(opened):
    hard = ["", "NULL", '"', "\\", '\\"', "{}", "a,b", "ü", "\n", " a ", "'"]
    rows = [row(at, value_key=text, is_primary=bool(at % 2)) for at, text in enumerate(hard)]
    rows.append(row(99, value_key="x", element='{"a": "\\"b\\""}', type_key="work"))

    opened.run(lambda tx: tx.execute(INSERT, rows))

    assert opened.read(stored) == rows


def test_more_rows_than_go_into_a_statement(opened):
    opened.run(lambda tx: tx.execute(INSERT, [row(at, value_key=str(at)) for at in range(2345)]))

    assert opened.read(values) == {at: str(at) for at in range(2345)}


def test_more_statements_than_wait_for_an_answer(opened):
    def work(tx: Transaction) -> None:
        tx.execute(INSERT, row(1))
        tx.execute(COUNT_UP, [{"at": 1, "more": str(number % 10)} for number in range(350)])

    opened.run(work)

    assert opened.read(values) == {1: "0123456789" * 35}


def test_a_failure_that_nobody_looked_at_ends_the_transaction(opened):
    def work(tx: Transaction) -> None:
        tx.execute(INSERT, row(1))
        tx.execute(INSERT, row(1))

    with pytest.raises(IntegrityError):
        opened.run(work)

    assert opened.read(values) == {}
    opened.run(lambda tx: tx.execute(INSERT, row(2)) and None)
    assert opened.read(values) == {2: ""}


def test_a_refusal_is_raised_where_a_constraint_breaks(opened):
    def work(tx: Transaction) -> None:
        tx.execute(INSERT, row(1))
        tx.refuse_with(NotUnique("taken"), "pk_attribute_values")
        tx.execute(INSERT, row(1))
        values(tx)

    with pytest.raises(NotUnique, match="taken"):
        opened.run(work)


def test_a_refusal_is_that_of_the_statement_that_was_refused(opened):
    def work(tx: Transaction) -> None:
        tx.execute(INSERT, row(1))
        for said in ("first", "second"):
            tx.refuse_with(NotUnique(said), "pk_attribute_values")
            tx.execute(INSERT, row(1))

    with pytest.raises(NotUnique, match="first"):
        opened.run(work)


def test_a_failure_in_a_savepoint_shows_there(opened):
    def work(tx: Transaction) -> None:
        tx.execute(INSERT, row(1))
        with pytest.raises(IntegrityError), tx.savepoint():
            tx.execute(INSERT, row(2))
            tx.execute(INSERT, row(1))
        tx.execute(INSERT, row(3))

    opened.run(work)

    assert opened.read(values) == {1: "", 3: ""}


@on_postgresql
def test_a_savepoint_is_undone_whatever_was_on_its_way_when_it_was_left(opened):
    def work(tx: Transaction) -> None:
        tx.execute(INSERT, row(1))
        with pytest.raises(ValueError), tx.savepoint():
            tx.execute(INSERT, row(1))
            raise ValueError
        tx.execute(INSERT, row(2))

    opened.run(work)

    assert opened.read(values) == {1: "", 2: ""}


@on_postgresql
def test_what_is_prepared_is_known_whatever_fails(opened, monkeypatch):
    """Statements are forgotten to make room; behind a failure they are not, and go on being known."""
    monkeypatch.setattr("scim_server.store.postgresql._MOST_PREPARED", 2)
    others = [Prepared(select(attribute_values.c.ordinal + number)) for number in range(4)]

    def work(tx: Transaction) -> None:
        tx.execute(INSERT, row(1))
        for statement in others:
            tx.execute(statement)

    opened.run(work)
    for _ in range(3):
        with pytest.raises(IntegrityError):
            opened.run(work)
        assert opened.read(values) == {1: ""}


@on_postgresql
def test_a_statement_behind_a_failure_has_no_answer(opened):
    def work(tx: Transaction) -> None:
        tx.execute(INSERT, row(1))
        tx.execute(INSERT, row(1))
        later = tx.execute(ROWS, {"organization_id": "acme"})
        with suppress(IntegrityError):
            tx.settle()
        later.all()

    with pytest.raises(LookupError, match="was not run"):
        opened.run(work)


@on_postgresql
def test_a_text_ends_where_it_ends(opened):
    with pytest.raises(DataError, match="NUL"):
        opened.run(lambda tx: tx.execute(INSERT, row(1, value_key="a\0b")))


def test_a_statement_made_at_run_time_sees_what_went_before(opened):
    def work(tx: Transaction) -> tuple[int, dict[int, str]]:
        tx.execute(INSERT, row(1))
        count = tx.execute(text("SELECT count(*) FROM attribute_values")).scalar_one()
        tx.execute(INSERT, row(2))
        return count, values(tx)

    assert opened.run(work) == (1, {1: "", 2: ""})
    assert opened.read(values) == {1: "", 2: ""}


FAILS = Prepared(select(literal_column("1") / literal_column("0").label("nothing")))


def test_who_reads_in_no_transaction_may_alternate_between_kinds_of_statements(opened):
    opened.run(lambda tx: tx.execute(INSERT, row(1)) and None)

    def look(tx: Transaction) -> list[Any]:
        before = tx.execute(ROWS, {"organization_id": "acme"})
        count = tx.execute(text("SELECT count(*) FROM attribute_values")).scalar_one()
        behind = tx.execute(ROWS, {"organization_id": "acme"})
        again = tx.execute(text("SELECT count(*) FROM attribute_values")).scalar_one()
        return [len(before.all()), count, len(behind.all()), again]

    assert opened.look_up(look) == [1, 1, 1, 1]


@on_postgresql
def test_a_failure_in_no_transaction_shows_also_where_nobody_looked_at_it(opened):
    def work(tx: Transaction) -> None:
        tx.execute(ROWS, {"organization_id": "acme"})
        tx.execute(FAILS)
        tx.execute(ROWS, {"organization_id": "acme"})

    for _ in range(3):
        with pytest.raises(DataError, match="division by zero"):
            opened.look_up(work)
        assert opened.look_up(values) == {}


@on_postgresql
def test_an_operation_that_raises_in_no_transaction_leaves_nothing_on_its_way(opened):
    def work(tx: Transaction) -> None:
        tx.execute(ROWS, {"organization_id": "acme"})
        raise NotUnique("never mind")

    for _ in range(3):
        with pytest.raises(NotUnique):
            opened.look_up(work)
        assert opened.look_up(values) == {}
        opened.run(lambda tx: tx.settle())


@on_postgresql
def test_a_connection_that_has_received_much_is_not_kept(opened):
    process = Prepared(select(func.pg_backend_pid().label("process")))
    many = Prepared(select(func.generate_series(1, 25_000).label("number")))

    before, same = (opened.look_up(lambda tx: tx.execute(process).scalar_one()) for _ in range(2))
    read = opened.look_up(lambda tx: len(tx.execute(many).all()))
    after = opened.look_up(lambda tx: tx.execute(process).scalar_one())

    assert before == same
    assert read == 25_000
    assert after != before


@on_postgresql
def test_a_look_up_whose_connection_is_lost_is_made_on_another(opened, database):
    ended = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert opened.look_up(values) == {}
    for _ in range(2):
        database.run(lambda tx: tx.execute(ended).all())

        assert opened.look_up(values) == {}


class Farewell:
    """libpq, whose server is ended behind the last answer and before the end of the pipeline."""

    def __init__(self, libpq: Any, database: Database) -> None:
        self._real, self._database, self.is_due = libpq, database, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def pipeline_sync(self) -> None:
        if self.is_due:
            self.is_due = False
            self._real.send_flush_request()
            self._real.flush()
            poll([self._real.socket], [], [], 60)  # the statements have run
            end = text("SELECT pg_terminate_backend(:process, 60000)")  # and wait until it has ended
            self._database.read(lambda tx: tx.execute(end, {"process": self._real.backend_pid}).all())
        self._real.pipeline_sync()


@on_postgresql
@pytest.mark.parametrize("writes", [False, True])
def test_a_server_that_goes_behind_its_answer(opened, database, writes):
    """What was read is read again; what was kept is not done again."""
    opened.run(lambda tx: tx.execute(INSERT, row(1)) and None)
    lent = opened._connections.take()
    farewell = lent.session._libpq = Farewell(lent.session._libpq, database)
    opened._connections.give_back(lent)
    begun: list[bool] = []

    def work(tx: Transaction) -> dict[int, str] | None:
        begun.append(True)
        farewell.is_due = len(begun) == 1
        if not writes:
            return values(tx)
        tx.execute(INSERT, row(2))
        return None

    found = opened.run(work) if writes else opened.look_up(work)

    assert found == (None if writes else {1: ""})
    assert len(begun) == (1 if writes else 2)
    assert opened.read(values) == ({1: "", 2: ""} if writes else {1: ""})


@on_postgresql
def test_a_thread_that_waits_for_a_row_lets_the_others_work(database):
    """It waits for a lock that another thread of the process has: one that could not go on would keep it for ever."""
    database.run(lambda tx: tx.execute(INSERT, [row(1), row(2)]))
    is_held, go_on = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        assert tx.execute(COUNT_UP, {"at": 1, "more": "a"}).rowcount == 1
        is_held.set()
        assert go_on.wait(20)

    def wait(tx: Transaction) -> None:
        tx.execute(COUNT_UP, [{"at": 2, "more": "b"}, {"at": 1, "more": "b"}])

    threads = [threading.Thread(target=database.run, args=(work,), daemon=True) for work in (hold, wait)]
    threads[0].start()
    assert is_held.wait(20)
    threads[1].start()
    threads[1].join(0.3)
    assert threads[1].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(20)

    assert not any(thread.is_alive() for thread in threads)
    assert database.read(values) == {1: "ab", 2: "b"}

"""What makes a figure trustworthy: answers are read whole, wrong ones void their row, pages keep their text."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks import report
from benchmarks.load import Answer, Broken, Service, run
from benchmarks.measure import Stage, measure
from benchmarks.rows import Row, Work, status
from benchmarks.servers import Server, Traits
from benchmarks.world import NotServed, World

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}'


@contextmanager
def answering(answer: bytes, *, closes: bool = False) -> Iterator[Service]:
    """A server that gives one answer to everything, two bytes first so that it arrives in pieces."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65536):
                connection.sendall(answer[:2])
                connection.sendall(answer[2:])
                if closes:
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=[connection], daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Service("127.0.0.1", listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "closes"),
    [
        (OK, False),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n', False),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n{"a": 1}', True),
        (b'HTTP/1.0 200 OK\r\n\r\n{"a": 1}', True),
    ],
    ids=["length", "chunked", "closing", "until closed"],
)
def test_answers_are_read_whole_however_they_are_framed(answer, closes):
    with answering(answer, closes=closes) as service:
        outcome = run(service, [service.request("GET", "/")] * 5, connections=2)

    assert [one.json() for one in outcome.answers] == [{"a": 1}] * 5
    assert sorted(one.number for one in outcome.answers) == [0, 1, 2, 3, 4]


def test_an_answer_that_breaks_off_is_an_error():
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", closes=True) as service:
        request = service.request("GET", "/")

        with pytest.raises(Broken):
            run(service, [request], connections=1)


def measured(prepare: Callable[[World], Work], *, is_peer: bool = False):
    with answering(OK) as service:
        server = Server("a server", service, os.getpid(), traits=Traits(), is_peer=is_peer)
        stage = Stage([World(server, 0)], [Row("row", "a row", prepare, connections=1)])
        [result] = measure([stage], server, rounds=2, seconds=0.01, note=lambda _: None)
    return result


def test_a_row_counts_when_every_answer_is_right():
    result = measured(lambda world: Work([world.scim.request("GET", "/")] * 3, status(200)))

    assert result.counts
    assert len(result.samples) == 2


def test_one_wrong_answer_voids_its_row():
    def is_wrong(answer: Answer) -> str | None:
        return "wrong" if answer.number == 2 else None

    result = measured(lambda world: Work([world.scim.request("GET", "/")] * 3, is_wrong))

    assert not result.counts
    assert result.void == "1 wrong of 3: wrong"


def test_a_server_that_does_not_hold_what_it_was_told_voids_the_row():
    result = measured(
        lambda world: Work([world.scim.request("GET", "/")], status(200), after=lambda _: "a lost member")
    )

    assert not result.counts
    assert "a lost member" in result.void


@pytest.mark.parametrize("is_peer", [True, False])
def test_what_a_peer_cannot_do_is_not_available_and_what_we_cannot_is_void(is_peer):
    result = measured(lambda world: Work([world.scim.request("GET", "/")], status(201)), is_peer=is_peer)

    assert (result.absent is not None, result.void is not None) == (is_peer, not is_peer)


def test_what_is_not_served_is_said_with_its_reason():
    def not_served(_world: World) -> Work:
        raise NotServed("no Bulk")

    assert measured(not_served).absent == "no Bulk"


def test_publishing_replaces_a_table_and_nothing_else(tmp_path, monkeypatch):
    document = tmp_path / "performance.md"
    document.write_text("before\n<!-- bench: written by the run -->\nold\n<!-- bench: end -->\nafter\n")
    monkeypatch.setattr(report, "DOCUMENT", document)

    report.publish("| new |", "bench")

    assert document.read_text() == (
        "before\n<!-- bench: written by the run -->\n\n| new |\n\n<!-- bench: end -->\nafter\n"
    )


@pytest.mark.parametrize("marker", ["bench", "peers"])
def test_the_document_has_a_place_for_each_run(marker):
    text = report.DOCUMENT.read_text()

    assert text.count(f"<!-- {marker}: written by the run -->") == 1
    assert text.count(f"<!-- {marker}: end -->") == 1

"""What a serving process does beside answering: every so often, what is due (``operations.due``)."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import random
import threading
from contextlib import suppress
from dataclasses import asdict

from flask import Flask
from structlog.typing import FilteringBoundLogger

from scim_server.app import create_app
from scim_server.config import Config
from scim_server.errors import Unavailable
from scim_server.operations import due
from scim_server.operations.due import CaughtUp
from scim_server.web.exchange import Services

# By the driver of PostgreSQL at every connection, by the metrics, and by the C library.
_STILL_READ = ("PG", "KRB5", "HOME", "PROMETHEUS_", "TZ", "LC_", "LANG", "TMPDIR")
# Of glibc's malloc.h.
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8


def create_served_app() -> Flask:
    """Return the application of a worker process, with the thread that keeps its organizations up to date."""
    config = Config.from_environment()
    if not any(name.startswith("MALLOC_") for name in os.environ):
        _give_memory_back()
    _forget_the_environment()
    server = multiprocessing.parent_process()  # known from before: by now somebody else may be the parent
    threading.Thread(
        target=_end_with, args=[server.pid if server else os.getppid()], name="orphan", daemon=True
    ).start()
    app = create_app(asdict(config))
    look_for_cycles_less_often()
    services: Services = app.extensions["scim_seats"]
    if services.config.due_seconds:
        threading.Thread(target=_keep_up, args=[services], name="due", daemon=True).start()
    return app


def _give_memory_back() -> None:
    """Have the C library return to the system what a large request needed.

    By itself glibc keeps the more, the larger what it was once asked for, and that for every thread.
    Other libraries have no such switches.
    """
    with suppress(AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(
            _MMAP_THRESHOLD, 1024 * 1024
        )  # more than a page of a list, which need not come from the system
        set_option(_ARENA_MAX, 1)


def look_for_cycles_less_often() -> None:
    """Search new objects for cycles a tenth as often as Python does by itself, and those of the program never.

    Requests make many objects and hardly a cycle. Among the objects of a change of 100,000 people, the
    searches would take a third of its time.
    """
    gc.freeze()
    gc.set_threshold(10_000)


def _end_with(server: int | None) -> None:
    """End when the server that began this worker has ended without it: nobody else would ever stop it."""
    pause = threading.Event()
    while not pause.wait(1):
        if os.getppid() != server:
            os._exit(1)


def _forget_the_environment() -> None:
    """The web server hands the environment of the process to every request; what it has is read by now."""
    for name in [name for name in os.environ if not name.startswith(_STILL_READ)]:
        del os.environ[name]


def _keep_up(services: Services) -> None:
    """Do what is due, again and again; several processes may, for each step looks under its lock."""
    pause = threading.Event()
    while not pause.wait(services.config.due_seconds * random.uniform(0.5, 1.5)):
        try:
            for done in due.run_all(services.database, services.clock()):
                _note(services.log, done)
        except Exception as error:  # which must not end the thread
            _note_failure(services.log, error)


def _note(log: FilteringBoundLogger, done: CaughtUp) -> None:
    if done.error is not None:
        _note_failure(log, done.error, organization=done.organization_id)
    elif done.steps:
        log.info("due", organization=done.organization_id, steps=done.steps)


def _note_failure(log: FilteringBoundLogger, error: Exception, **about: str) -> None:
    if isinstance(error, Unavailable):
        log.warning("due later", reason=error.reason, **about)
    else:
        log.error("unexpected error", thread="due", exc_info=error, **about)

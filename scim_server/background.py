"""What a serving process does beside answering: every so often, what is due (``operations.due``)."""

from __future__ import annotations

import random
import threading

from flask import Flask
from structlog.typing import FilteringBoundLogger

from scim_server.app import create_app
from scim_server.errors import Unavailable
from scim_server.operations import due
from scim_server.operations.due import CaughtUp
from scim_server.web.http import Services


def create_served_app() -> Flask:
    """Return the application of a worker process, with the thread that keeps its organizations up to date."""
    app = create_app()
    services: Services = app.extensions["scim_seats"]
    if services.config.due_seconds:
        threading.Thread(target=_keep_up, args=[services], name="due", daemon=True).start()
    return app


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
        log.warning("due later", reason=error.detail, **about)
    else:
        log.error("unexpected error", thread="due", exc_info=error, **about)

"""Closes the database connections that a run opened through Django, in whichever thread it did."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from functools import partial
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from ...handlers import CallNext, JobContext

__all__ = ["CloseConnections", "note_opened"]

_logger = logging.getLogger("jobmaster.django")
_opened: ContextVar[list[BaseDatabaseWrapper] | None] = ContextVar("jobmaster_django_opened", default=None)


def note_opened() -> None:
    """Have Django tell of every connection it opens; a run's context takes it down."""
    connection_created.connect(_note, dispatch_uid="jobmaster.integrations.django")


def _note(connection: BaseDatabaseWrapper, **_: Any) -> None:
    opened = _opened.get()
    if opened is not None:
        opened.append(connection)


class CloseConnections:
    """Middleware that does for a run what Django does for a request: its connections end with it.

    Django keeps a connection for each thread, and a worker's threads serve many runs: without this a
    connection would stay open while its thread is idle, and be used again long after the server dropped it.
    A coroutine handler gets a thread of its own for ``sync_to_async`` and the asynchronous ORM, as a request
    does under ASGI. ``CONN_MAX_AGE`` does not apply.

    >>> config.add_middleware(CloseConnections())                                   # doctest: +SKIP
    """

    async def __call__(self, job: JobContext[Any], call_next: CallNext) -> object:
        opened: list[BaseDatabaseWrapper] = []
        token = _opened.set(opened)
        try:
            async with ThreadSensitiveContext():
                try:
                    return await call_next()
                finally:
                    busy = job._run.busy
                    if busy is not None:
                        # timed out or cancelled: the thread goes on, and until it ends so do its connections
                        busy.add_done_callback(partial(_close_later, opened))
                    elif opened:
                        await sync_to_async(_close)(opened)
        finally:
            _opened.reset(token)


def _close_later(opened: list[BaseDatabaseWrapper], ended: asyncio.Future[object]) -> None:
    _ = ended.get_loop().run_in_executor(None, _close, opened)


def _close(opened: list[BaseDatabaseWrapper]) -> None:
    """Close connections of other threads, in which nothing runs any more."""
    for connection in opened:
        connection.inc_thread_sharing()
        try:
            connection.close()
        except DatabaseError:
            # it is useless either way, and what the run achieved stands
            _logger.warning("connection %r could not be closed", connection.alias, exc_info=True)
        finally:
            connection.dec_thread_sharing()

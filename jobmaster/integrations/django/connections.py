"""Closes the database connections that a run opened through Django, in the thread that opened them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.db import DatabaseError, connections

from ...handlers import CallNext, JobContext, RunThreads, ThreadCall

__all__ = ["CloseConnections"]

_logger = logging.getLogger("jobmaster.django")


class CloseConnections:
    """Middleware that does for a run what Django does for a request: its connections end with it.

    Django keeps a connection for each thread, and a worker's threads serve many runs: without this a
    connection would stay open while its thread is idle, and be used again long after the server dropped it.
    The thread of a sync handler closes its own before it takes another run, also when the run has timed out
    by then. A coroutine handler gets a thread of its own for ``sync_to_async`` and the asynchronous ORM, as a
    request does under ASGI. ``CONN_MAX_AGE`` does not apply.

    >>> config.add_middleware(CloseConnections())                                   # doctest: +SKIP
    """

    async def __call__(self, job: JobContext[Any], call_next: CallNext) -> object:
        run = job._run
        if run.bound.kind == "thread":
            run.site = copy.copy(run.site)
            run.site.threads = _ClosingThreads(run.site.threads)
        async with ThreadSensitiveContext() as own:
            try:
                return await call_next()
            finally:
                if own in SyncToAsync.context_to_thread_executor:  # its thread was used
                    await sync_to_async(_close_all)()


class _ClosingThreads:
    """Threads that end each call by closing their connections."""

    def __init__(self, threads: RunThreads) -> None:
        self._threads = threads

    def submit(self, function: Callable[..., Any], *args: Any) -> ThreadCall:
        return self._threads.submit(_call_and_close, function, *args)


def _call_and_close(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    finally:
        _close_all()


def _close_all() -> None:
    for connection in connections.all(initialized_only=True):
        try:
            connection.close()
        except DatabaseError:
            # it is useless either way, and what the run achieved stands
            _logger.warning("connection %r could not be closed", connection.alias, exc_info=True)

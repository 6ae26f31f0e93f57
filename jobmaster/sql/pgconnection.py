"""Connections to PostgreSQL that do not wait for ever: a server that was frozen, or a host that went away
without a word, leaves a driver waiting for an answer that libpq itself puts no bound on."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg

__all__ = ["BoundedConnection", "ServerSilent"]

T = TypeVar("T")


class ServerSilent(psycopg.OperationalError):
    """The server did not answer in time, or nobody waits for its answer any more."""


class BoundedConnection(psycopg.Connection[Any]):
    """Waits for each answer of the server for at most ``longest_wait`` seconds, ``None``: for ever, and no
    longer than ``is_wanted`` says; then raises :class:`ServerSilent`. The connection is lost by then."""

    longest_wait: float | None = None
    is_wanted: Callable[[], bool] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepared: dict[str, bytes] = {}
        """What :mod:`.pgtrip` has prepared on this connection: the name on the server of each statement."""
        self._names = 0

    def new_name(self, statement: str) -> bytes:
        """A name for a statement to be prepared that this connection has not used yet."""
        self._names += 1
        return f"jobmaster_{statement}_{self._names}".encode()

    def forget_prepared(self) -> None:
        """What was prepared may be gone: prepare it anew when it is needed."""
        self.prepared.clear()

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Drive what waits for the server; see :meth:`psycopg.Connection.wait`."""
        if self.longest_wait is None and self.is_wanted is None:
            return super().wait(gen, *args, **kwargs)
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, waiting: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        # psycopg resumes the generator at least every tenth of a second, with a false value while nothing
        # has come.
        longest, is_wanted = self.longest_wait, self.is_wanted
        try:
            awaited = next(waiting)
            began = time.monotonic()
            while True:
                ready = yield awaited
                if ready:
                    awaited = waiting.send(ready)
                    began = time.monotonic()
                    continue
                if longest is not None and time.monotonic() - began >= longest:
                    raise self._given_up(f"no answer from the server within {longest:g} s")
                if is_wanted is not None and not is_wanted():
                    raise self._given_up("the answer is not waited for any more")
                awaited = waiting.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result

    def _given_up(self, says: str) -> ServerSilent:
        self.pgconn.finish()  # whoever tidies up after this error must not wait again
        return ServerSilent(says)

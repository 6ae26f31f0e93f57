"""Group commit: calls that arrive while an insert is in flight share the next one.

An idle producer pays no delay, a busy one no fsync per job (group commit; DeWitt et al., *Implementation
techniques for main memory database systems*, 1984).
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import TypeAlias
from weakref import WeakSet

from ..domain.job import NewJob
from ..errors import TransientStoreError, TransportUnavailable
from ..ports import AgentTransport, Clock
from .backoff import Backoff
from .signals import tell

__all__ = ["Enqueuer", "NotStored"]

_MOST = 500
"""Jobs that one shared insert takes."""


class NotStored(TransportUnavailable):
    """No try can have stored the jobs: another store may take them."""


class _Call:
    """Jobs of one caller, and the future that waits for them: of a thread, or of an event loop."""

    __slots__ = ("deadline", "future", "jobs", "loop")

    def __init__(
        self,
        jobs: Sequence[NewJob],
        deadline: float,
        future: Future[datetime] | asyncio.Future[datetime],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.jobs = jobs
        self.deadline = deadline
        self.future = future
        self.loop = loop


class _Line:
    """What waits for one thread. Once it is closed, its thread and whoever came late take what is left."""

    __slots__ = ("calls", "closed", "thread")

    def __init__(self) -> None:
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()
        self.closed = False
        self.thread: threading.Thread

    def batch(self, first: _Call) -> list[_Call]:
        """This call and those behind it, as many as one insert takes."""
        batch, size = [first], len(first.jobs)
        with suppress(Empty):
            while size < _MOST:
                call = self.calls.get_nowait()
                if call is None:
                    self.calls.put(None)  # the end, once this batch is stored
                    break
                size += len(call.jobs)
                batch.append(call)
        return batch

    def taken(self) -> list[_Call]:
        """Every call that waits; nobody else has it any more."""
        calls: list[_Call] = []
        ended = False
        with suppress(Empty):
            while True:
                call = self.calls.get_nowait()
                if call is None:
                    ended = True
                else:
                    calls.append(call)
        if ended:
            self.calls.put(None)  # that is for the thread
        return calls


class Enqueuer:
    """Inserts jobs into one agent. Safe from any thread and from event loops, and after a fork.

    The future of :meth:`submit` or :meth:`submit_async` gives the store's instant at which the jobs were
    stored. After an ambiguous answer the *same* store is tried again with the same ids, marked ``recheck``,
    until the operation timeout; then :class:`TransportUnavailable` names the jobs. A store that certainly
    did not take them is tried for ``patience`` seconds (default: as long), then :class:`NotStored`.
    """

    def __init__(
        self,
        transport: AgentTransport,
        operation_timeout: float,
        clock: Clock,
        logger: logging.Logger,
        *,
        patience: float | None = None,
    ) -> None:
        self._transport = transport
        self._timeout = operation_timeout
        self._patience = patience
        self._clock = clock
        self._logger = logger
        self.begin()
        _all.add(self)

    def begin(self) -> None:
        """Begin anew, as a process that was forked has to: the thread belongs to the parent, and with it
        what waits there."""
        self._lock = threading.Lock()
        self._line: _Line | None = None

    def submit(self, jobs: Sequence[NewJob]) -> Future[datetime]:
        """Queue jobs without unique keys; all of one call are stored together or not at all."""
        future: Future[datetime] = Future()
        self._queue(jobs, future, None)
        return future

    def submit_async(self, jobs: Sequence[NewJob]) -> asyncio.Future[datetime]:
        """The same for the running event loop. A caller that is cancelled stops waiting; its jobs are stored
        all the same."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[datetime] = loop.create_future()
        self._queue(jobs, future, loop)
        return future

    def _queue(
        self,
        jobs: Sequence[NewJob],
        future: Future[datetime] | asyncio.Future[datetime],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self._put(_Call(jobs, self._clock.monotonic() + self._timeout, future, loop))

    def _put(self, call: _Call) -> None:
        line = self._line or self._open_line()
        line.calls.put(call)
        if line.closed:
            # at this very moment: what its thread takes no more goes to the next one
            for left in line.taken():
                self._put(left)

    def _open_line(self) -> _Line:
        with self._lock:
            line = self._line
            if line is None:
                line = _Line()
                line.thread = threading.Thread(
                    target=self._run, args=(line,), name="jobmaster-enqueuer", daemon=True
                )
                line.thread.start()
                self._line = line
        return line

    def close(self) -> None:
        """Store what is queued, then end the thread. A later submit starts another."""
        patience = 2 * self._timeout + 5
        until = time.monotonic() + patience
        while time.monotonic() < until:
            with self._lock:
                line, self._line = self._line, None
            if line is None:
                return
            line.closed = True
            line.calls.put(None)
            line.thread.join(patience)
            # once more: who came late may have taken along what waited into another one

    def _run(self, line: _Line) -> None:
        while (first := line.calls.get()) is not None:
            self._store(line.batch(first))
        while batch := line.taken():
            self._store(batch)

    def _store(self, batch: list[_Call]) -> None:
        try:
            now = self._insert([job for call in batch for job in call.jobs], batch[0].deadline)
        except TransportUnavailable as fault:
            self._give_up(batch, fault)
        except BaseException as fault:
            if len(batch) == 1:
                _answer([(batch[0], None, fault)])
                return
            # one bad row must not fail its neighbours: each call gets its own answer
            for call in batch:
                self._store([call])
        else:
            _answer([(call, now, None) for call in batch])

    def _give_up(self, batch: list[_Call], fault: TransportUnavailable) -> None:
        """The oldest call ran out of time; the others may have some left and go on as one batch, unless all
        of them may go to another store."""
        now = self._clock.monotonic()
        certain = isinstance(fault, NotStored)
        rest: list[_Call] = []
        for call in batch:
            if call is batch[0] or call.deadline <= now or (certain and self._patience is not None):
                own = type(fault)(str(fault), [job.id for job in call.jobs])
                own.__cause__ = fault.__cause__
                _answer([(call, None, own)])
            else:
                # nobody knows whether an earlier, ambiguous try stored them
                rest.append(_Call(_marked(call.jobs), call.deadline, call.future, call.loop))
        if rest:
            self._store(rest)

    def _insert(self, jobs: Sequence[NewJob], deadline: float) -> datetime:
        backoff = Backoff(0.05, 1.0)
        pause = threading.Event()
        while True:
            try:
                return self._transport.enqueue(jobs, self._patience)
            except TransientStoreError as fault:
                left = deadline - self._clock.monotonic()
                perhaps = fault.ambiguous or jobs[0].recheck
                if not perhaps and (left <= 0 or self._patience is not None):
                    raise NotStored(
                        f"agent {self._transport.name!r} has not stored it in time: {fault}"
                    ) from fault
                if left <= 0:
                    raise TransportUnavailable(
                        f"agent {self._transport.name!r} has perhaps stored it in time: {fault}",
                        [job.id for job in jobs],
                    ) from fault
                if fault.ambiguous:
                    self._logger.warning("enqueue: answer lost, trying the same store again: %s", fault)
                    jobs = _marked(jobs)
                pause.wait(min(left, backoff.next()))


def _marked(jobs: Sequence[NewJob]) -> list[NewJob]:
    """The same jobs, marked as perhaps stored already."""
    return [job if job.recheck else job._replace(recheck=True) for job in jobs]


_Answer: TypeAlias = "tuple[_Call, datetime | None, BaseException | None]"


def _answer(answers: list[_Answer]) -> None:
    """Tell the callers; those of one event loop all at once, since each wake-up costs a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for answer in answers:
        loop = answer[0].loop
        if loop is None:
            _resolve([answer])
        else:
            by_loop.setdefault(loop, []).append(answer)
    for loop, mine in by_loop.items():
        tell(loop, _resolve, mine)


def _resolve(answers: list[_Answer]) -> None:
    for call, now, fault in answers:
        future = call.future
        if future.cancelled():
            continue
        if fault is not None:
            future.set_exception(fault)
        else:
            assert now is not None
            future.set_result(now)


_all: WeakSet[Enqueuer] = WeakSet()


def _begin_anew() -> None:
    for enqueuer in _all:
        enqueuer.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)

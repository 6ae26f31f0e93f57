"""Child processes for handlers with ``execution="process"``: a warm pool of spawned interpreters.

Unlike a thread, a child can be ended: at the timeout, on cancellation, when the worker loses its lease, and
by itself when the parent dies. What runs in a child is ``handlers.child``; only JSON goes over the pipes.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import threading
from collections import deque
from collections.abc import Callable

from ..handlers import CancelReason, Run
from ..handlers.remote import describe_run, raised_by, steady
from .childprocess import ChildProcess
from .signals import tell
from .threads import ThreadRunner

__all__ = ["ChildDied", "ChildRunner"]

_NEVER_BEGUN = (
    "before it began the run (a child imports the main module: what starts the program must be guarded by "
    'if __name__ == "__main__")'
)
_MOST_STARTS = 3
"""Children that may die in a row before they began a run."""
_ATOMIC = 4096
"""Bytes that an idle child's pipe certainly takes at once, so that the event loop may write them itself."""


class ChildDied(Exception):
    """The child process of a run ended before the run did. ``exitcode`` is negative for a signal."""

    def __init__(self, exitcode: int | None, when: str = "while it ran the handler") -> None:
        self.exitcode = exitcode
        how = (
            "in an unknown way"
            if exitcode is None
            else f"by signal {-exitcode}"
            if exitcode < 0
            else f"with exit code {exitcode}"
        )
        super().__init__(f"the child process ended {how} {when}")


class _Stay:
    """One run's stay in a child."""

    __slots__ = ("begun", "number", "outcome", "run")

    def __init__(self, number: int, run: Run, outcome: asyncio.Future[str | None]) -> None:
        self.number = number
        self.run = run
        self.outcome = outcome
        self.begun = False


class _NeverBegun(Exception):
    """The child died before the handler could have done anything."""

    def __init__(self, exitcode: int | None) -> None:
        self.exitcode = exitcode
        super().__init__(exitcode)


class _Child:
    """A child process and the run in it, as the event loop sees them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_gone: Callable[[_Child], None]) -> None:
        self._loop = loop
        self._on_gone = on_gone
        self.stay: _Stay | None = None
        self.gone: asyncio.Future[None] = loop.create_future()
        self.process = ChildProcess(self._hear, self._end)
        self.process.start()

    def _hear(self, data: bytes) -> None:
        tell(self._loop, self._take_in, data)

    def _end(self, exitcode: int | None, failure: Exception | None) -> None:
        tell(self._loop, self._take_leave, exitcode, failure)

    def _take_in(self, data: bytes) -> None:
        kind, number, *values = json.loads(data)
        stay = self.stay
        if stay is None or stay.number != number:
            return
        if kind == "begun":
            stay.begun = True
        elif kind == "progress":
            stay.run.set_progress(*values)
        elif kind == "log":
            stay.run.write_log(*values)
        elif not stay.outcome.done():
            if kind == "done":
                stay.outcome.set_result(values[0])
            else:
                stay.outcome.set_exception(raised_by(kind, values[0]))

    def _take_leave(self, exitcode: int | None, failure: Exception | None) -> None:
        stay = self.stay
        if stay is not None and not stay.outcome.done():
            stay.outcome.set_exception(
                failure or (ChildDied(exitcode) if stay.begun else _NeverBegun(exitcode))
            )
        self.gone.set_result(None)
        self._on_gone(self)


class ChildRunner:
    """Runs handlers in at most ``size`` child processes, started when needed and kept warm.

    Belongs to one event loop, except for :meth:`set_trusted_until`. A run that is cancelled (``cancelled``,
    ``interrupted``) is told so first and killed ``cancel_grace`` seconds later; at its timeout and when its
    claim is lost it is killed at once. ``monotonic`` is the clock of the instants given to
    :meth:`set_trusted_until`; by default that of ``SystemClock``.
    """

    def __init__(
        self, size: int, *, cancel_grace: float = 0.75, monotonic: Callable[[], float] = steady
    ) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self._size = size
        self._cancel_grace = cancel_grace
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._senders = ThreadRunner(size, "jobmaster-child-sender")
        self._trusted_until: float | None = None
        self._numbers = 0
        self._closed = False
        atexit.register(self._kill_all)

    @property
    def alive(self) -> int:
        """How many child processes there are."""
        return len(self._children)

    # -- trust -----------------------------------------------------------------------------------------

    def set_trusted_until(self, until: float) -> None:
        """Tell all children until which instant their claims may be trusted; from any thread, never blocks.

        A child that runs a handler past it ends itself. An instant that has passed kills the busy ones now.
        """
        left = until - self._monotonic()
        self._trusted_until = steady() + left if left > 0 else float("-inf")
        with self._lock:
            busy = [child for child in self._children if child.stay is not None]
        for child in busy:
            if left > 0:
                self._send_trust(child)
            else:
                child.process.kill()

    def _send_trust(self, child: _Child) -> None:
        stay = child.stay
        if stay is not None:
            child.process.control(["trust", stay.number, self._trusted_until])

    # -- running ---------------------------------------------------------------------------------------

    async def run(self, run: Run) -> str | None:
        """Run a handler in a child; the JSON text of its result.

        Raises what the handler raised: control flow as itself, anything else as ``RemoteHandlerError``; and
        :class:`ChildDied` when the process ended first, be it killed for a timeout; what kept a process from
        being started. When the awaiting task is cancelled the child has ended, or its run has, before this
        returns.
        """
        starts = 0
        while True:
            child = await self._take()
            try:
                return await self._stay_in(child, run)
            except _NeverBegun as fault:
                starts += 1
                if run.cancel_reason is not None or starts >= _MOST_STARTS:
                    raise ChildDied(fault.exitcode, _NEVER_BEGUN) from None
            finally:
                child.stay = None
                self._give_back(child)

    async def _stay_in(self, child: _Child, run: Run) -> str | None:
        loop = asyncio.get_running_loop()
        self._numbers += 1
        stay = child.stay = _Stay(self._numbers, run, loop.create_future())
        if self._trusted_until is not None:
            if self._trusted_until <= steady():
                child.process.kill()
            self._send_trust(child)
        timers: list[asyncio.TimerHandle] = []

        def stop(reason: CancelReason) -> None:
            if child.stay is not stay or stay.outcome.done():
                return
            if reason in ("timeout", "lost"):
                child.process.kill()
            else:
                child.process.control(["cancel", stay.number, reason])
                timers.append(loop.call_later(self._cancel_grace, child.process.kill))

        def stop_soon(reason: CancelReason) -> None:
            tell(loop, stop, reason)

        try:
            run.tell_on_cancel(stop_soon)
            command = describe_run(stay.number, run).encode()
            if len(command) < _ATOMIC:
                child.process.command(command)
            else:
                self._senders.submit(child.process.command, command)
            return await self._outcome(child, stay)
        finally:
            run.tell_on_cancel(None)
            for timer in timers:
                timer.cancel()

    async def _outcome(self, child: _Child, stay: _Stay) -> str | None:
        task = asyncio.current_task()
        assert task is not None
        cancelled: list[asyncio.CancelledError] = []
        while not stay.outcome.done():
            try:
                await asyncio.wait([stay.outcome])
            except asyncio.CancelledError as request:
                # cancelled once, a run that was told so gets its grace; otherwise, or twice, it is killed
                if cancelled or stay.run.cancel_reason not in ("cancelled", "interrupted"):
                    child.process.kill()
                cancelled.append(request)
        if cancelled:
            if isinstance(stay.outcome.exception(), ChildDied | _NeverBegun):
                raise cancelled[0]
            for _ in cancelled:
                task.uncancel()
        return stay.outcome.result()

    async def _take(self) -> _Child:
        while True:
            if self._closed:
                raise RuntimeError("the child processes are closed")
            while self._idle:
                child = self._idle.pop()
                if not child.gone.done():
                    return child
            if len(self._children) < self._size:
                child = _Child(asyncio.get_running_loop(), self._forget)
                with self._lock:
                    self._children.add(child)
                return child
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next_turn()
                raise
            finally:
                if turn in self._waiting:
                    self._waiting.remove(turn)

    def _give_back(self, child: _Child) -> None:
        if child in self._children and not child.process.killed:
            self._idle.append(child)
            self._next_turn()

    def _forget(self, child: _Child) -> None:
        with self._lock:
            self._children.discard(child)
        if child in self._idle:
            self._idle.remove(child)
        self._next_turn()

    def _next_turn(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    # -- the end ---------------------------------------------------------------------------------------

    async def close(self, patience: float = 5.0) -> None:
        """End all children: idle ones close their services first, busy ones are killed, and so is what has
        not ended after ``patience`` seconds. Returns when all have ended. Idempotent."""
        self._closed = True
        while self._waiting:
            self._next_turn()
        leaving = list(self._children)
        for child in leaving:
            if child.stay is None:
                child.process.farewell()
            else:
                child.process.kill()
        if leaving:
            ends = [child.gone for child in leaving]
            _, slow = await asyncio.wait(ends, timeout=patience)
            if slow:
                self._kill_all()
                await asyncio.wait(ends)
        self._senders.close()
        atexit.unregister(self._kill_all)

    def _kill_all(self) -> None:
        with self._lock:
            children = list(self._children)
        for child in children:
            child.process.kill()

"""The other side of ``execution="process"``: what runs in a spawned child process.

Three pipes lead here: runs come in one after the other on ``commands``; ``control`` brings the instant until
which the parent trusts its claims, and requests to cancel; everything else goes out on ``replies``. Whatever
happens to the parent, this process ends: at the end of ``control`` or ``commands`` without a farewell, and
when a run outlives the parent's trust.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, NoReturn, cast
from uuid import UUID

from ..domain.job import Progress
from .bound import BoundHandler
from .bridge import LoopBridge, RunnerBridge, drive
from .context import JobContext
from .function import JobFunction
from .handler import JobHandler
from .reference import dereference
from .registry import HandlerRegistry
from .remote import describe_raised, read_job, steady
from .run import CancelReason, Run
from .services import Service
from .site import SiteClock, WorkerSite

__all__ = ["FAREWELL", "main"]

FAREWELL = b""
"""The command that ends a child cleanly."""

_LONGEST_LOOK = 1.0
"""Seconds after which trust is looked at again, since the machine may have been suspended in between."""
_DISTRUSTED = 70
"""Exit code after the parent's trust ran out, or the parent died."""


class _ChildClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return steady()


class _Absent:
    """Stands for what exists in the worker's process only."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(f"{self._what} is not available with execution='process'")


class _ChildRun(Run):
    """A run whose progress and log go to the parent."""

    __slots__ = ("_tell",)

    _tell: Callable[..., None]

    def set_progress(self, fraction: float, message: str) -> None:
        super().set_progress(fraction, message)
        progress = cast(Progress, self.progress)
        self._tell("progress", progress.fraction, progress.message)

    def write_log(self, text: str) -> None:
        super().write_log(text)
        # the parent's run does the counting and the cutting
        self._log = None
        self._tell("log", text.encode("utf-8", "backslashreplace").decode())


class _Child:
    """One child process: a loop over commands in its main thread, a watch over control in another."""

    def __init__(self, commands: Connection, control: Connection, replies: Connection) -> None:
        self._commands = commands
        self._control = control
        self._replies = replies
        self._replying = threading.Lock()
        self._runner = asyncio.Runner()
        self._registries: dict[str, tuple[HandlerRegistry, dict[str, Any]]] = {}
        self._watching = threading.Lock()
        self._run: _ChildRun | None = None
        self._number = 0
        self._finished = 0
        self._cancelled: tuple[int, CancelReason] | None = None
        self._task: asyncio.Task[object] | None = None
        self._clock: SiteClock = _ChildClock()

    # -- the watch, in a thread of its own -------------------------------------------------------------

    def watch(self) -> None:
        """Follow trust and requests to cancel; ends the process when the parent is gone or distrusted."""
        armed, trusted_until = 0, float("inf")
        while True:
            busy = armed > self._finished and trusted_until != float("inf")
            left = trusted_until - steady()
            if busy and left <= 0:
                _die("its worker's lease was not renewed in time")
            try:
                if not self._control.poll(min(left, _LONGEST_LOOK) if busy else None):
                    continue
                kind, number, value = json.loads(self._control.recv_bytes())
            except (EOFError, OSError):
                _die(None)
            if kind == "trust":
                armed = max(armed, number)
                trusted_until = float("inf") if value is None else value
            else:
                self._cancel(number, value)

    def _cancel(self, number: int, reason: CancelReason) -> None:
        with self._watching:
            run, task = self._run, self._task
            if self._number != number or run is None:
                self._cancelled = (number, reason)
                return
        run.request_cancel(reason)
        if task is not None:
            self._runner.get_loop().call_soon_threadsafe(task.cancel)

    # -- the work, in the main thread ------------------------------------------------------------------

    def work(self) -> None:
        """Carry out commands until the farewell."""
        try:
            while True:
                command = self._commands.recv_bytes()
                if command == FAREWELL:
                    break
                self._carry_out(json.loads(command))
        except (EOFError, OSError):
            _die(None)
        for registry, _ in self._registries.values():
            self._runner.run(registry.close())
        self._runner.close()

    def _carry_out(self, command: dict[str, Any]) -> None:
        number: int = command["number"]
        self._reply("begun", number)
        run: _ChildRun | None = None
        bound: BoundHandler | None = None
        try:
            registry, bound = self._handler(command["spec"], command["definition_id"])
            run = self._new_run(command, bound)
            with self._watching:
                self._number, self._run = number, run
                early = self._cancelled
            if early is not None and early[0] == number:
                run.request_cancel(early[1])
            self._runner.run(registry.open_for(bound))
            result = self._call(bound, JobContext(run))
            text = None if result is None else bound.codecs.encode_result(result)
        except BaseException as error:
            # whatever user code raises is a verdict on its job; the child goes on
            if isinstance(error, asyncio.CancelledError) and run is not None and run.cancel_reason:
                self._finish("stopped", number, run.cancel_reason)
            else:
                self._finish("raised", number, describe_raised(error, self._may_retry(error, bound, run)))
        else:
            self._finish("done", number, text)

    def _call(self, bound: BoundHandler, context: JobContext[Any]) -> object:
        target = bound.target
        function = target.function if isinstance(target, JobFunction) else target.handle
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            return self._runner.run(self._as_task(bound, context))
        return drive(bound.call(context, RunnerBridge(self._runner.run)))

    async def _as_task(self, bound: BoundHandler, context: JobContext[Any]) -> object:
        self._task = asyncio.current_task()
        try:
            context.check_cancelled()
            return await bound.call(context, LoopBridge())
        finally:
            self._task = None

    def _finish(self, kind: str, number: int, value: object) -> None:
        with self._watching:
            self._run = None
            self._finished = number
        self._reply(kind, number, value)

    def _may_retry(self, error: BaseException, bound: BoundHandler | None, run: Run | None) -> bool:
        if bound is None or run is None:
            return True
        try:
            return bound.should_retry(error, run)
        except Exception:
            run.site.logger.exception("should_retry of %r raised", bound.definition_id)
            return True

    def _new_run(self, command: dict[str, Any], bound: BoundHandler) -> _ChildRun:
        site: dict[str, Any] = command["site"]
        number: int = command["number"]
        run = _ChildRun(
            read_job(command["job"]),
            WorkerSite(
                cluster_id=site["cluster_id"],
                agent_connection=site["agent_connection"],
                worker_id=UUID(site["worker_id"]),
                worker_name=site["worker_name"],
                lane=site["lane"],
                scheduler=_Absent("job.scheduler"),
                clock=self._clock,
                threads=cast(Any, _Absent("a thread of the worker")),
                children=cast(Any, _Absent("a child process of the worker")),
                logger=logging.getLogger(site["logger"]),
            ),
            bound,
            datetime.fromisoformat(command["started_at"]),
            command["timeout"],
            command["max_retries"],
        )
        run._tell = lambda kind, *values: self._reply(kind, number, *values)
        return run

    # -- handlers --------------------------------------------------------------------------------------

    def _handler(self, spec: str, definition_id: str) -> tuple[HandlerRegistry, BoundHandler]:
        known = self._registries.get(spec)
        if known is None:
            known = self._registries[spec] = _build(json.loads(spec))
        registry, targets = known
        target = targets[definition_id]
        if isinstance(target, Exception):
            raise target
        bound = registry.resolve(target)[1] if registry.knows(target) else None
        if bound is None:
            raise RuntimeError(f"cannot be rebuilt in a child process: {'; '.join(registry.problems)}")
        return registry, bound

    def _reply(self, kind: str, number: int, *values: object) -> None:
        data = json.dumps([kind, number, *values]).encode()
        with self._replying:
            try:
                self._replies.send_bytes(data)
            except OSError:
                _die(None)


def _build(spec: dict[str, Any]) -> tuple[HandlerRegistry, dict[str, Any]]:
    """The parent's handlers, built again from their names. One that cannot be imported is kept as its error,
    so that it does not stop the others."""
    targets: dict[str, type[JobHandler[Any]] | JobFunction[..., Any] | Exception] = {}
    for definition_id, reference in spec["handlers"].items():
        try:
            targets[definition_id] = dereference(reference)
        except Exception as fault:
            targets[definition_id] = fault
    registry = HandlerRegistry(
        [target for target in targets.values() if not isinstance(target, Exception)],
        codecs=dereference(spec["codecs"])(),
        services=[
            Service(dereference(key), dereference(provided), scope)
            for key, provided, scope in spec["services"]
        ],
        resolver=None if spec["resolver"] is None else dereference(spec["resolver"]),
    )
    return registry, targets


def _die(reason: str | None) -> NoReturn:
    """End this process and whatever it started, at once."""
    if reason is not None:
        with contextlib.suppress(OSError, ValueError):
            print(f"jobmaster child process {os.getpid()} ends: {reason}", file=sys.stderr, flush=True)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(_DISTRUSTED)


def _leave_signals_to_parent() -> None:
    """The parent decides when a child stops. A handler instead of ``SIG_IGN``: programs that a job starts
    must not inherit the deafness."""
    for name in ("SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), _take_no_notice)


def _take_no_notice(number: int, frame: object) -> None:
    return None


def main(commands: Connection, control: Connection, replies: Connection) -> None:
    """The whole life of a child process."""
    _leave_signals_to_parent()
    if hasattr(os, "setpgid"):
        # a group of its own: Ctrl-C in a terminal does not reach it, and what a job starts dies with it
        os.setpgid(0, 0)
    import multiprocessing

    multiprocessing.current_process().daemon = False
    child = _Child(commands, control, replies)
    threading.Thread(target=child.watch, name="jobmaster-watch", daemon=True).start()
    child.work()

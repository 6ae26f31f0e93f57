"""Store calls that take virtual time, and stores that fail before or after a call took effect.

A call runs in a greenlet of its own, so that blocking code of the engine can be held up in the middle:
between its last look at the lease and the write, between the write and the answer, between the two writes of
a move.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import greenlet

from jobmaster.errors import TransientStoreError

from .loop import PROCESS, Process, State

if TYPE_CHECKING:
    from .world import World

__all__ = ["Calls", "Place", "StoreLock", "StoreView", "pause"]

T = TypeVar("T")

READS = frozenset(
    {
        "now", "cancellations", "claimed_in", "next_due", "find_live", "buckets", "unshipped", "backlog",
        "waiting_lanes", "agents", "stale", "unconfirmed", "next_held", "finished", "get_job", "find_jobs",
        "count_jobs", "ended", "attempts", "depths", "workers", "settings", "mirrors", "absent",
    }
)  # fmt: skip
"""Calls that change nothing, so that a lost answer is no ambiguous one."""
UNFAILING = frozenset({"open", "close"})


def pause(seconds: float) -> None:
    """Hold the present store call up; other code runs meanwhile, and faults happen."""
    call = greenlet.getcurrent()
    if call.parent is None:
        return
    call.parent.switch(seconds)
    if getattr(call, "broken", False):
        raise TransientStoreError("the server has ended this session: it was silent within a transaction")


class Calls:
    """``StoreCalls`` of one simulated process."""

    busy = 0

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """As of threads: who is cancelled waits no longer, and the call goes on to its end."""
        look = getattr(function, "look", None)
        if look is not None:
            answer: T = await look(args)
            return answer
        call = asyncio.ensure_future(drive(function, *args))
        call.add_done_callback(_hear)
        return await asyncio.shield(call)

    def close(self) -> None:
        """There are no threads to end."""


class Call(greenlet.greenlet):
    """A store call. ``broken``: its transaction was ended by the server while its process was frozen."""

    broken = False
    process: Process | None = None


async def drive(function: Callable[..., T], *args: Any) -> T:
    """Run a blocking function that may :func:`pause`."""
    call = Call(function)
    call.process = PROCESS.get()
    call.gr_context = contextvars.copy_context()
    answer = call.switch(*args)
    while not call.dead:
        await asyncio.sleep(answer)
        answer = call.switch()
    return answer


def _hear(call: asyncio.Future[Any]) -> None:
    if not call.cancelled():
        call.exception()


class StoreLock:
    """The lock of a store, or of the engine around a store call; re-entrant.

    One that a killed process holds is free: its connection is gone. One that a frozen process holds is taken
    away, as servers do after a while, and what that process did under it fails when it goes on.
    """

    def __init__(self) -> None:
        self._owner: Any = None
        self._depth = 0

    def acquire(self) -> bool:
        me = greenlet.getcurrent()
        while self._owner is not None and self._owner is not me and not self._take_away():
            assert me.parent is not None, "a lock is wanted outside of a store call"
            pause(0.002)
        self._owner = me
        self._depth += 1
        return True

    def _take_away(self) -> bool:
        process = getattr(self._owner, "process", None)
        if process is None or process.state is State.RUNNING:
            return False
        self._owner.broken = True
        self._owner, self._depth = None, 0
        return True

    def release(self) -> None:
        if self._owner is greenlet.getcurrent():
            self._depth -= 1
            if self._depth == 0:
                self._owner = None

    def __enter__(self) -> StoreLock:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class Place:
    """One server. While ``away`` it answers nobody."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.away = False
        self.cut_off: set[Process] = set()
        """Processes that do not reach it."""

    def reached_by(self, process: Process | None) -> bool:
        return not self.away and process not in self.cut_off


class StoreView:
    """A store as one process sees it: any call may be late, fail before its effect, or lose its answer."""

    def __init__(self, world: World, place: Place, process: Process, store: Any) -> None:
        self._world, self._place, self._process, self._store = world, place, process, store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found) or name in UNFAILING:
            return found
        call = self._listening(found) if name == "listen" else self._call(name, found)
        setattr(self, name, call)
        return call

    def _call(self, name: str, method: Callable[..., T]) -> Callable[..., T]:
        world, place, process = self._world, self._place, self._process
        writes = name not in READS

        def call(*args: Any, **options: Any) -> T:
            world.before(place, process, name)
            answer = method(*args, **options)
            world.after(place, process, name, writes)
            return answer

        if not writes and world.scene.coarse:
            call.look = lambda args: world.look(place, process, method, name, args)  # type: ignore[attr-defined]
        return call

    def _listening(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wake-ups are late, and now and then lost: they are hints only."""
        world, process = self._world, self._process

        def listen(on_wake: Callable[[str | None], None]) -> Any:
            def hear(lane: str | None) -> None:
                delay = world.wake_delay()
                if delay is not None and process.state is not State.DEAD:
                    world.loop.call_later(delay, on_wake, lane, context=process.context)

            return method(hear)

        return listen

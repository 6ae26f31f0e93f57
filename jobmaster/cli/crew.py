"""A parent process and its children: started, watched, started again, stopped together.

Parent and child share a socket. The child tells its grace period through it; its end of file tells the child
that the parent is gone, however it went. Children are in process groups of their own, so that Ctrl-C in a
terminal reaches the parent alone, which forwards it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from asyncio.subprocess import Process
from collections.abc import Sequence

__all__ = ["Crew", "Tether"]

TETHER = "JOBMASTER_TETHER"
"""Environment variable of a child: the number of its end of the socket."""

_REFUSED = 2
"""Exit code of a child that cannot start as configured; starting it again would not help."""
_SETTLE = 15.0
"""Seconds on top of the grace period that a stopping child may take to store its outcomes."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_HEALTHY_AFTER = 60.0
"""Seconds after which a death counts as the first one again."""

_logger = logging.getLogger("jobmaster.run")


class Tether:
    """A child's end: when the parent is gone, this process stops as on SIGTERM, and ends at last."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    @classmethod
    def of_this_process(cls) -> Tether | None:
        """The tether that this process was started with, if any. To be called once."""
        number = os.environ.pop(TETHER, None)
        if number is None:
            return None
        end = socket.socket(fileno=int(number))
        end.set_inheritable(False)
        return cls(end)

    def hold(self, grace: float) -> None:
        """Tell the parent the grace period in seconds, and watch for its end from a thread."""
        self._end.sendall(f"{grace}\n".encode())
        threading.Thread(target=self._watch, args=(grace,), name="jobmaster-tether", daemon=True).start()

    def _watch(self, grace: float) -> None:
        try:
            while self._end.recv(16):
                continue
        except OSError:
            _logger.debug("the tether broke", exc_info=True)
        _logger.warning("process %d: its parent is gone, stopping", os.getpid())
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace + _SETTLE)
        os._exit(1)


class Crew:
    """``size`` processes that each run ``jobmaster`` with ``arguments``."""

    def __init__(self, size: int, arguments: Sequence[str]) -> None:
        self._size = size
        self._command = [sys.executable, "-m", "jobmaster.cli", *arguments]
        self._children: dict[int, Process] = {}
        self._grace = 25.0
        self._stopping = asyncio.Event()
        self._exit_code = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; the exit code: 0, 1 when a child had to be killed, 2 when none can
        start."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        posts = [loop.create_task(self._keep(post)) for post in range(1, self._size + 1)]
        try:
            await asyncio.wait(posts, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._stopping.set()
            for process in self._children.values():
                process.kill()
            await asyncio.gather(*posts)
        return self._exit_code

    def _on_signal(self) -> None:
        if not self._stopping.is_set():
            _logger.info("stopping %d processes", len(self._children))
        self._stop_all()

    def _stop_all(self) -> None:
        """Ask every child to stop; asked again, they end their grace period."""
        self._stopping.set()
        for process in self._children.values():
            process.send_signal(signal.SIGTERM)

    async def _keep(self, post: int) -> None:
        """Keep one place filled until the crew stops."""
        pause = _FIRST_PAUSE
        first = True
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._live(post)
            if self._stopping.is_set():
                return
            if first and code == _REFUSED:
                self._exit_code = _REFUSED
                self._stop_all()
                return
            first = False
            lasted = time.monotonic() - began
            pause = _FIRST_PAUSE if lasted >= _HEALTHY_AFTER else pause
            _logger.warning(
                "process %d ended after %.1f s with %s; another starts in %.1f s",
                post,
                lasted,
                _ending(code),
                pause,
            )
            await self._rest(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _live(self, post: int) -> int:
        """The life of one child, from start to reaping; its exit code."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, TETHER: str(theirs.fileno())},
                    process_group=0,
                )
            self._children[post] = process
            _logger.info("process %d started, pid %d", post, process.pid)
            hearing = asyncio.ensure_future(self._hear(ours))
            stopping = asyncio.ensure_future(self._stop_in_time(process))
            try:
                if self._stopping.is_set():
                    process.send_signal(signal.SIGTERM)
                return await process.wait()
            finally:
                del self._children[post]
                for task in (hearing, stopping):
                    task.cancel()
                await asyncio.gather(hearing, stopping, return_exceptions=True)

    async def _hear(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        told = await asyncio.get_running_loop().sock_recv(ours, 64)
        if told:
            self._grace = float(told)

    async def _stop_in_time(self, process: Process) -> None:
        await self._stopping.wait()
        await asyncio.sleep(self._grace + _SETTLE)
        _logger.error("pid %d has not stopped in time and is killed", process.pid)
        self._exit_code = 1
        process.kill()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

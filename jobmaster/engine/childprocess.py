"""One spawned child process: its pipes, its signals, and the thread that waits for its end."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import connection
from typing import Any

from ..handlers.child import FAREWELL
from ..handlers.child import main as child_main

__all__ = ["ChildProcess"]

_multiprocessing = threading.Lock()
"""Held while a process is started or reaped: multiprocessing keeps its list of children without a lock, and
looks for ended ones whenever another is started."""

_EXIT_PATIENCE = 5.0
"""Seconds that a process may take to end after it has closed its pipe."""


class ChildProcess:
    """Starts a child and reports what it says and its end, from a thread of its own.

    ``on_message(data)`` gets every reply, ``on_end(exitcode, failure)`` the end, exactly once; ``failure`` is
    what kept it from being started. Every method may be called from any thread, before the process has
    started and after it has ended.
    """

    def __init__(
        self,
        on_message: Callable[[bytes], None],
        on_end: Callable[[int | None, Exception | None], None],
    ) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._lock = threading.Lock()
        self._commanding = threading.Lock()
        self._pid: int | None = None
        self._ended = False
        self.killed = False
        """Whether :meth:`kill` was called."""
        spawn = multiprocessing.get_context("spawn")
        commands, self._commands = spawn.Pipe(duplex=False)
        control, self._control = spawn.Pipe(duplex=False)
        self._replies, replies = spawn.Pipe(duplex=False)
        self._theirs = (commands, control, replies)
        if os.name == "posix":
            # trust is renewed by threads that must not wait for a child that does not listen
            os.set_blocking(self._control.fileno(), False)
        # daemonic, so that multiprocessing does not join it at exit; the child may have children all the same
        self._process = spawn.Process(
            target=child_main, args=self._theirs, name="jobmaster-child", daemon=True
        )
        self._keeper = threading.Thread(target=self._keep, name="jobmaster-child-keeper", daemon=True)

    def start(self) -> None:
        """Start it, without waiting until it has started."""
        self._keeper.start()

    # -- to the child ----------------------------------------------------------------------------------

    def command(self, data: bytes) -> None:
        """Send a run. Blocks while the pipe is full. A child that has ended takes no notice."""
        with self._commanding, contextlib.suppress(OSError):
            if not self._ended:
                self._commands.send_bytes(data)

    def farewell(self) -> None:
        """Ask it to close its services and end."""
        self.command(FAREWELL)

    def control(self, message: list[Any]) -> None:
        """Send something that must arrive while a run is under way. Never blocks: a child whose pipe is full
        of unread messages does not get this one."""
        with self._lock, contextlib.suppress(OSError):
            if not self._ended:
                self._control.send_bytes(json.dumps(message).encode())

    def kill(self) -> None:
        """SIGKILL it, and whatever it has started."""
        with self._lock:
            self.killed = True
            if self._pid is not None:
                self._kill_group(self._pid)
                self._process.kill()

    @staticmethod
    def _kill_group(pid: int) -> None:
        # its group is its own once it has begun to listen; before that there is no group of this number
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    # -- the keeper ------------------------------------------------------------------------------------

    def _keep(self) -> None:
        process = self._process
        exitcode: int | None = None
        failure: Exception | None = None
        try:
            with _multiprocessing:
                process.start()
        except Exception as fault:
            failure = fault
        for end in self._theirs:
            end.close()
        if failure is None:
            self._listen()
            exitcode = self._reap()
        with self._lock, self._commanding:
            self._ended = True
            for end in (self._commands, self._control, self._replies):
                end.close()
        self._on_end(exitcode, failure)

    def _listen(self) -> None:
        """Pass on what the child says until it has closed its pipe, which its death does too."""
        with self._lock:
            self._pid = self._process.pid
            doomed = self.killed
        if doomed:
            self.kill()
        while True:
            try:
                data = self._replies.recv_bytes()
            except (EOFError, OSError):
                return
            self._on_message(data)

    def _reap(self) -> int | None:
        process = self._process
        connection.wait([process.sentinel], timeout=_EXIT_PATIENCE)
        # what it has started dies with it, and it too if it lingers; its number is its own until it is joined
        self.kill()
        with self._lock:
            self._pid = None
        with _multiprocessing:
            process.join()
            exitcode = process.exitcode
            if exitcode is not None:  # else somebody else in this program has waited for it
                process.close()
        return exitcode

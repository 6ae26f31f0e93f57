"""What a test may not leave behind: threads, child processes, asyncio tasks, open files."""

from __future__ import annotations

import asyncio
import multiprocessing.resource_tracker
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.servers.process import alive, owned_processes

PATIENCE = 5.0
"""Seconds that threads, processes and connections have to end by themselves after a test."""

Sweep = Callable[[asyncio.AbstractEventLoop], None]
"""Cancels all tasks of a loop and waits for them."""


class Leftovers:
    """Compares what lives after a test with what lived before it."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._children = _children()
        self._tasks: list[str] = []

    def note_task(self, task: asyncio.Task[object]) -> None:
        """Remember a task that was still pending when its event loop was closed."""
        self._tasks.append(f"asyncio task {task.get_name()}: {task.get_coro()!r}")

    def found(self, patience: float = PATIENCE) -> list[str]:
        """One line for each thing left behind; empty after a clean test. Waits `patience` seconds at most."""
        return [*self._tasks, *until_empty(self._threads_and_children, patience)]

    def _threads_and_children(self) -> list[str]:
        threads = [thread for thread in threading.enumerate() if thread not in self._threads]
        children = _children() - self._children
        return [f"thread {thread!r}" for thread in threads] + [f"process {child!r}" for child in children]


def until_empty(look: Callable[[], list[str]], patience: float = PATIENCE) -> list[str]:
    """Repeat `look` until it finds nothing, for `patience` seconds at most; what the last look found."""
    until = time.monotonic() + patience
    while (found := look()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def open_files(below: Path) -> list[str]:
    """The files under `below` that this process has open (nothing where the system cannot tell)."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        return []
    found = []
    for descriptor in descriptors.iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue  # the descriptor of this very listing
        if target.startswith(f"{below}/"):
            found.append(f"open file {target}")
    return found


def cancel_all_tasks_and_tell(cancel_all_tasks: Sweep, tell: Callable[[asyncio.Task[object]], None]) -> Sweep:
    """Wrap what `asyncio.run` does with the tasks left at its end: tell of them before they are cancelled.

    Tasks that are about to end get a second to do so.
    """

    def wrapper(loop: asyncio.AbstractEventLoop) -> None:
        if tasks := [task for task in asyncio.all_tasks(loop) if not _is_of_the_test_runner(task)]:
            _, pending = loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
            for task in pending:
                tell(task)
        cancel_all_tasks(loop)

    return wrapper


def _is_of_the_test_runner(task: asyncio.Task[object]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")


def _children() -> set[psutil.Process]:
    tracker = getattr(multiprocessing.resource_tracker, "_resource_tracker", None)
    known = {*owned_processes(), getattr(tracker, "_pid", None)}  # the tracker serves the whole session
    return {child for child in psutil.Process().children() if child.pid not in known and alive(child)}

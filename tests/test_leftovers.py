"""The check for leftovers finds what it is there to find."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

from tests.leftovers import Leftovers, cancel_all_tasks_and_tell, open_files


def test_a_running_thread_is_found_until_it_ends() -> None:
    leftovers = Leftovers()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="straggler", daemon=True)
    thread.start()
    (line,) = leftovers.found(patience=0)
    assert "straggler" in line
    end.set()
    assert leftovers.found() == []


def test_a_child_process_is_found_until_it_ends() -> None:
    leftovers = Leftovers()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        (line,) = leftovers.found(patience=0)
        assert str(child.pid) in line
    assert leftovers.found() == []


def test_a_pending_task_is_told_of_and_then_cancelled() -> None:
    told: list[str] = []

    async def main() -> asyncio.Task[object]:
        asyncio.get_running_loop().create_task(asyncio.sleep(0.01), name="about to end")
        return asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="forgotten")

    sweep = cancel_all_tasks_and_tell(_cancel, lambda task: told.append(task.get_name()))
    loop = asyncio.new_event_loop()
    try:
        task = loop.run_until_complete(main())
        sweep(loop)
    finally:
        loop.close()
    assert told == ["forgotten"]
    assert task.cancelled()


def _cancel(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


async def test_a_finished_task_is_no_leftover() -> None:
    await asyncio.create_task(asyncio.sleep(0))


def test_an_open_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "open.db"
    with path.open("w"):
        assert open_files(tmp_path) == [f"open file {path}"]
    assert open_files(tmp_path) == []

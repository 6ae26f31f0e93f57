"""Threads for sync handlers: reuse, cancellation, account of what nobody awaits, the end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import weakref

import pytest

from jobmaster.engine.threads import ThreadRunner

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


async def test_results_and_errors_come_back() -> None:
    runner = ThreadRunner(2)
    assert await runner.run(lambda a, b: a + b, 1, 2) == 3
    error = LookupError("x")

    def fail() -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        await runner.run(fail)
    assert caught.value is error
    with pytest.raises(RuntimeError, match="StopIteration"):
        await runner.run(next, iter(()))
    runner.close()


async def test_threads_are_started_as_needed_and_used_again() -> None:
    runner = ThreadRunner(3, "needed")
    names = {await runner.run(lambda: threading.current_thread().name) for _ in range(20)}
    assert names == {"needed-0"}
    gate = threading.Barrier(3)
    await asyncio.gather(*(runner.run(gate.wait, 10) for _ in range(3)))
    assert sum(thread.name.startswith("needed-") for thread in threading.enumerate()) == 3
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("needed-"))
    runner.close()


async def test_no_more_than_its_size_run_at_once_and_the_rest_wait() -> None:
    runner = ThreadRunner(2)
    pair = threading.Barrier(2)
    most = 0
    lock = threading.Lock()

    def count() -> None:
        nonlocal most
        with lock:
            most = max(most, runner.busy)
        pair.wait(10)

    calls = [runner.submit(count) for _ in range(6)]
    await asyncio.gather(*(call.future for call in calls))
    assert most == 2
    runner.close()


async def test_context_variables_go_along_and_do_not_come_back() -> None:
    runner = ThreadRunner(1)
    VARIABLE.set("outside")

    def change() -> str:
        seen = VARIABLE.get()
        VARIABLE.set("inside")
        return seen

    assert [await runner.run(change) for _ in range(2)] == ["outside", "outside"]
    assert VARIABLE.get() == "outside"
    runner.close()


async def test_a_cancelled_call_that_has_not_begun_never_does() -> None:
    runner = ThreadRunner(1)
    entered, leave = threading.Event(), threading.Event()
    begun: list[int] = []

    def hold() -> None:
        entered.set()
        leave.wait(10)

    holding = asyncio.ensure_future(runner.run(hold))
    await asyncio.to_thread(entered.wait, 10)
    waiting = asyncio.ensure_future(runner.run(begun.append, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert runner.abandoned == 0
    leave.set()
    await holding
    await runner.run(begun.append, 2)
    assert begun == [2]
    runner.close()


async def test_a_cancelled_call_that_has_begun_is_abandoned_until_it_ends() -> None:
    runner = ThreadRunner(1)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> str:
        entered.set()
        leave.wait(10)
        return "late"

    call = runner.submit(hold)
    waiting = asyncio.ensure_future(asyncio.shield(call.future))
    await asyncio.to_thread(entered.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert call.withdraw() is False
    assert call.withdraw() is False
    assert (runner.abandoned, runner.busy) == (1, 1)
    assert not call.future.done()
    leave.set()
    assert await call.future == "late"
    assert (runner.abandoned, runner.busy) == (0, 0)
    runner.close()


async def test_run_abandons_when_its_caller_is_cancelled() -> None:
    runner = ThreadRunner(1)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        leave.wait(10)

    task = asyncio.ensure_future(runner.run(hold))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert runner.abandoned == 1
    leave.set()
    # the only thread takes the next call once the abandoned one has ended
    assert await runner.run(lambda: runner.abandoned) == 0
    runner.close()


async def test_the_error_of_an_abandoned_call_is_not_reported_as_lost() -> None:
    """Whether the thread raises after the call was given up, or has raised already and says so later."""
    runner = ThreadRunner(1)
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    begun, go_on = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        go_on.wait(10)
        raise LookupError("too late")

    late = asyncio.ensure_future(runner.run(fail))
    await asyncio.to_thread(begun.wait, 10)
    late.cancel()
    await asyncio.wait([late])
    go_on.set()
    while runner.abandoned:
        await asyncio.sleep(0)

    begun.clear()
    raised = asyncio.ensure_future(runner.run(fail))
    await asyncio.sleep(0)
    assert begun.wait(10)
    while runner.busy:
        continue  # the thread is through; its answer waits for the loop to turn
    raised.cancel()
    await asyncio.wait([raised])

    await runner.run(lambda: None)
    del late, raised
    gc.collect()
    runner.close()
    assert reported == []


async def test_close_does_not_wait_for_busy_threads_and_cancels_what_waits() -> None:
    runner = ThreadRunner(1)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> str:
        entered.set()
        leave.wait(10)
        return "ended"

    busy = runner.submit(hold)
    waiting = runner.submit(hold)
    await asyncio.to_thread(entered.wait, 10)
    assert runner.close() == 1
    assert waiting.future.cancelled()
    with pytest.raises(RuntimeError, match="closed"):
        runner.submit(hold)
    leave.set()
    assert await busy.future == "ended"
    assert runner.close() == 0


async def test_an_idle_thread_keeps_nothing_of_its_last_call_alive() -> None:
    class Thing:
        pass

    runner = ThreadRunner(1)
    thing = Thing()
    kept = weakref.ref(thing)
    assert await runner.run(lambda given: type(given).__name__, thing) == "Thing"
    assert await runner.run(lambda: "another") == "another"
    del thing
    gc.collect()
    assert kept() is None
    runner.close()


def test_a_call_that_outlives_its_loop_ends_quietly() -> None:
    runner = ThreadRunner(1)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        leave.wait(10)

    async def begin() -> None:
        runner.submit(hold)
        await asyncio.to_thread(entered.wait, 10)

    asyncio.run(begin())
    leave.set()

    async def again() -> int:
        return await runner.run(lambda: 5)

    assert asyncio.run(again()) == 5
    runner.close()


def test_a_handler_that_never_returns_does_not_keep_the_process() -> None:
    code = (
        "import asyncio, threading\n"
        "from jobmaster.engine.threads import ThreadRunner\n"
        "async def main():\n"
        "    runner = ThreadRunner(1)\n"
        "    begun = threading.Event()\n"
        "    def hang():\n"
        "        begun.set()\n"
        "        threading.Event().wait()\n"
        "    runner.submit(hang)\n"
        "    await asyncio.to_thread(begun.wait)\n"
        "    print(runner.close())\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ThreadRunner(size)

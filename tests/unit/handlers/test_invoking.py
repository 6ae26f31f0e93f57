"""From a run to the JSON text of its result: coroutines, threads, functions, payloads, control flow."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from jobmaster.engine.threads import ThreadRunner
from jobmaster.errors import InvalidJob, SerializationError
from jobmaster.handlers import (
    CancelJob,
    FailJob,
    JobContext,
    JobHandler,
    RetryLater,
    Snooze,
    job,
)
from tests.unit.handlers.runs import invoke, registry_of, run_of, site


class Args(BaseModel):
    url: str
    width: int = 640


class Greeter(JobHandler, definition_id="invoking-greeter"):
    async def handle(self, job: JobContext) -> str:
        return f"Hello {job.data['name']}"


class SyncGreeter(JobHandler, definition_id="invoking-sync-greeter"):
    def handle(self, job: JobContext) -> str:
        return f"Hello {job.data.get_str('name')} from {threading.current_thread().name}"


class Typed(JobHandler[Args], definition_id="invoking-typed"):
    async def handle(self, job: JobContext[Args]) -> Args:
        return Args(url=job.data.url, width=job.data.width * 2)


@job("invoking-greet")
async def greet(job: JobContext[Args]) -> str:
    return job.data.url


@job("invoking-greet-plainly")
def greet_plainly(job: JobContext) -> dict[str, Any]:
    return dict(job.data)


async def test_a_coroutine_handler_runs_in_the_loop() -> None:
    registry = registry_of(Greeter)
    run = run_of(registry, Greeter, '{"name": "John"}')  # its site allows no thread
    assert await run.bound.invoke(run) == '"Hello John"'
    assert run.bound.kind == "coroutine"


async def test_a_sync_handler_runs_in_a_thread() -> None:
    registry = registry_of(SyncGreeter)
    assert await invoke(registry, SyncGreeter, '{"name": "John"}') == '"Hello John from jobmaster-handler-0"'
    assert registry.resolve(SyncGreeter)[1].kind == "thread"  # type: ignore[union-attr]


async def test_a_typed_handler_gets_its_model_and_its_result_is_dumped() -> None:
    assert await invoke(registry_of(Typed), Typed, '{"url": "a", "width": 5}') == '{"url":"a","width":10}'


async def test_job_functions_run_and_stay_callable() -> None:
    registry = registry_of(greet, greet_plainly)
    assert await invoke(registry, greet, '{"url": "a"}') == '"a"'
    assert await invoke(registry, greet_plainly, '{"a": 1}') == '{"a":1}'
    run = run_of(registry, greet, '{"url": "direct"}')
    assert await greet(JobContext(run)) == "direct"
    assert greet.__name__ == "greet"
    assert repr(greet) == f"<job function {__name__}.greet>"


async def test_no_result_is_none_and_a_result_that_is_no_json_is_an_error() -> None:
    @job("nothing")
    async def nothing(job: JobContext) -> None:
        return None

    @job("weird")
    async def weird(job: JobContext) -> object:
        return {"a": object()}

    registry = registry_of(nothing, weird)
    assert await invoke(registry, nothing) is None
    with pytest.raises(SerializationError, match=r"result\.a"):
        await invoke(registry, weird)


@pytest.mark.parametrize(
    "raised",
    [
        ValueError("x"),
        RetryLater(5),
        Snooze(timedelta(minutes=1)),
        CancelJob("no"),
        FailJob("never"),
        SystemExit(3),
    ],
)
@pytest.mark.parametrize("in_thread", [False, True])
async def test_what_a_handler_raises_comes_through(raised: BaseException, in_thread: bool) -> None:
    @job("raises")
    async def raises(job: JobContext) -> None:
        raise raised

    @job("raises-in-thread")
    def raises_in_thread(job: JobContext) -> None:
        raise raised

    registry = registry_of(raises, raises_in_thread)
    with pytest.raises(type(raised)) as caught:
        await invoke(registry, raises_in_thread if in_thread else raises)
    assert caught.value is raised


@pytest.mark.parametrize("make", [RetryLater, Snooze])
def test_control_flow_checks_its_delay(make: Any) -> None:
    assert make(90).delay == timedelta(seconds=90)
    assert make(timedelta(hours=1)).delay == timedelta(hours=1)
    for wrong in (-1, float("nan"), float("inf"), timedelta(days=10_000)):
        with pytest.raises(ValueError, match="delay of"):
            make(wrong)
    for kind in ("5", None, True):
        with pytest.raises(TypeError, match="timedelta or a number of seconds"):
            make(kind)


def test_control_flow_explains_itself() -> None:
    assert str(RetryLater(60)) == "to be run again in 1 min"
    assert str(RetryLater(60, "rate limit")) == "rate limit"
    assert str(Snooze(5)) == "snoozed for 5 s"
    assert str(CancelJob("withdrawn")) == "withdrawn"
    assert str(FailJob("no customer")) == "no customer"
    assert not issubclass(RetryLater, ValueError)


async def test_stored_data_that_fits_no_longer_fails_before_the_handler_begins() -> None:
    begun: list[object] = []

    @job("late")
    async def late(job: JobContext[Args]) -> None:
        begun.append(job)

    with pytest.raises(InvalidJob, match=r"data\.url"):
        await invoke(registry_of(late), late, '{"width": 5}')
    assert begun == []


async def test_an_async_handler_asked_into_a_thread_gets_a_loop_there() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    @job("moved", execution="thread")
    async def moved(job: JobContext) -> str:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        return threading.current_thread().name

    registry = registry_of(moved)
    assert registry.resolve(moved)[1].kind == "thread"  # type: ignore[union-attr]
    assert await invoke(registry, moved) == '"jobmaster-handler-0"'
    assert loops[0] is not asyncio.get_running_loop()


async def test_a_sync_wrapper_of_a_coroutine_function_is_awaited() -> None:
    import functools
    from collections.abc import Callable, Coroutine

    def traced(
        function: Callable[[JobContext], Coroutine[Any, Any, int]],
    ) -> Callable[[JobContext], Coroutine[Any, Any, int]]:
        @functools.wraps(function)
        def wrapper(job: JobContext) -> Coroutine[Any, Any, int]:
            return function(job)

        return wrapper

    @job("wrapped")
    @traced
    async def wrapped(job: JobContext) -> int:
        return 5

    assert await invoke(registry_of(wrapped), wrapped) == "5"


async def test_a_sync_function_that_returns_an_awaitable_is_awaited() -> None:
    async def work() -> int:
        return 6

    @job("returns-awaitable")
    def returns_awaitable(job: JobContext) -> Any:
        return work()

    assert await invoke(registry_of(returns_awaitable), returns_awaitable) == "6"


async def test_every_run_has_a_handler_object_of_its_own() -> None:
    class Counting(JobHandler, definition_id="counting"):
        def __init__(self) -> None:
            self.runs = 0

        async def handle(self, job: JobContext) -> int:
            self.runs += 1
            return self.runs

    registry = registry_of(Counting)
    assert [await invoke(registry, Counting) for _ in range(3)] == ["1", "1", "1"]


async def test_should_retry_is_asked_of_the_object_that_ran() -> None:
    class Picky(JobHandler, definition_id="picky"):
        seen: str | None = None

        async def handle(self, job: JobContext) -> None:
            self.seen = job.data["kind"]
            raise LookupError

        def should_retry(self, error: BaseException, job: JobContext) -> bool:
            assert isinstance(error, LookupError)
            return self.seen == "retry" == job.data["kind"]

    registry = registry_of(Picky, Greeter)
    for kind, answer in (("retry", True), ("stop", False)):
        run = run_of(registry, Picky, f'{{"kind": "{kind}"}}')
        with pytest.raises(LookupError) as caught:
            await run.bound.invoke(run)
        assert run.bound.should_retry(caught.value, run) is answer
    unasked = run_of(registry, Greeter)
    assert unasked.bound.should_retry(LookupError(), unasked) is True


async def test_a_cancelled_coroutine_sees_it_and_the_cancellation_comes_through() -> None:
    entered = asyncio.Event()
    seen: list[object] = []

    @job("waits")
    async def waits(job: JobContext) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(job.cancelled)
            raise

    run = run_of(registry_of(waits), waits)
    task = asyncio.ensure_future(run.bound.invoke(run))
    await entered.wait()
    run.request_cancel("timeout")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [True]


async def test_a_cancelled_invoke_tells_when_its_thread_has_ended() -> None:
    entered, leave = threading.Event(), threading.Event()
    heard: list[bool] = []

    @job("stubborn")
    def stubborn(job: JobContext) -> str:
        entered.set()
        leave.wait(10)
        heard.append(job.cancelled)
        return "late"

    threads = ThreadRunner(1)
    run = run_of(registry_of(stubborn), stubborn, at=site(threads=threads))
    task = asyncio.ensure_future(run.bound.invoke(run))
    await asyncio.to_thread(entered.wait)
    run.request_cancel("timeout")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run.busy is not None
    assert not run.busy.done()
    assert threads.abandoned == 1
    leave.set()
    await run.busy
    assert heard == [True]
    assert threads.abandoned == 0
    threads.close()

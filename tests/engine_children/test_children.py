"""Handlers in child processes: what they see and say, how they end, and that nothing of them stays."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobmaster.domain.job import Progress
from jobmaster.engine.children import ChildDied, ChildRunner
from jobmaster.handlers import (
    CancelJob,
    FailJob,
    JobCancelled,
    RemoteHandlerError,
    RetryLater,
    Run,
    Service,
    Snooze,
)
from tests.engine_children import programs
from tests.unit.handlers.runs import JOB_ID, WORKER_ID, registry_of, run_of, site

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs use signals")

REGISTRY = registry_of(
    *(
        getattr(programs, name)
        for name in (
            *("Typed", "Picky", "facts", "coroutine", "talks", "raises", "polite", "polite_coroutine"),
            *("finishing", "stubborn", "with_grandchild", "dies", "signalled", "echo", "own_children"),
        )
    )
)


@pytest.fixture
async def children() -> AsyncIterator[ChildRunner]:
    runner = ChildRunner(2, cancel_grace=30.0)
    yield runner
    await runner.close()
    assert runner.alive == 0


def new_run(children: ChildRunner, handler: object, data: Any = None, **fields: Any) -> Run:
    text = json.dumps({} if data is None else data)
    return run_of(REGISTRY, handler, text, at=site(children=children), **fields)


async def carry_out(children: ChildRunner, handler: object, data: Any = None, **fields: Any) -> Any:
    run = new_run(children, handler, data, **fields)
    text = await run.bound.invoke(run)
    return None if text is None else json.loads(text)


async def until(condition: Callable[[], object]) -> Any:
    """What ``condition`` returns once it is true."""
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end, "it never became true"
        await asyncio.sleep(0.005)
    return found


async def begun(
    children: ChildRunner, handler: object, tmp_path: Path
) -> tuple[Run, asyncio.Task[Any], list[int]]:
    """A run under way, its task, and the process ids that its handler wrote down."""
    file = tmp_path / "begun"
    run = new_run(children, handler, {"file": str(file)})
    task: asyncio.Task[Any] = asyncio.ensure_future(run.bound.invoke(run))  # type: ignore[assignment]
    text = await until(lambda: file.exists() and file.read_text())
    return run, task, [int(pid) for pid in text.split()]


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# -- what goes in and comes out ----------------------------------------------------------------------------


async def test_a_handler_sees_its_job_in_another_process(children: ChildRunner) -> None:
    found = await carry_out(children, programs.facts, {"a": [1, "ü"]}, attempt=1, metadata='{"team":"media"}')
    assert found["pid"] != os.getpid()
    assert found["parent"] == os.getpid()
    assert found["thread"] is True
    assert found["data"] == {"a": [1, "ü"]}
    assert found["metadata"] == {"team": "media"}
    assert found["id"] == str(JOB_ID)
    assert (found["attempt"], found["max_retries"]) == (2, 3)
    assert found["deadline"] == "2026-05-04T03:02:31+00:00"
    assert (found["worker_id"], found["cluster_id"]) == (str(WORKER_ID), "cluster")


async def test_a_child_is_used_again_and_its_descriptors_do_not_grow(children: ChildRunner) -> None:
    found = [await carry_out(children, programs.facts) for _ in range(5)]
    assert len({each["pid"] for each in found}) == 1
    assert len({each["descriptors"] for each in found}) == 1
    assert children.alive == 1


async def test_typed_payloads_and_coroutines_work_as_elsewhere(children: ChildRunner) -> None:
    assert await carry_out(children, programs.Typed, {"url": "a", "width": 5}) == {"url": "a", "width": 10}
    run = new_run(children, programs.coroutine)
    assert await run.bound.invoke(run) == '"awaited"'
    assert run.progress == Progress(0.25, "a quarter")
    with pytest.raises(RemoteHandlerError, match=r"data\.url") as caught:
        await carry_out(children, programs.Typed, {"width": 5})
    assert caught.value.job_error.type == "jobmaster.errors.InvalidJob"


async def test_progress_and_log_come_back(children: ChildRunner) -> None:
    run = new_run(children, programs.talks)
    assert await run.bound.invoke(run) is None
    assert run.progress == Progress(1.0, "step 4")
    assert run.progress_dirty
    lines = (run.log_text() or "").split("\n")
    assert lines[:4] == [f"line {step} ü\\x00\\ud800" for step in range(1, 5)]
    assert lines[5] == "... the log was cut at 64 KiB"


@pytest.mark.parametrize("size", [3_000, 5_000, 3_000_000])
async def test_data_and_results_of_any_size_travel(children: ChildRunner, size: int) -> None:
    text = "ü" * size
    assert await carry_out(children, programs.echo, {"text": text}) == text


async def test_no_more_than_its_size_run_at_once_and_the_rest_take_turns(children: ChildRunner) -> None:
    results = await asyncio.gather(*(carry_out(children, programs.echo, {"text": n}) for n in range(20)))
    assert results == list(range(20))
    assert children.alive == 2


async def test_a_waiting_run_can_be_cancelled(children: ChildRunner, tmp_path: Path) -> None:
    tasks = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        tasks.append(await begun(children, programs.stubborn, tmp_path / str(number)))
    waiting = asyncio.ensure_future(carry_out(children, programs.echo, {"text": 1}))
    next_one = asyncio.ensure_future(carry_out(children, programs.echo, {"text": 2}))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    for run, _, _ in tasks:
        run.request_cancel("timeout")
    assert await next_one == 2
    for _, task, _ in tasks:
        with pytest.raises(ChildDied):
            await task


async def test_a_handler_may_have_child_processes_of_its_own(children: ChildRunner) -> None:
    assert await carry_out(children, programs.own_children) == 3


async def test_it_works_from_a_loop_that_is_not_in_the_main_thread() -> None:
    found: list[Any] = []

    async def work() -> None:
        runner = ChildRunner(1)
        try:
            found.append(await carry_out(runner, programs.echo, {"text": "from a thread"}))
        finally:
            await runner.close()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert found == ["from a thread"]


# -- what a handler raises ---------------------------------------------------------------------------------


async def test_an_error_travels_as_type_message_and_traceback(children: ChildRunner) -> None:
    with pytest.raises(RemoteHandlerError) as caught:
        await carry_out(children, programs.raises, {"what": "error"})
    error = caught.value.job_error
    assert str(caught.value) == error.message == "no such thing: ü\\x00"
    assert error.type == caught.value.type_name == "LookupError"
    assert error.traceback is not None
    assert re.match(r'Traceback .*\n  File ".*programs.py", line \d+, in raises\n', error.traceback)
    assert "raise LookupError" in error.traceback
    assert caught.value.may_retry is True


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("retry", RetryLater(90, "later")),
        ("snooze", Snooze(30)),
        ("cancel", CancelJob("withdrawn")),
        ("fail", FailJob("never")),
    ],
)
async def test_control_flow_travels_as_itself(children: ChildRunner, what: str, expected: Any) -> None:
    with pytest.raises(type(expected)) as caught:
        await carry_out(children, programs.raises, {"what": what})
    assert type(caught.value) is type(expected)
    assert str(caught.value) == str(expected)
    assert vars(caught.value) == vars(expected)


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("exit", "SystemExit", "5"),
        (
            "unprintable",
            "tests.engine_children.programs.Unprintable",
            "<its text cannot be shown: ValueError>",
        ),
        ("no-json", "jobmaster.errors.SerializationError", "result.a: object is no JSON value"),
        ("scheduler", "RuntimeError", "job.scheduler is not available with execution='process'"),
    ],
)
async def test_whatever_is_raised_the_child_goes_on(
    children: ChildRunner, what: str, kind: str, message: str
) -> None:
    before = (await carry_out(children, programs.facts))["pid"]
    with pytest.raises(RemoteHandlerError) as caught:
        await carry_out(children, programs.raises, {"what": what})
    assert caught.value.job_error.type == kind
    assert caught.value.job_error.message.startswith(message)
    assert (await carry_out(children, programs.facts))["pid"] == before


async def test_should_retry_is_asked_in_the_child(children: ChildRunner) -> None:
    for kind, answer in (("retry", True), ("stop", False)):
        run = new_run(children, programs.Picky, {"kind": kind})
        with pytest.raises(RemoteHandlerError) as caught:
            await run.bound.invoke(run)
        assert run.bound.should_retry(caught.value, run) is answer


# -- how a run is ended ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["cancelled", "interrupted"])
@pytest.mark.parametrize("handler", [programs.polite, programs.polite_coroutine])
@pytest.mark.parametrize("cancel_the_task", [False, True])
async def test_a_run_that_is_asked_to_stop_may_stop_by_itself(
    children: ChildRunner, tmp_path: Path, handler: object, reason: Any, cancel_the_task: bool
) -> None:
    run, task, (pid,) = await begun(children, handler, tmp_path)
    run.request_cancel(reason)
    if cancel_the_task:
        task.cancel()
    with pytest.raises(JobCancelled) as caught:
        await task
    assert caught.value.reason == reason
    if handler is programs.polite_coroutine:
        assert run.log_text() == "cleaned up, cancelled: True"
    assert (await carry_out(children, programs.facts))["pid"] == pid


@pytest.mark.parametrize("cancel_the_task", [False, True])
async def test_a_run_that_finishes_within_the_grace_has_its_result(
    children: ChildRunner, tmp_path: Path, cancel_the_task: bool
) -> None:
    run, task, _ = await begun(children, programs.finishing, tmp_path)
    run.request_cancel("cancelled")
    if cancel_the_task:
        task.cancel()
    assert await task == '"finished all the same"'
    assert task.cancelling() == 0


@pytest.mark.parametrize(
    ("reason", "error"), [("cancelled", asyncio.CancelledError), ("interrupted", asyncio.CancelledError)]
)
async def test_a_run_that_does_not_stop_is_killed_after_the_grace(
    tmp_path: Path, reason: Any, error: type[BaseException]
) -> None:
    children = ChildRunner(1, cancel_grace=0.05)
    run, task, (pid,) = await begun(children, programs.stubborn, tmp_path)
    run.request_cancel(reason)
    task.cancel()
    with pytest.raises(error):
        await task
    assert not alive(pid)
    assert (await carry_out(children, programs.facts))["pid"] != pid
    await children.close()


@pytest.mark.parametrize("reason", ["timeout", "lost"])
@pytest.mark.parametrize("cancel_the_task", [False, True])
async def test_at_its_timeout_and_without_its_claim_a_run_is_killed_at_once(
    children: ChildRunner, tmp_path: Path, reason: Any, cancel_the_task: bool
) -> None:
    run, task, (pid,) = await begun(children, programs.polite, tmp_path)
    run.request_cancel(reason)
    if cancel_the_task:
        task.cancel()
    with pytest.raises(asyncio.CancelledError if cancel_the_task else ChildDied) as caught:
        await task
    if isinstance(caught.value, ChildDied):
        assert caught.value.exitcode == -signal.SIGKILL
    assert not alive(pid)


async def test_lost_ends_the_grace_of_a_run_that_was_asked_to_stop(
    children: ChildRunner, tmp_path: Path
) -> None:
    run, task, (pid,) = await begun(children, programs.stubborn, tmp_path)
    run.request_cancel("cancelled")
    run.request_cancel("lost")
    with pytest.raises(ChildDied):
        await task
    assert not alive(pid)


async def test_a_second_cancellation_of_the_task_kills(children: ChildRunner, tmp_path: Path) -> None:
    run, task, (pid,) = await begun(children, programs.stubborn, tmp_path)
    run.request_cancel("cancelled")
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


async def test_cancelling_the_task_alone_kills(children: ChildRunner, tmp_path: Path) -> None:
    _, task, (pid,) = await begun(children, programs.polite, tmp_path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


async def test_a_run_asked_to_stop_before_it_began_stops(children: ChildRunner) -> None:
    run = new_run(children, programs.polite, {"file": os.devnull})
    run.request_cancel("cancelled")
    with pytest.raises(JobCancelled):
        await run.bound.invoke(run)
    late = new_run(children, programs.polite, {"file": os.devnull})
    late.request_cancel("timeout")
    with pytest.raises(ChildDied):
        await late.bound.invoke(late)


async def test_what_a_killed_handler_had_started_dies_with_it(children: ChildRunner, tmp_path: Path) -> None:
    run, task, pids = await begun(children, programs.with_grandchild, tmp_path)
    assert len(pids) == 2
    assert all(map(alive, pids))
    run.request_cancel("timeout")
    with pytest.raises(ChildDied):
        await task
    await until(lambda: not any(map(alive, pids)))


@pytest.mark.parametrize(
    ("how", "exitcode", "message"),
    [
        (7, 7, "the child process ended with exit code 7 while it ran the handler"),
        (0, 0, "exit code 0"),
        ("SIGKILL", -9, "the child process ended by signal 9 while it ran the handler"),
        ("SIGSEGV", -11, "by signal 11"),
    ],
)
async def test_a_child_that_dies_is_told_and_replaced(
    children: ChildRunner, how: object, exitcode: int, message: str
) -> None:
    with pytest.raises(ChildDied, match=message) as caught:
        await carry_out(children, programs.dies, {"how": how})
    assert caught.value.exitcode == exitcode
    assert await carry_out(children, programs.echo, {"text": "alive"}) == "alive"


async def test_a_child_that_died_idle_is_replaced_unseen(children: ChildRunner) -> None:
    for _ in range(3):
        pid = (await carry_out(children, programs.facts))["pid"]
        os.kill(pid, signal.SIGKILL)
        assert (await carry_out(children, programs.facts))["pid"] != pid
    await until(lambda: children.alive == 1)


async def test_a_child_takes_no_notice_of_signals_meant_for_its_parent(children: ChildRunner) -> None:
    assert await carry_out(children, programs.signalled) == "still here"


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_happens_in_whatever_order_every_run_ends_as_it_was_told(seed: int) -> None:
    """Random runs, stopped at random moments in random ways, five at a time in three children."""
    chance = random.Random(seed)
    children = ChildRunner(3, cancel_grace=0.05)
    turn = asyncio.Semaphore(5)
    handlers = [programs.echo, programs.polite, programs.polite_coroutine, programs.finishing]
    handlers += [programs.stubborn, programs.dies, programs.echo, programs.echo]

    async def one(number: int) -> None:
        handler = chance.choice(handlers)
        data = {"text": number, "file": os.devnull, "how": chance.choice([0, 1, "SIGKILL"])}
        delay, way = chance.random() / 10, chance.randrange(5)
        async with turn:
            run = new_run(children, handler, data)
            task = asyncio.ensure_future(run.bound.invoke(run))  # type: ignore[var-annotated, arg-type]
            done, _ = await asyncio.wait([task], timeout=delay)
            if not done:
                run.request_cancel(("cancelled", "interrupted", "timeout", "lost", "lost")[way])  # type: ignore[arg-type]
                for _ in range(way if way < 3 else 0):
                    task.cancel()
                    await asyncio.sleep(0)
                done, _ = await asyncio.wait([task], timeout=0.01)
                run.request_cancel("lost")
            outcome = await asyncio.gather(task, return_exceptions=True)
        match outcome[0]:
            case str() as text:
                assert text == (str(number) if handler is programs.echo else '"finished all the same"')
            case ChildDied() as death:
                assert death.exitcode in ((0, 1, -9) if handler is programs.dies else (-9,))
            case other:
                assert isinstance(other, asyncio.CancelledError | JobCancelled), repr(other)
                assert run.cancel_reason is not None

    await asyncio.gather(*(one(number) for number in range(60)))
    assert children.alive <= 3
    await children.close()
    assert children.alive == 0


# -- trust -------------------------------------------------------------------------------------------------


async def test_trust_that_is_renewed_lets_a_run_go_on_and_trust_that_ended_kills_it(
    children: ChildRunner, tmp_path: Path
) -> None:
    children.set_trusted_until(children._monotonic() + 1000)
    run, task, (pid,) = await begun(children, programs.polite, tmp_path)
    children.set_trusted_until(children._monotonic() + 2000)
    run.request_cancel("cancelled")
    with pytest.raises(JobCancelled):
        await task
    (tmp_path / "begun").unlink()
    run, task, (pid,) = await begun(children, programs.polite, tmp_path)
    children.set_trusted_until(float("-inf"))
    with pytest.raises(ChildDied):
        await task
    assert not alive(pid)


async def test_a_child_ends_itself_when_trust_is_not_renewed(
    children: ChildRunner, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, task, (pid,) = await begun(children, programs.stubborn, tmp_path)
    children.set_trusted_until(children._monotonic() + 0.05)
    with pytest.raises(ChildDied):
        await task
    assert not alive(pid)
    assert f"child process {pid} ends: its worker's lease was not renewed in time" in capfd.readouterr().err


async def test_an_idle_child_outlives_trust(children: ChildRunner) -> None:
    pid = (await carry_out(children, programs.facts))["pid"]
    children.set_trusted_until(children._monotonic() - 1)
    with pytest.raises(ChildDied):
        await carry_out(children, programs.facts)
    children.set_trusted_until(children._monotonic() + 1000)
    assert (await carry_out(children, programs.facts))["pid"] != pid


async def test_renewing_trust_never_waits_for_a_child_that_is_stopped(
    children: ChildRunner, tmp_path: Path
) -> None:
    run, task, (pid,) = await begun(children, programs.stubborn, tmp_path)
    os.kill(pid, signal.SIGSTOP)
    for _ in range(5000):  # several times what its pipe holds
        children.set_trusted_until(children._monotonic() + 1000)
    run.request_cancel("timeout")
    with pytest.raises(ChildDied):
        await task


# -- services ----------------------------------------------------------------------------------------------


async def test_services_are_built_in_the_child_and_closed_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "counter"
    monkeypatch.setenv("JOBMASTER_COUNTER_FILE", str(file))
    registry = registry_of(
        programs.Counts,
        services=[
            Service(programs.Counter, programs.count_runs),
            Service(programs.Session, programs.open_session, "job"),
        ],
    )
    children = ChildRunner(1)
    for expected in ("1", "2", "3"):
        run = run_of(registry, programs.Counts, at=site(children=children))
        assert await run.bound.invoke(run) == expected
    assert not file.exists()
    await children.close()
    assert file.read_text() == "closed after 3 runs"


async def test_a_resolver_is_called_in_the_child(children: ChildRunner) -> None:
    registry = registry_of(programs.Counts, resolver=programs.resolve)
    run = run_of(registry, programs.Counts, at=site(children=children))
    assert await run.bound.invoke(run) == "0"


# -- the end -----------------------------------------------------------------------------------------------


async def test_close_kills_what_runs_and_refuses_what_comes(tmp_path: Path) -> None:
    children = ChildRunner(1)
    _, task, (pid,) = await begun(children, programs.stubborn, tmp_path)
    waiting = asyncio.ensure_future(carry_out(children, programs.echo, {"text": 1}))
    await asyncio.sleep(0)
    await children.close()
    with pytest.raises(ChildDied):
        await task
    with pytest.raises(RuntimeError, match="closed"):
        await waiting
    with pytest.raises(RuntimeError, match="closed"):
        await carry_out(children, programs.echo, {"text": 1})
    assert not alive(pid)
    await children.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list descriptors")
async def test_no_descriptor_of_the_parent_stays_open() -> None:
    async def once() -> None:
        children = ChildRunner(2)
        await asyncio.gather(*(carry_out(children, programs.echo, {"text": n}) for n in range(4)))
        with pytest.raises(ChildDied):
            await carry_out(children, programs.dies, {"how": 1})
        await children.close()

    await once()  # starts the resource tracker of multiprocessing, which stays
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        await once()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ChildRunner(size)

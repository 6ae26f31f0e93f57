"""Calls that are waited for although their caller was cancelled."""

from __future__ import annotations

import asyncio

import pytest

from jobmaster.engine.uninterrupted import keep_result, to_its_end


async def opens(door: asyncio.Event, what: str = "open") -> str:
    await door.wait()
    if what == "stuck":
        raise ValueError(what)
    return what


async def test_who_is_cancelled_while_something_opens_gets_it_all_the_same() -> None:
    door, kept = asyncio.Event(), []
    task = asyncio.ensure_future(keep_result(opens(door), kept.append))
    await asyncio.sleep(0)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    door.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept == ["open"]


async def test_results_and_errors_pass_through() -> None:
    door = asyncio.Event()
    door.set()
    assert await to_its_end(opens(door)) == "open"
    with pytest.raises(ValueError, match="stuck"):
        await to_its_end(opens(door, "stuck"))


async def test_a_call_that_fails_after_the_cancellation_is_cancelled() -> None:
    door = asyncio.Event()
    task = asyncio.ensure_future(to_its_end(opens(door, "stuck")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    door.set()
    with pytest.raises(asyncio.CancelledError):
        await task

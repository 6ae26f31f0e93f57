"""Retention as coordinators do it: parts first, then chunks, and only these where parts cannot be tended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from jobmaster.engine.coordinator import Coordinator
from jobmaster.errors import StoreError, TransientStoreError
from jobmaster.ports import Tended
from jobmaster.testing import FakeClock

DAY, SPAN = timedelta(days=1), timedelta(hours=2)


class Here:
    """Calls made at once."""

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)


class Master:
    """Tends as it is told."""

    def __init__(self) -> None:
        self.answer: Tended | Exception = Tended()
        self.asked: list[timedelta | None] = []

    def tend_history(self, retention: timedelta | None) -> Tended:
        self.asked.append(retention)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Held:
    """Has so many jobs to delete."""

    def __init__(self) -> None:
        self.there = 0
        self.asked: list[timedelta] = []

    def clean(self, older_than: timedelta, limit: int) -> int:
        self.asked.append(older_than)
        return min(self.there, limit)


class Cleaner:
    """A coordinator that cleans and does nothing else."""

    def __init__(self, retention: timedelta | None = DAY) -> None:
        self.master, self.held = Master(), Held()
        parts: dict[str, Any] = {
            "master": self.master,
            "held": self.held,
            "calls": Here(),
            "limits": SimpleNamespace(data_retention=retention),
            "announcer": None,
        }
        self.clean = Coordinator(
            **parts,
            reach=dict,
            workers=[],
            roster=None,
            lease=timedelta(seconds=15),
            clock=FakeClock(),
            refresh=lambda: None,
            logger=logging.getLogger("tests.cleaning"),
        ).clean


async def test_without_parts_chunks_are_as_old_as_asked() -> None:
    cleaner = Cleaner()
    assert await cleaner.clean() is None
    assert (cleaner.master.asked, cleaner.held.asked) == ([DAY], [DAY])
    cleaner.held.there = 5000
    assert await cleaner.clean() == 0.05


async def test_chunks_leave_to_a_part_what_goes_with_it() -> None:
    cleaner = Cleaner()
    cleaner.master.answer = Tended(SPAN, False)
    assert await cleaner.clean() is None
    assert cleaner.held.asked == [DAY + SPAN]
    cleaner.master.answer = Tended(SPAN, True)
    assert await cleaner.clean() == 0.05


async def test_without_a_retention_parts_are_made_and_nothing_is_deleted() -> None:
    cleaner = Cleaner(None)
    assert await cleaner.clean() is None
    assert (cleaner.master.asked, cleaner.held.asked) == ([None], [])


async def test_parts_that_cannot_be_tended_are_told_once_and_chunks_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cleaner = Cleaner()
    cleaner.master.answer = StoreError("must be owner of table jm_history")
    for _ in range(3):
        assert await cleaner.clean() is None
    assert cleaner.held.asked == [DAY] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "the parts of the history are left as they are: must be owner of table jm_history"
    ]
    cleaner.master.answer = Tended()
    await cleaner.clean()
    cleaner.master.answer = StoreError("must be owner of table jm_history")
    await cleaner.clean()
    assert len(caplog.records) == 2


async def test_a_server_that_is_away_ends_the_pass() -> None:
    cleaner = Cleaner()
    cleaner.master.answer = TransientStoreError("gone")
    with pytest.raises(TransientStoreError):
        await cleaner.clean()
    assert cleaner.held.asked == []

"""Counting jobs of a cluster while they move between its stores."""

from __future__ import annotations

import time
from typing import Any

import pytest

from jobmaster import JobStatus
from tests.cluster.conftest import MakeUrl, Site
from tests.cluster.handlers import Counted

LIVE = [status for status in JobStatus if not status.is_final]


@pytest.mark.sqlite
@pytest.mark.parametrize("status", [None, LIVE])
def test_a_job_that_is_placed_between_the_looks_is_counted(
    make_url: MakeUrl, monkeypatch: pytest.MonkeyPatch, status: list[JobStatus] | None
) -> None:
    """Who waits until nothing is left must not be told so too early."""
    site = Site(make_url("sqlite"), {"north": make_url("sqlite")})
    with site.config().transient_threshold(60).build() as cluster:
        s = cluster.scheduler
        job = s.once_after("counted", 30, {"n": 1})
        assert job.status is JobStatus.HELD_ON_MASTER
        reader = cluster._backend.agents["north"].reader
        count = reader.count_jobs

        def count_and_be_overtaken(*args: Any, **options: Any) -> int:
            found = count(*args, **options)
            monkeypatch.undo()
            with site.config().add_handlers(Counted).transient_threshold(60).add_worker("north").build():
                end = time.monotonic() + 20
                while s.get_job(job.id).status is not JobStatus.READY:
                    assert time.monotonic() < end
                    time.sleep(0.02)
            return found

        monkeypatch.setattr(reader, "count_jobs", count_and_be_overtaken)
        assert s.count_jobs(status=status) == 1
        assert s.count_jobs(status=status) == 1
        assert s.count_jobs(status=JobStatus.SUCCEEDED) == 0

"""Why a claimed job is where it is, and what is told of it while the master is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from jobmaster.cluster.explainer import Explainer
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import Job
from jobmaster.domain.priorities import Priority
from jobmaster.domain.status import JobStatus, WorkerMode
from jobmaster.errors import TransientStoreError, TransportUnavailable
from jobmaster.ports import WorkerInfo

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORKER = uuid7()


def job(status: JobStatus) -> Job:
    return Job(
        uuid7(),
        status,
        "d",
        {},
        {},
        "default",
        Priority.MEDIUM,
        NOW,
        NOW,
        started_at=NOW,
        agent_connection="north",
        worker_id=WORKER,
    )


def explainer(*, alive: bool = True, distributed: bool = True, refresh: Any = lambda: None) -> Explainer:
    worker = WorkerInfo(
        WORKER, "w", "north", "default", WorkerMode.FULL, "box", 7, NOW, NOW - timedelta(seconds=9), 1, alive
    )
    master = SimpleNamespace(workers=lambda: [worker])
    return Explainer(SimpleNamespace(master=master, distributed=distributed, refresh=refresh))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "alive", "text"),
    [
        (
            JobStatus.ASSIGNED_TO_BUCKET,
            True,
            "worker 'w' on box (pid 7) has claimed it and starts it as soon as a slot is free",
        ),
        (
            JobStatus.ASSIGNED_TO_BUCKET,
            False,
            "worker 'w' on box (pid 7) has claimed it, but was not seen lately: it runs elsewhere when the "
            "lease of that worker has ended",
        ),
        (JobStatus.PROCESSING, True, "worker 'w' on box (pid 7) runs it since 2026-03-01T12:00:00+00:00"),
    ],
)
def test_a_claimed_job_is_told_with_its_worker(status: JobStatus, alive: bool, text: str) -> None:
    (reason,) = explainer(alive=alive).explain(job(status)).reasons
    assert reason.message == text


@pytest.mark.parametrize("status", [JobStatus.PROCESSING, JobStatus.ASSIGNED_TO_BUCKET, JobStatus.READY])
def test_a_master_that_is_away_is_a_reason(status: JobStatus) -> None:
    def away() -> None:
        raise TransientStoreError("connection refused")

    reasons = explainer(refresh=away).explain(job(status)).reasons
    assert reasons[-1].code == "master_down"
    assert "connection refused" in reasons[-1].message
    if not status.is_waiting:
        assert str(WORKER) in reasons[0].message
    with pytest.raises(TransportUnavailable, match="connection refused"):
        explainer(distributed=False, refresh=away).explain(job(status))

"""Rows of COPY that this library writes itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobmaster.domain.job import NewJob
from jobmaster.sql.pgcopy import blocks
from jobmaster.testing.conformance.stores import new_job
from tests.sql.conftest import stores_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 100
"""Jobs of one call, enough for COPY."""


def wide(count: int) -> list[NewJob]:
    """Jobs whose bulk is in their metadata."""
    return [new_job(metadata='{"note":"' + "x" * 2_000 + '"}') for _ in range(count)]


def test_blocks_are_sent_before_they_grow() -> None:
    sizes = [len(block) for block in blocks(wide(500), NOW)]
    assert len(sizes) > 10
    assert max(sizes) < 70 * 1024
    (whole,) = blocks(wide(3), NOW)
    assert whole.startswith(b"PGCOPY\n\xff\r\n\0")
    assert whole.endswith(b"\xff\xff")


@pytest.mark.postgres
@pytest.mark.parametrize("session", ["utf8", "latin1"])
def test_what_goes_in_comes_out(postgres_url: str, make_database: Any, session: str) -> None:
    """Whatever encoding the URL asks for: texts of hot statements carry their own."""
    stores = stores_of(make_database(f"{postgres_url}?client_encoding={session}"))
    stores.open()
    odd = [
        new_job(data='{"a":"é€😀"}', metadata='{"k":"ß"}', timeout=timedelta(seconds=1.5), max_retries=0),
        new_job(data="{}", run_at=datetime(1969, 7, 20, 20, 17, 40, 123456, tzinfo=UTC), retry='["x"]'),
        new_job(data='{"b":1}', priority=5, definition_id="ünlike", schedule_id="s"),
    ]
    stores.transport.enqueue([*odd, *(new_job(data='{"a":"é"}') for _ in range(MANY))])
    claimed = {job.id: job for job in stores.holder().claim(MANY + len(odd))}
    for new in odd:
        job = claimed[new.id]
        assert (job.data, job.metadata, job.definition_id) == (new.data, new.metadata, new.definition_id)
        assert (job.max_retries, job.retry, job.schedule_id) == (new.max_retries, new.retry, new.schedule_id)
        assert job.timeout_ms == (None if new.timeout is None else 1500)
        assert job.run_at == (new.run_at or job.enqueued_at)
        assert job.priority == new.priority
    plain = [job.data for job_id, job in claimed.items() if job_id not in {new.id for new in odd}]
    assert plain == ['{"a":"é"}'] * MANY
    # one at a time they go another way
    (single,) = [new_job(data='{"a":"é"}')]
    stores.transport.enqueue([single])
    assert [job.data for job in stores.holder().claim()] == ['{"a":"é"}']

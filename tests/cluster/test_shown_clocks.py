"""What an agent tells of its buckets and its queue is told by the master's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobmaster.agents.skew import Skew
from jobmaster.agents.sql import SqlTransport
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import NewJob
from jobmaster.domain.status import BucketStatus, WorkerMode
from jobmaster.ports import BucketInfo
from jobmaster.sql.database import Database, open_database
from jobmaster.sql.reading import SqlJobReader

pytestmark = pytest.mark.sqlite
AHEAD = timedelta(minutes=10)
LEASE = timedelta(minutes=1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = open_database(
        f"sqlite:///{tmp_path / 'north.db'}", cluster_id="skewed", name="north", role="agent"
    )
    made.open()
    yield made
    made.close()


def test_the_clock_of_an_agent_is_not_shown(database: Database) -> None:
    skew = Skew()
    skew.ahead = AHEAD
    transport = SqlTransport(database, skew)
    reader = SqlJobReader(database, skew.shown, outward=skew.outward)
    began = datetime.now(UTC)
    job = NewJob(id=uuid7(), definition_id="d", data="{}")
    transport.enqueue([job])
    bucket = BucketInfo(uuid7(), uuid7(), "w", "default", 3, BucketStatus.ACTIVE, began, "north")
    transport.open_buckets([bucket], WorkerMode.FULL, LEASE)

    found = reader.get_job(job.id)
    assert found is not None
    (depth,) = reader.depths()
    assert depth.oldest_due_at == found.scheduled_at
    assert timedelta(0) <= depth.oldest_due_at + AHEAD - began < timedelta(seconds=30)
    (shown,) = transport.buckets()
    assert timedelta(0) <= shown.lease_until + AHEAD - LEASE - began < timedelta(seconds=30)

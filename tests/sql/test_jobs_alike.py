"""Rows of jobs that are alike are those that each of them would have by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobmaster.domain.alike import AlikeJobs
from jobmaster.domain.job import NewJob
from jobmaster.sql import mysqlnew, pgcopy, sqlitenew
from jobmaster.sql.mysqlrows import CHUNK
from jobmaster.testing.conformance.stores import new_job

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MICROS = 1_767_225_600_000_000
TEXTS = [
    "{}",
    '{"a":"it\'s"}',
    '{"a":"back\\\\slash and \\"quotes\\""}',
    '{"a":"\\\\\'; DROP TABLE job; --"}',
    '{"a":"line\\nbreak \\u0000 \\u001a %s %(rows)s :now"}',
    '{"a":"é€😀"}',
    '{"a":"' + "x" * 5_000 + '"}',
]
LIKES = {
    "bare": new_job(),
    "with options": new_job(
        lane="mail",
        priority=5,
        definition_id="ünlike",
        metadata='{"k":"ß\'"}',
        timeout=timedelta(seconds=1.5),
    ),
}


def alike(like: NewJob, count: int) -> AlikeJobs:
    return AlikeJobs(like, [TEXTS[n % len(TEXTS)] for n in range(count)])


@pytest.mark.parametrize("like", LIKES.values(), ids=LIKES)
@pytest.mark.parametrize("count", [1, len(TEXTS), 2 * CHUNK + 1])
def test_rows_are_the_same_for_each_engine(like: NewJob, count: int) -> None:
    jobs = alike(like, count)
    blocks = list(pgcopy.blocks(jobs, NOW))
    assert blocks == list(pgcopy.blocks(list(jobs), NOW))
    assert max(map(len, blocks)) < 40 * 1024
    portions = list(mysqlnew.portions(jobs, MICROS))
    assert portions == list(mysqlnew.portions(list(jobs), MICROS))
    assert len(portions) == -(-count // CHUNK)
    assert sqlitenew.alike(jobs, MICROS) == sqlitenew.rows(list(jobs), MICROS)

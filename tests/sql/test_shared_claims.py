"""Workers of one process that share how far their claims have come, on a real store, a step at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from jobmaster.engine.claimplan import ClaimPlan
from jobmaster.engine.frontier import Frontier
from jobmaster.testing import FakeClock
from jobmaster.testing.conformance.stores import new_job
from tests.sql.conftest import stores_of

HOUR = timedelta(hours=1)


def test_older_jobs_come_before_a_backlog_although_answers_cross(
    database_url: str, make_database: Any
) -> None:
    stores = stores_of(make_database(database_url))
    stores.open()
    clock = FakeClock()
    frontier = Frontier(clock)
    one, other = (
        ClaimPlan("default", {p: [bucket] for p, bucket in stores.holder().buckets.items()}, frontier)
        for _ in range(2)
    )

    def claim(plan: ClaimPlan) -> list[UUID]:
        request = plan.request(10)
        assert request is not None
        claimed = stores.settlement.settle([], request).claimed
        plan.learn(request, claimed)
        return [job.id for job in claimed]

    backlog = set(stores.enqueue(200))
    assert set(claim(one)) <= backlog
    under_way = other.request(10)
    assert under_way is not None
    assert under_way.after
    answer = stores.settlement.settle([], under_way).claimed
    due = stores.transport.now() - HOUR
    older = [new_job(run_at=due) for _ in range(40)]
    stores.transport.enqueue(older)
    clock.advance(1.0)
    found = claim(one)
    other.learn(under_way, answer)
    while len(found) < len(older):
        found += claim(other) + claim(one)
    assert set(found[: len(older)]) == {job.id for job in older}
    # and then they go on with the backlog, each job once
    found += [job.id for job in answer]
    for _ in range(5):
        found += claim(one) + claim(other)
    assert len(set(found)) == len(found)
    assert len(backlog & set(found)) >= 100

"""Which line of the code holds a law, and which test notices when it is taken out."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LAWS", "Law"]


class Law(NamedTuple):
    """``old`` becomes ``new`` in ``file``; then ``test`` fails. ``section``: of the protocol."""

    section: str
    what: str
    file: str
    old: str
    new: str
    test: str


_SQL = "tests/conformance/test_sql_stores.py"
_CLUSTERS = "tests/conformance/test_clusters.py"
_SIM = "tests/simulation/test_found.py"
_POINTS = "tests/chaos/test_fault_points.py"

LAWS = [
    Law(
        "1",
        "a move raises the placement on the master",
        "jobmaster/sql/movestatements.py",
        "SET bucket_id = :store_id, placement = placement + 1, unsynced = 1, recheck = 0",
        "SET bucket_id = :store_id, placement = placement, unsynced = 1, recheck = 0",
        f"{_CLUSTERS}::TestSql -k 'sqlite and not postgres and not mariadb'",
    ),
    Law(
        "1",
        "a copy that was moved is checked with the master before it runs",
        "jobmaster/agents/agent_database.py",
        "doubtful = [job for job in claims if job.recheck]",
        "doubtful = [job for job in claims if job.recheck and not job.id]",
        f"{_CLUSTERS}::TestSql -k 'sqlite and not postgres and not mariadb'",
    ),
    Law(
        "2.1",
        "after an ambiguous answer the same store is asked again, with the mark",
        "jobmaster/engine/enqueuer.py",
        "return [job if job.recheck else job._replace(recheck=True) for job in jobs]",
        "return list(jobs)",
        f"{_POINTS} -k 'sqlite and enqueue'",
    ),
    Law(
        "3.1",
        "a claim needs its bucket active with a valid lease",
        "jobmaster/testing/memory/settlement.py",
        "if bucket is None or bucket.status is not BucketStatus.ACTIVE or bucket.lease_until <= now:",
        "if bucket is None:",
        "tests/conformance/test_memory_stores.py -k claim",
    ),
    Law(
        "3.2",
        "after an ambiguous answer the worker reads its buckets",
        "jobmaster/engine/pump.py",
        "self._readback = changes\n",
        "self._outbox.put_back(changes, self._clock.monotonic())\n",
        f"{_POINTS} -k 'sqlite and settle_whose_answer'",
    ),
    Law(
        "3.4",
        "a holder whose lease is over begins nothing",
        "jobmaster/engine/worker.py",
        "return tenure is not None and tenure.trust.holds()",
        "return True",
        f"{_SIM} -k thaws",
    ),
    Law(
        "4",
        "a settle changes only what its claim still owns",
        "jobmaster/testing/memory/settlement.py",
        "if row is None or (row.bucket_id, row.claim_no) != fence:",
        "if row is None:",
        "tests/conformance/test_memory_stores.py -k settl",
    ),
    Law(
        "4",
        "the master keeps the first outcome of a job",
        "jobmaster/master/placements.py",
        "if ended.id in known:\n                    continue",
        "if False:\n                    continue",
        f"{_CLUSTERS}::TestSql -k 'sqlite and not postgres and not mariadb'",
    ),
    Law(
        "5",
        "a placement that somebody repeats is not given back",
        "jobmaster/sql/movestatements.py",
        '"placement_repeated": "UPDATE {table:job} SET recheck = 1 WHERE',
        '"placement_repeated": "UPDATE {table:job} SET recheck = 0 WHERE',
        f"{_CLUSTERS}::TestSql -k 'repeats and sqlite and not postgres'",
    ),
    Law(
        "5",
        "what a master has placed is no orphan there",
        "jobmaster/sql/statements.py",
        "AND NOT EXISTS (SELECT 1 FROM {table:agent} h WHERE h.store_id = j.bucket_id)",
        "AND 1 = 1",
        f"{_CLUSTERS}::TestSql -k 'orphan and sqlite and not postgres'",
    ),
    Law(
        "6",
        "only what had started is charged a second loss",
        "jobmaster/domain/verdict.py",
        "charged = started is not False if losses == 0 else started is True",
        "charged = started is not False",
        "tests/unit/domain/test_verdict.py",
    ),
    Law(
        "11",
        "nothing follows an end but an explicit retry",
        "jobmaster/domain/status.py",
        "_S.FAILED: frozenset({_S.READY, _S.HELD_ON_MASTER}),",
        "_S.FAILED: frozenset({_S.READY, _S.HELD_ON_MASTER, _S.SUCCEEDED}),",
        "tests/unit/domain",
    ),
]

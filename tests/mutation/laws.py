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
_NATS_POINTS = "tests/chaos/test_nats_points.py"
_NATS = "tests/conformance/test_nats.py"
_PARTS = "tests/unit/engine/test_parts.py"
_ON_FILES = "'sqlite and not postgres and not mariadb'"
_FORGET = 'gateway.transaction("shipped", lambda tx: _forget(tx, shipment))'

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
        f"{_PARTS} -k same_ids",
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
        "self._doubt(changes)\n",
        "self._outbox.put_back(changes, self._clock.monotonic())\n",
        f"{_POINTS} -k 'sqlite and settle_whose_answer'",
    ),
    Law(
        "3.4",
        "a holder whose lease is over begins nothing",
        "jobmaster/engine/worker.py",
        "return tenure is not None and tenure.trust.holds(at)",
        "return True",
        f"{_SIM} -k thaws",
    ),
    Law(
        "3.4",
        "a worker whose lease is over settles nothing",
        "jobmaster/engine/pump.py",
        "        if not flight.tenure.trust.holds():",
        "        if flight.tenure is None:",
        "tests/unit/engine/test_pump.py",
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
        "a placement that arrives twice leaves what the first has become",
        "jobmaster/agents/moves.py",
        "if copy.id in there and placement >= copy.placement:",
        "if copy.id in there and placement > copy.placement:",
        f"{_CLUSTERS}::TestSql -k 'arrives_twice and sqlite and not postgres'",
    ),
    Law(
        "5",
        "a placement that arrives after the end of its job leaves the end",
        "jobmaster/agents/moves.py",
        "if ended[copy.id] >= copy.placement:",
        "if ended[copy.id] > copy.placement:",
        f"{_CLUSTERS}::TestSql -k 'arrives_twice and sqlite and not postgres'",
    ),
    Law(
        "5",
        "a job that is missing from its agent at two looks is placed there again",
        "jobmaster/engine/tracer.py",
        "self._missed[name] = absent",
        "self._missed[name] = absent - absent",
        "tests/unit/engine/test_tracer.py",
    ),
    Law(
        "8",
        "a placement that is offered again is no repetition to the server",
        "jobmaster/agents/nats/moves.py",
        'recheck=True), 0, f"{copy.id.hex}-{uuid7().hex}")',
        'recheck=True), 0, f"{copy.id.hex}-p{copy.placement}")',
        f"{_NATS}::TestCluster -k 'a_moment_ago and not oldest'",
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
    Law(
        "2.1",
        "a store that may have taken a job is not left for another",
        "jobmaster/engine/enqueuer.py",
        "perhaps = fault.ambiguous or jobs[0].recheck",
        "perhaps = False",
        f"{_PARTS} -k stays_away",
    ),
    Law(
        "2.2",
        "one bad row fails only its own call",
        "jobmaster/engine/enqueuer.py",
        "            if len(batch) == 1:\n                _answer([(batch[0], None, fault)])",
        "            if batch:\n                _answer([(call, None, fault) for call in batch])",
        f"{_PARTS} -k bad_row",
    ),
    Law(
        "2.3",
        "a key in the caller's transaction on an agent is refused",
        "jobmaster/agents/agent_database.py",
        "if any(job.unique_key is not None for job in jobs):",
        "if any(job.unique_key == '' for job in jobs):",
        "tests/cluster/test_refusals.py -k 'callers_transaction and sqlite'",
    ),
    Law(
        "3.1",
        "a sweep frees claims whose bucket does not exist",
        "jobmaster/sql/rescuing.py",
        "orphans = [row for row in rows if tx.dialect.uuid(row[1]) not in alive]",
        "orphans = rows[:0]",
        f"{_SQL} -k 'swept_up and sqlite'",
    ),
    Law(
        "3.3",
        "renewals stop when the loop shows no life",
        "jobmaster/engine/renewer.py",
        "if self._clock.monotonic() > self._vital():",
        "if self._clock.monotonic() < 0:",
        f"{_PARTS} -k stuck",
    ),
    Law(
        "4",
        "the agent forgets an outcome after the master has it",
        "jobmaster/agents/moves.py",
        f"                deliver(shipment)\n                {_FORGET}",
        f"                {_FORGET}\n                deliver(shipment)",
        f"{_CLUSTERS}::TestSql -k {_ON_FILES}",
    ),
    Law(
        "4",
        "what the master refuses to record changes nothing there",
        "jobmaster/master/placements.py",
        "if holder != agent.store_id or (placement, claim_no) > (ended.placement, ended.claim_no):\n"
        "                        refused",
        "if holder != agent.store_id:\n                        refused",
        f"{_NATS}::TestWhatComesLate -k 'not oldest'",
    ),
    Law(
        "5",
        "no mirror is made of a job that has ended",
        "jobmaster/master/placements.py",
        '            known |= {tx.dialect.uuid(row[0]) for row in tx.rows("history_has", ids=ids)}\n'
        "            fresh",
        "            fresh",
        f"{_CLUSTERS}::TestSql -k {_ON_FILES}",
    ),
    Law(
        "5",
        "a job that comes back late does not replace the one placed since",
        "jobmaster/master/placements.py",
        "if holder != agent.store_id or (placement, claim_no) > (copy.placement, copy.claim_no):\n"
        "                continue",
        "if False:\n                continue",
        f"{_CLUSTERS}::TestSql -k 'comes_back_late and sqlite and not postgres'",
    ),
    Law(
        "6",
        "a job that kills its process fails as lost",
        "jobmaster/domain/verdict.py",
        "return after, after > max_losses",
        "return after, False",
        "tests/unit/domain",
    ),
    Law(
        "7",
        "a store that is not the one known by that name is refused",
        "jobmaster/master/placements.py",
        "if known != agent.store_id:",
        "if known is None:",
        f"{_CLUSTERS}::TestSql -k {_ON_FILES}",
    ),
    Law(
        "8",
        "a full stream takes no message and drops none",
        "jobmaster/agents/nats/streams.py",
        '"discard": "new",',
        '"discard": "old",',
        "tests/cluster/test_nats_refusals.py -k full_stream",
    ),
    Law(
        "8",
        "a message that is delivered again is not run",
        "jobmaster/agents/nats/claiming.py",
        "if delivered.times > 1:",
        "if delivered.times > 99:",
        f"{_NATS_POINTS} -k 'charged and not oldest'",
    ),
    Law(
        "8",
        "a job is acknowledged after its outcome is stored",
        "jobmaster/agents/nats/settling.py",
        '    with session.writing("settle"):\n',
        "    session.acknowledging.begin([claim.reply for _, claim in kept])\n"
        '    await session.acknowledging.confirmed()\n    with session.writing("settle"):\n',
        f"{_NATS_POINTS} -m '' -k 'dies_at_any and settle and not oldest'",
    ),
    Law(
        "8",
        "the master is told of a loss before the job waits again",
        "jobmaster/agents/nats/settlement.py",
        "stale = self._master.overtake(self._key, [loss.raised for loss in left])",
        "stale: frozenset[UUID] = frozenset()",
        f"{_NATS}::TestWhatComesLate -k 'not oldest'",
    ),
    Law(
        "8",
        "an end counts only for the claim that it ends",
        "jobmaster/agents/nats/claiming.py",
        "> (copy.placement, copy.claim_no)",
        ">= (copy.placement, 0)",
        f"{_NATS}::TestWhatComesLate -k 'not oldest'",
    ),
    Law(
        "8",
        "a rescue tells the master of an end that it meets before anything else",
        "jobmaster/agents/nats/settlement.py",
        "        if len(told):\n",
        "        if len(told) < 0:\n",
        f"{_NATS}::TestWhatComesLate -k 'not oldest'",
    ),
    Law(
        "9",
        "an occurrence that exists, live or in history, is left alone",
        "jobmaster/master/schedules.py",
        '            known |= {uuid(row[0]) for row in tx.rows("history_has", ids=part)}\n',
        "",
        "tests/conformance -k 'left_alone_live_or_finished and sqlite and not postgres and not mariadb'",
    ),
]

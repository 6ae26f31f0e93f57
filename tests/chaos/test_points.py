"""Every write of the data path has a fault point before and after its commit, and every one is visited."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobmaster.agents.agent_database import AgentDatabaseSettlement
from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.agents.skew import Skew
from jobmaster.agents.sql import SqlTransport
from jobmaster.master.sql import SqlMasterStore
from jobmaster.ports import RunningMark
from jobmaster.sql import open_database
from jobmaster.sql.reading import SqlJobReader
from jobmaster.testing.conformance import Parties, Stores
from jobmaster.testing.conformance.parties import SOON
from tests.harness import points


class Visitor:
    """Notes which points are passed."""

    def __init__(self) -> None:
        self.visited: set[str] = set()

    def reach(self, name: str) -> None:
        self.visited.add(name)

    @property
    def writes(self) -> set[str]:
        """The writes of which both points were passed."""
        names = {name.rpartition(".")[0] for name in self.visited}
        return {n for n in names if {f"{n}.before_commit", f"{n}.after_commit"} <= self.visited}


def test_only_the_gateway_commits_and_every_write_has_a_name_on_the_list() -> None:
    """A new transaction has to be entered, and then visited; nobody may go past the gateway."""
    assert points.commits() == {"sql/gateway.py", "sql/mysql.py"}
    assert points.named_in_source() <= points.DATA | points.UPKEEP
    assert points.passed_in_source() == points.WITHIN
    assert points.written_on_nats() == points.NATS
    assert points.speaking_to_nats() == {"agents/nats/link.py"}


@pytest.fixture
def visitor() -> Visitor:
    return Visitor()


@pytest.fixture
def parties(database_url: str, visitor: Visitor) -> Iterator[Parties]:
    home = open_database(database_url, cluster_id="points", role="master", faults=visitor)
    away = open_database(
        database_url, cluster_id="points", name="agent", role="agent", table_prefix="agent_", faults=visitor
    )
    master, skew = SqlMasterStore(home), Skew()
    settlement = AgentDatabaseSettlement(away, master, skew, None, logging.getLogger("points"))
    agent = Stores(SqlTransport(away, skew), settlement, master)
    made = Parties(
        master, SqlTransport(home), SameDatabaseSettlement(home), agent, SqlJobReader(away, skew.shown)
    )
    made.open()
    yield made
    made.close()


def test_every_write_is_visited_on_every_database(parties: Parties, visitor: Visitor) -> None:
    master, transport, key = parties.master, parties.transport, parties.transport.key
    # enqueue, claim, mark, retry, settle, ship
    parties.agent.enqueue(4)
    holder = parties.agent.holder()
    first, second, third, fourth = holder.claim()
    started = transport.now()
    transport.mark([RunningMark(first.id, first.bucket_id, first.claim_no, started)])
    holder.settle(holder.succeeded(first), holder.failed(second), holder.failed(third, timedelta(hours=1)))
    transport.renew(holder.id, list(holder.buckets.values()), timedelta(minutes=1))
    transport.complete_buckets(holder.id)
    holder.expire()
    parties.agent.settlement.rescue(5)
    parties.agent.settlement.rescue(5)
    parties.agent.settlement.reschedule(fourth.id, started)
    parties.agent.settlement.cancel(fourth.id, "points")
    parties.save()
    parties.ship()
    # what is held: placed, repeated, given back, delivered, taken again
    parties.hold(2)
    (placed,) = master.place("default", SOON, 10, {key: 1.0})
    master.give_back(key, placed.copies)
    (placed,) = master.place("default", SOON, 10, {key: 1.0})
    master.repeat(key, placed.copies)
    transport.receive(placed.copies)
    master.confirm(key, [copy.id for copy in placed.copies])
    bucket, copies = parties.take()
    master.take_back(key, copies)
    transport.let_go(bucket)
    master.overtake(key, copies)
    master.doubt(key, [copy.id for copy in copies])
    master.unmirror()
    parties.onboard()
    parties.run()
    parties.ship()
    parties.settlement.revive(first.id)
    fresh = parties.agent.holder()
    transport.close_buckets(list(fresh.buckets.values()))
    one_writer = transport._database.gateway.dialect.name == "sqlite"  # type: ignore[attr-defined]
    elsewhere = {"ship", "save"} if one_writer else {"shipped", "saved"}
    cluster_level = {"plan", "schedule_change", "enqueue_keyed", "drop"}
    assert points.DATA - visitor.writes - elsewhere - cluster_level == set()
    assert visitor.writes <= points.DATA | points.UPKEEP

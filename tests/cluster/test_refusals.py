"""What a cluster refuses, before anything is written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from jobmaster import (
    Cluster,
    ClusterConfig,
    ConfigurationError,
    InvalidJob,
    JobHandler,
    JobRequest,
    JobStatus,
)
from tests.cluster.conftest import ON_DATABASES, Site
from tests.cluster.handlers import Counted
from tests.cluster.test_draining import on_agent
from tests.databases import sqlalchemy_url


def two(path: Path) -> ClusterConfig:
    config = ClusterConfig("c").use_sqlite_for_master(path / "master.db").add_handlers()
    config.add_agent_connection("a", f"sqlite:///{path / 'a.db'}")
    return config.add_agent_connection("b", f"sqlite:///{path / 'b.db'}")


def other(path: Path, *names: str) -> list[str]:
    return [f"sqlite:///{path / f'{name}.db'}" for name in names]


FAULTS: list[tuple[str, Any, str]] = [
    (
        "worker on an unknown agent",
        lambda p: two(p).add_worker("c"),
        r"no agent connection 'c'; there is 'a', 'b'",
    ),
    ("worker that names no agent", lambda p: two(p).add_worker(), "must say which agent"),
    (
        "two agents of one name",
        lambda p: two(p).add_agent_connection("a", other(p, "x")[0]),
        "'a' is given twice",
    ),
    (
        "two agents in one store",
        lambda p: two(p).add_agent_connection("x", other(p, "a")[0]),
        "share its tables with a",
    ),
    ("an agent of unknown kind", lambda p: two(p).add_agent_connection("x", "redis://h/0"), "'redis' is not"),
    ("an agent without a URL", lambda p: two(p).add_agent_connection("x", ""), "takes a URL as text"),
    ("a bad agent name", lambda p: two(p).add_agent_connection("x y", other(p, "x")[0]), "not a valid name"),
    (
        "the name of the standalone agent",
        lambda p: two(p).add_agent_connection("standalone", other(p, "x")[0]),
        "standalone cluster",
    ),
    ("threshold too short", lambda p: two(p).transient_threshold(9), "transient_threshold"),
    ("threshold too long", lambda p: two(p).transient_threshold(24 * 3600 + 1), "transient_threshold"),
    (
        "a master without agents",
        lambda p: ClusterConfig("c").use_sqlite_for_master(p / "m"),
        "add_agent_conn",
    ),
    (
        "agents without a master",
        lambda p: ClusterConfig("c").add_agent_connection("a", other(p, "a")[0]),
        "use_postgres_for_master",
    ),
    (
        "standalone with agents",
        lambda p: ClusterConfig("c").use_sqlite(p / "m").add_agent_connection("a", other(p, "a")[0]),
        "use_sqlite_for_master",
    ),
    ("two masters", lambda p: two(p).use_sqlite_for_master(p / "other.db"), "one master, not several"),
    ("both at once", lambda p: two(p).use_standalone(), "contradict"),
    ("a bad option", lambda p: two(p).add_agent_connection("x", other(p, "x")[0], pool_size=-1), "pool_size"),
    (
        "a schema in SQLite",
        lambda p: two(p).add_agent_connection("x", other(p, "x")[0], schema="s"),
        "schema",
    ),
]


@pytest.mark.parametrize(
    ("make", "says"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_a_config_that_cannot_be_is_refused_in_one_error(tmp_path: Path, make: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make(tmp_path).build()
    assert list(tmp_path.iterdir()) == []


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    config = two(tmp_path).add_agent_connection("a", "nowhere://x").add_worker("z").transient_threshold(1)
    with pytest.raises(ConfigurationError) as caught:
        config.build()
    assert len(caught.value.problems) >= 2


def test_toml_describes_agents_too(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(
        f"""
name = "orders"
use_sqlite_for_master = "{tmp_path / "m.db"}"
transient_threshold = "30 s"
[[agents]]
name = "a"
url = "sqlite:///{tmp_path / "a.db"}"
pool_size = 3
[[agents]]
name = "b"
url = "sqlite:///{tmp_path / "b.db"}"
table_prefix = "b_"
[[workers]]
agent_connection = "b"
lane = "mail"
"""
    )
    cluster = ClusterConfig.from_toml(path).add_handlers(Counted).build()
    settings = cluster.settings_in_code
    assert list(settings.agents) == ["a", "b"]
    assert (settings.agents["a"].pool_size, settings.agents["b"].table_prefix) == (3, "b_")
    assert [(w.agent_connection, w.lane) for w in settings.workers] == [("b", "mail")]
    path.write_text('name = "x"\nuse_sqlite_for_master = "m.db"\n[[agents]]\nurl = "sqlite:///a.db"\n')
    with pytest.raises(ConfigurationError, match="agents 1 has no name"):
        ClusterConfig.from_toml(path).build()


def test_an_agent_in_the_database_of_the_master_gets_tables_of_its_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'one.db'}"
    config = ClusterConfig("c").use_sqlite_for_master(url).add_agent_connection("pay-roll", url)
    cluster = config.add_handlers(Counted).add_worker().build()
    assert cluster.settings_in_code.agents["pay-roll"].table_prefix == "jm_pay_roll_"
    with cluster:
        job = cluster.scheduler.once_now(Counted, {"n": 1})
        assert cluster.scheduler.wait(job.id, 10).agent_connection == "pay-roll"


@ON_DATABASES
async def test_stores_that_are_not_the_ones_meant_are_refused(site: Site) -> None:
    def cluster(agents: dict[str, str], name: str = "harness") -> Cluster:
        config = Site(site.master, agents).config(name).add_handlers(Counted).startup_timeout(5)
        for agent in agents:
            config.add_worker(agent)
        return config.build()

    north, south = site.agents["north"], site.agents["south"]
    async with cluster({"north": north}):
        pass
    with pytest.raises(ConfigurationError, match="agent 'east' is stamped 'north'"):
        await cluster({"east": north}).start_async()
    with pytest.raises(ConfigurationError, match="not the one that this cluster knows"):
        await cluster({"north": south}).start_async()
    with pytest.raises(ConfigurationError, match="belong to cluster 'harness'"):
        await cluster({"north": north}, "another").start_async()
    # given up on purpose, the name may go to another store
    giving_up = cluster({"north": north})
    assert await giving_up.forget_agent_async("north") == 0
    with pytest.raises(ConfigurationError, match="knows no agent 'west'"):
        await giving_up.forget_agent_async("west")
    await giving_up.close_async()


@ON_DATABASES
async def test_jobs_of_an_agent_that_is_given_up_are_held_again(site: Site) -> None:
    config = site.config().add_handlers(Counted).transient_threshold(600).add_worker("north")
    async with config.build() as cluster:
        s = cluster.scheduler
        job = await s.once_after_async(Counted, 300, {"n": 1}, unique_key="k")
        asked_for = await s.once_after_async(Counted, 86_400, {"n": 2}, agent_connection="north")
        async with asyncio.timeout(10):
            while (await s.get_job_async(job.id)).status is not JobStatus.READY or not await on_agent(
                cluster, "north"
            ):
                await asyncio.sleep(0.05)
        with pytest.raises(ConfigurationError, match="answers and has 1 live jobs"):
            await cluster.forget_agent_async("north")
    # in its place there is a new and empty database
    looking = Site(site.master, {"north": site.agents["south"]}).config().build()
    assert await looking.forget_agent_async("north") == 1
    found = await looking.scheduler.find_jobs_async()
    assert job.id in [item.id for item in found]
    assert (await looking.scheduler.get_job_async(asked_for.id)).agent_connection is None
    await looking.close_async()


async def test_bad_calls_are_refused_and_store_nothing(site: Site) -> None:
    class Unregistered(JobHandler, definition_id="unregistered-here"):
        async def handle(self, job: Any) -> None: ...

    config = site.config().add_handlers(Counted).add_worker("north").add_worker("south")
    async with config.build() as cluster:
        s = cluster.scheduler
        with pytest.raises(ConfigurationError, match="agent_connection 'east' is not configured"):
            await s.once_now_async(Counted, {"n": 1}, agent_connection="east")
        with pytest.raises(InvalidJob, match="lane"):
            await s.once_now_async(Counted, {"n": 1}, lane="no lane")
        with pytest.raises(InvalidJob):
            await s.once_many_async([JobRequest(Counted, {"n": 1}), JobRequest(Counted, {"n": object()})])
        assert await s.count_jobs_async() == 0


@ON_DATABASES
async def test_a_key_in_the_callers_transaction_on_an_agent_is_refused(site: Site, kind: str) -> None:
    from sqlalchemy import create_engine

    config = site.config().add_handlers(Counted).add_worker("north")
    async with config.build() as cluster:
        s = cluster.scheduler
        agent = create_engine(sqlalchemy_url(site.agents["north"]))
        master = create_engine(sqlalchemy_url(site.master))
        # a MySQL connection reaches every database of its server, so there it leads to the master as well
        apart = kind != "mariadb"
        with agent.begin() as connection:
            if apart:
                with pytest.raises(ConfigurationError, match="unique_key needs the master"):
                    s.once_now(Counted, {"n": 1}, unique_key="k", connection=connection)
                with pytest.raises(ConfigurationError, match="agent_connection asks for 'south'"):
                    s.once_now(Counted, {"n": 1}, agent_connection="south", connection=connection)
            job = s.once_now(Counted, {"n": 2}, connection=connection)
            assert job.agent_connection == ("north" if apart else None)
        with master.begin() as connection:
            keyed = s.once_now(Counted, {"n": 3}, unique_key="k", connection=connection)
        for stored in (job, keyed):
            assert (await s.wait_async(stored.id, 15)).status.value == "succeeded"
        agent.dispose()
        master.dispose()
        elsewhere = create_engine("sqlite://")
        with (
            elsewhere.begin() as connection,
            pytest.raises(ConfigurationError, match="neither to the master"),
        ):
            s.once_now(Counted, {"n": 4}, connection=connection)
        elsewhere.dispose()

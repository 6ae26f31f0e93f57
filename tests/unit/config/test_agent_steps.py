"""`add_agent_connection` and `use_…_for_master`: what they come to, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobmaster import ClusterConfig, ConfigurationError


def distributed() -> ClusterConfig:
    return ClusterConfig("c").add_handlers().use_postgres_for_master("postgresql://h/master")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            distributed().add_agent_connection("a", "sqlite:///a.db").add_agent_connection("a", "b.db"),
            "agent connection 'a' is given twice",
        ),
        (distributed().add_agent_connection("a b", "a.db"), "agent connection 'a b'"),
        (distributed().add_agent_connection("standalone", "a.db"), "the agent of a standalone cluster"),
        (distributed().add_agent_connection("master", "a.db"), "what the master is called"),
        (distributed().add_agent_connection("a", "oracle://h/a"), "agent connection 'a': "),
        (distributed(), "use_postgres_for_master() needs at least one add_agent_connection"),
        (
            ClusterConfig("c").add_handlers().use_sqlite("x.db").add_agent_connection("a", "a.db"),
            "with agent connections call use_sqlite_for_master()",
        ),
        (
            ClusterConfig("c").add_handlers().add_agent_connection("a", "a.db"),
            "agent connections are given and no master",
        ),
        (
            distributed().use_standalone().add_agent_connection("a", "a.db"),
            "use_standalone() and use_postgres_for_master() contradict each other",
        ),
        (
            distributed().add_agent_connection("a", "a.db").add_agent_connection("b", "a.db"),
            "agent connection 'b' would share its tables with a",
        ),
        (
            distributed().add_agent_connection("a", "postgresql://h/master", table_prefix="jm_"),
            "would share its tables with the master",
        ),
        (
            distributed().add_agent_connection("a", "a.db", schema="x"),
            "agent connection 'a': schema is no option of SQLite",
        ),
        (
            distributed().add_agent_connection("a", "a.db").add_worker("b"),
            "there is no agent connection 'b'; there is 'a'",
        ),
        (
            distributed().add_agent_connection("a", "a.db").add_agent_connection("b", "b.db").add_worker(),
            "agent_connection must say which agent it works for: 'a', 'b'",
        ),
        (
            distributed().add_agent_connection("a", "a.db").transient_threshold(9),
            "transient_threshold",
        ),
    ],
)
def test_faults_are_told_in_one_sentence(made: ClusterConfig, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made.build()
    assert len(caught.value.problems) == 1, caught.value.problems
    assert message in str(caught.value)


def test_an_agent_in_the_masters_database_gets_tables_of_its_own() -> None:
    cluster = (
        distributed()
        .add_agent_connection("beside-1", "postgresql://h/master")
        .add_agent_connection("named", "postgresql://h/master", table_prefix="own_")
        .add_agent_connection("elsewhere", "postgresql://h/other")
        .build()
    )
    prefixes = {name: agent.table_prefix for name, agent in cluster.settings_in_code.agents.items()}
    assert prefixes == {"beside-1": "jm_beside_1_", "named": "own_", "elsewhere": "jm_"}
    assert cluster.settings_in_code.database.table_prefix == "jm_"


def test_one_agent_need_not_be_named() -> None:
    cluster = distributed().add_agent_connection("a", "a.db").add_worker().build()
    assert [worker.agent_connection for worker in cluster.settings_in_code.workers] == ["a"]


def test_a_file_and_the_environment_give_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobmaster.toml").write_text(
        'name = "orders"\nuse_sqlite_for_master = "master.db"\n'
        '[[agents]]\nname = "north"\nurl = "north.db"\npool_size = 3\n'
        '[[workers]]\nagent_connection = "north"\n'
    )
    found = ClusterConfig.from_toml(tmp_path / "jobmaster.toml").add_handlers().build().settings_in_code
    assert [(name, agent.pool_size) for name, agent in found.agents.items()] == [("north", 3)]
    monkeypatch.setenv("JOBMASTER_AGENTS", json.dumps([{"name": "south", "url": "south.db"}]))
    monkeypatch.setenv("JOBMASTER_WORKERS", json.dumps([{"agent_connection": "south"}]))
    found = ClusterConfig.from_toml(tmp_path / "jobmaster.toml").add_handlers().build().settings_in_code
    assert list(found.agents) == ["south"]
    assert [worker.agent_connection for worker in found.workers] == ["south"]

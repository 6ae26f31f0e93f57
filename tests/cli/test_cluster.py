"""Commands on a cluster of a master and two agents."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from jobmaster import Cluster, JobRequest, JobStatus
from jobmaster.sql.schema import SCHEMA_VERSION
from tests.cli.conftest import Project
from tests.servers.process import alive

PATIENCE = 40.0
AT = ("--cluster", "app:cluster")
RUN = ("run", "app:cluster", "--log-level", "warning")


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that other processes bring about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def onlooker(cluster_project: Project) -> Iterator[Cluster]:
    """The cluster seen from here; runs nothing."""
    cluster = cluster_project.agents().build()
    yield cluster
    cluster.close()


def put(cluster: Cluster, agent: str, count: int, lane: str | None = None) -> list[UUID]:
    """Enqueue jobs on one agent."""
    jobs = [
        JobRequest("hello", {"name": str(number)}, agent_connection=agent, lane=lane)
        for number in range(count)
    ]
    return list(cluster.scheduler.once_many(jobs, returning="ids"))


def run_workers(project: Project, onlooker: Cluster, workers: str, count: int) -> subprocess.Popen[str]:
    """Start the workers `AGENT:LANE …` in a process, and wait until they are registered."""
    project.environment["APP_WORKERS"] = workers
    process = project.start(*RUN)
    until(lambda: sum(worker.alive for worker in onlooker.workers()) == count, "the workers live")
    return process


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


# -- check and migrate ---------------------------------------------------------------------------------


def test_check_and_migrate_look_at_every_store(cluster_project: Project, onlooker: Cluster) -> None:
    project = cluster_project
    ran = project.run("check", "app:cluster", "--json")
    assert ran.code == 2
    missing = {finding["store"] for finding in ran.json["findings"] if not finding["ok"]}
    assert missing == {"master", "north", "south"}
    assert not list(project.folder.glob("*.db"))

    made = project.run("migrate", "app:cluster").out.splitlines()
    assert [line.partition(" on ")[0] for line in made] == ["master", "agent north", "agent south"]
    assert all(line.endswith(f"tables jm_*: tables made, version {SCHEMA_VERSION}") for line in made)
    again = project.run("migrate", "app:cluster", "--json").json
    assert again["database"].endswith("master.db")
    assert [agent["store"] for agent in again["agents"]] == ["north", "south"]
    assert again["agents"][0]["before"] == again["agents"][0]["after"] == again["after"]

    put(onlooker, "north", 1)
    put(onlooker, "south", 1)
    ran = project.run("check", "app:cluster", "--json")
    assert ran.code == 0
    found = {(finding["store"], finding["what"]): finding["detail"] for finding in ran.json["findings"]}
    assert "cluster 'app', master, store" in found["master", "identity"]
    assert "cluster 'app', agent 'north', store" in found["north", "identity"]
    assert found["south", "schema"] == f"version {SCHEMA_VERSION}"
    assert "north-default (agent north, lane default, full)" in found[None, "workers"]
    assert "identity of agent south" in project.run("check", "app:cluster").out


def test_migrate_prints_the_statements_of_every_store(cluster_project: Project) -> None:
    project = cluster_project
    printed = project.run("migrate", "app:cluster", "--sql").out
    heads = re.findall(r"^-- (master|agent \w+) on .*, tables jm_\*$", printed, re.M)
    assert heads == ["master", "agent north", "agent south"]
    assert not list(project.folder.glob("*.db"))
    parts = re.split(r"^-- (?:master|agent).*$", printed, flags=re.M)[1:]
    for name, script in zip(("master", "north", "south"), parts, strict=True):
        connection = sqlite3.connect(project.folder / f"{name}.db")
        connection.executescript(script)
        connection.close()
    assert project.run("check", "app:cluster").code == 0
    ran = project.run("status", "app:cluster", "--json")
    assert [agent["reachable"] for agent in ran.json["agents"]] == [True, True]


def test_migrate_does_what_it_can_and_names_the_rest(cluster_project: Project) -> None:
    ran = cluster_project.run("migrate", "app:far")
    assert ran.code == 2
    assert [line.partition(" on ")[0] for line in ran.out.splitlines()] == ["master", "agent north"]
    assert "agent 'far': " in ran.err
    assert "secret" not in ran.out + ran.err


def test_check_finds_what_is_wrong_with_an_agent(cluster_project: Project, onlooker: Cluster) -> None:
    project = cluster_project
    put(onlooker, "north", 1)
    onlooker.close()
    north = sqlite3.connect(project.folder / "north.db")

    def stamp(name: str, value: str) -> str:
        [(before,)] = north.execute("SELECT value FROM jm_meta WHERE name = ?", (name,)).fetchall()
        with north:
            north.execute("UPDATE jm_meta SET value = ? WHERE name = ?", (value, name))
        return str(before)

    def identity() -> tuple[bool, str]:
        findings = project.run("check", "app:cluster", "--json").json["findings"]
        found = next(f for f in findings if f["store"] == "north" and f["what"] == "identity")
        return found["ok"], found["detail"]

    assert identity()[0]
    stamp("store_name", "south")
    assert identity() == (False, "the tables are those of agent 'south'")
    stamp("store_name", "standalone")
    assert identity() == (False, "the tables are those of a master or standalone database")
    stamp("store_name", "north")
    store_id = stamp("store_id", str(UUID(int=1)))
    ok, detail = identity()
    assert not ok
    assert f"the master knows agent 'north' as store {store_id}: it was wiped, restored or is an" in detail
    # the rest of the cluster stays visible, and this agent is shown as what it is
    away = project.run("agents", "--json", *AT).json["agents"][0]
    assert away["reachable"] is False
    assert "wiped, restored" in away["fault"]
    assert project.run("status", "app:cluster").code == 0
    with north:
        north.execute("DELETE FROM jm_meta WHERE name IN ('cluster_id', 'store_name', 'store_id')")
    assert "not stamped, and the master knows agent 'north' as store" in identity()[1]
    north.close()


# -- agents --------------------------------------------------------------------------------------------


def test_agents_are_listed_with_what_lives_there(cluster_project: Project, onlooker: Cluster) -> None:
    project = cluster_project
    put(onlooker, "north", 3)
    found = project.run("agents", "--json", *AT).json["agents"]
    assert [(agent["name"], agent["reachable"], agent["draining"]) for agent in found] == [
        ("north", True, False),
        ("south", True, False),
    ]
    assert [(agent["live_jobs"], agent["unshipped"]) for agent in found] == [(3, 0), (0, 0)]
    assert found[0]["location"].endswith("north.db")
    shown = project.run("agents", *AT).out
    assert re.search(r"north .*north\.db +reachable +3 +0", shown)


def test_an_agent_that_is_away_is_listed_as_such(cluster_project: Project) -> None:
    project = cluster_project
    found = project.run("agents", "--json", "--cluster", "app:far").json["agents"]
    assert [(agent["name"], agent["reachable"]) for agent in found] == [("north", True), ("far", False)]
    assert "127.0.0.1" in found[1]["fault"]
    assert "secret" not in json.dumps(found)
    assert "not reachable" in project.run("agents", "--cluster", "app:far").out


def test_agents_are_listed_while_the_master_is_away(cluster_project: Project) -> None:
    ran = cluster_project.run("agents", "--json", "--cluster", "app:orphaned")
    assert ran.code == 0
    assert [(agent["reachable"], agent["live_jobs"]) for agent in ran.json["agents"]] == [(True, None)]
    assert "the master does not answer" in ran.err
    assert "secret" not in ran.err


def test_a_standalone_cluster_has_one_agent(cluster_project: Project) -> None:
    found = cluster_project.run("agents", "--json", "--cluster", "app:alone").json["agents"]
    assert [(agent["name"], agent["live_jobs"]) for agent in found] == [("standalone", 0)]


def test_an_agent_whose_store_is_gone_is_forgotten(cluster_project: Project, onlooker: Cluster) -> None:
    project = cluster_project
    put(onlooker, "north", 5)
    process = run_workers(project, onlooker, "north:other", 1)  # its saver tells the master of the jobs
    until(lambda: onlooker.scheduler.count_jobs(status="ready") == 5, "the master knows them")
    refused = project.run("agents", "forget", "north", "--yes", *AT).sentence
    assert "answers and has 5 live jobs" in refused
    stop(process)
    onlooker.close()
    for file in project.folder.glob("north.db*"):
        file.unlink()
    asked = project.run("agents", "forget", "north", *AT).sentence
    assert "is forgotten with --yes only" in asked
    done = project.run("agents", "forget", "north", "--yes", *AT)
    assert done.out == "agent north is forgotten, 5 of its jobs are held on the master\n"
    process = run_workers(project, onlooker, "south:default", 1)
    until(lambda: onlooker.scheduler.count_jobs(status="succeeded") == 5, "they ran on the other agent")
    stop(process)


# -- drain ---------------------------------------------------------------------------------------------


def test_an_agent_is_drained_while_jobs_flow(cluster_project: Project, onlooker: Cluster) -> None:
    project = cluster_project
    put(onlooker, "north", 700)
    process = run_workers(project, onlooker, "south:default", 1)
    ran = project.run("drain", "north", "--timeout", "30", *AT)
    assert (ran.code, ran.out) == (0, "agent north is empty: 700 moved to the master\n")
    assert re.search(r"agent north: \d+ moved, \d+ left, 0 unshipped", ran.err)
    until(lambda: onlooker.scheduler.count_jobs(status="succeeded") == 700, "all ran on the other agent")
    ended = onlooker.scheduler.find_jobs(limit=1000)
    assert {job.result.rpartition(" ")[2] for job in ended} == {"south"}
    agents = project.run("agents", "--json", *AT).json["agents"]
    assert [agent["draining"] for agent in agents] == [True, False]
    assert "draining" in project.run("status", "app:cluster").out
    undone = project.run("drain", "north", "--undo", *AT)
    assert (undone.code, undone.out) == (0, "agent north takes jobs again\n")
    assert not project.run("agents", "--json", *AT).json["agents"][0]["draining"]
    stop(process)


def test_a_drain_that_takes_too_long_says_what_is_left(cluster_project: Project, onlooker: Cluster) -> None:
    project = cluster_project
    onlooker.scheduler.once_now("sleep", {"seconds": 60}, agent_connection="north")
    process = run_workers(project, onlooker, "north:default south:default", 2)
    until(lambda: onlooker.scheduler.count_jobs(status="processing") == 1, "it runs")
    ran = project.run("drain", "north", "--timeout", "0.5", *AT)
    assert ran.code == 1
    assert "agent north is not empty yet: 0 moved, 1 left, 0 unshipped; coordinators go on" in ran.out
    as_json = project.run("drain", "north", "--timeout", "0", "--json", *AT)
    assert as_json.code == 1
    assert as_json.json == {
        "agent_connection": "north",
        "draining": True,
        "moved": 0,
        "left": 1,
        "unshipped": 0,
        "empty": False,
    }
    stop(process)


def test_a_drain_shows_its_progress_in_a_terminal(cluster_project: Project, onlooker: Cluster) -> None:
    project = cluster_project
    onlooker.scheduler.once_now("sleep", {"seconds": 60}, agent_connection="north")
    process = run_workers(project, onlooker, "north:default", 1)
    until(lambda: onlooker.scheduler.count_jobs(status="processing") == 1, "it runs")
    with project.terminal("drain", "north", *AT) as terminal:
        terminal.expect(r"agent north: 0 moved, 1 left, 0 unshipped")
        terminal.press(b"\x03")
        assert terminal.wait() == 130
        terminal.expect(r"agent north goes on draining; `jobmaster drain north --undo` ends it")
    assert "Traceback" not in terminal.text
    stop(process)


def test_lanes_that_nobody_else_serves_are_moved_only_on_demand(
    cluster_project: Project, onlooker: Cluster
) -> None:
    project = cluster_project
    put(onlooker, "north", 2, lane="payroll")
    process = run_workers(project, onlooker, "south:default", 1)
    refused = project.run("drain", "north", *AT).sentence
    assert "has jobs on lane 'payroll', which no live worker on another agent serves" in refused
    assert "--hold" in refused
    assert not project.run("agents", "--json", *AT).json["agents"][0]["draining"]
    held = project.run("drain", "north", "--hold", "--json", *AT)
    assert held.code == 0
    assert held.json["moved"] == 2
    assert onlooker.scheduler.count_jobs(status="held_on_master") == 2
    stop(process)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("drain", "west", *AT), "there is no agent connection 'west'; there is 'north', 'south'"),
        (("drain", "west", "--undo", *AT), "there is no agent connection 'west'"),
        (("drain", "standalone", "--cluster", "app:alone"), "a standalone cluster has no agents to drain"),
        (("drain", "north"), "which cluster?"),
        (("drain", *AT), "missing argument 'AGENT'"),
        (("drain", "north", "--undo", "--hold", *AT), "--undo ends a drain"),
        (("drain", "north", "--timeout", "-1", *AT), "'--timeout'"),
        (("drain", "far", "--cluster", "app:far"), "agent 'far' is away and cannot be drained"),
        (("agents", "forget", "west", "--yes", *AT), "the master knows no agent 'west'"),
        (("agents", "forget", "west", "--yes"), "which cluster?"),
        (("agents", "forget", "other", "--yes", "--cluster", "app:alone"), "knows no agent 'other'"),
        (("agents",), "which cluster?"),
        (("agents", "--json", "forget", "north", *AT), "give options after `forget`"),
    ],
)
def test_what_cannot_be_drained_or_forgotten(
    cluster_project: Project, arguments: tuple[str, ...], said: str
) -> None:
    sentence = cluster_project.run(*arguments).sentence
    assert said in sentence
    assert "secret" not in sentence


def test_the_master_of_a_cluster_is_no_standalone_database(
    cluster_project: Project, onlooker: Cluster
) -> None:
    project = cluster_project
    put(onlooker, "north", 1)
    master, north = (f"sqlite:///{project.folder}/{name}.db" for name in ("master", "north"))
    said = project.run("status", "--url", master).sentence
    assert "is the master of cluster 'app' with agent 'north'" in said
    assert "holds agent 'north' of cluster 'app'" in project.run("jobs", "list", "--url", north).sentence
    # once its agents are given up for good, it is
    assert project.run("drain", "north", "--hold", *AT).code == 0
    assert len(project.run("jobs", "list", "--json", "--url", master).json["jobs"]) == 1


# -- looking -------------------------------------------------------------------------------------------


def test_status_shows_agents_lanes_workers_buckets_and_depths(
    cluster_project: Project, onlooker: Cluster
) -> None:
    project = cluster_project
    s = onlooker.scheduler
    s.once_after("hello", 86400, {"name": "later"})
    put(onlooker, "north", 2, lane="payroll")
    s.once_now("sleep", agent_connection="south")
    process = run_workers(project, onlooker, "north:default south:default", 2)
    until(lambda: s.count_jobs(status="processing") == 1, "it runs")
    found = project.run("status", "app:cluster", "--json").json
    assert [agent["name"] for agent in found["agents"]] == ["north", "south"]
    lanes = {lane["lane"]: lane for lane in found["lanes"]}
    assert lanes["payroll"] | {"slots": 0} == {
        "lane": "payroll",
        "workers": 0,
        "slots": 0,
        "agents": [],
        "waiting": 2,
        "claimed": 0,
    }
    assert lanes["default"]["agents"] == ["north", "south"]
    assert (lanes["default"]["workers"], lanes["default"]["slots"]) == (2, 40)
    assert (lanes["default"]["waiting"], lanes["default"]["claimed"]) == (1, 1)
    held = [depth for depth in found["depths"] if depth["agent_connection"] is None]
    assert [(depth["status"], depth["jobs"]) for depth in held] == [("held_on_master", 1)]
    assert {bucket["agent_connection"] for bucket in found["buckets"]} == {"north", "south"}
    shown = project.run("status", "app:cluster").out
    assert re.search(r"payroll +0 +0 +- +2 +0 +no live worker", shown)
    assert re.search(r"default +2 +40 +north, south +1 +1 *\n", shown)
    assert re.search(r"master +default +medium +1 ", shown)
    assert re.search(r"north-default +north +default +full", shown)
    assert re.search(r"south +south-default +default +medium +active +1 ", shown)
    workers = project.run("workers", "app:cluster").out
    assert re.search(r"south-default +south +default +full", workers)
    stop(process)


def test_a_watched_status_shows_how_fast_jobs_come_and_end(
    cluster_project: Project, onlooker: Cluster
) -> None:
    project = cluster_project
    put(onlooker, "north", 1)
    with project.terminal("status", "app:cluster", "--watch", "--json", "--interval", "0.2") as terminal:
        first = json.loads(terminal.expect(r"\{.*\}\n").group())
        assert first["rates"] is None
        put(onlooker, "south", 50)
        until_came = time.monotonic() + PATIENCE
        while True:
            rates = json.loads(terminal.expect(r"\{.*\}\n").group())["rates"]
            if rates["enqueued"]:
                break
            assert time.monotonic() < until_came
        assert rates["enqueued"] == pytest.approx(50 / rates["seconds"])
        assert rates["ended"] == 0
        process = run_workers(project, onlooker, "north:default south:default", 2)
        ended = 0.0
        while round(ended) < 51:
            line = json.loads(terminal.expect(r"\{.*\}\n").group())["rates"]
            ended += line["ended"] * line["seconds"]
            assert time.monotonic() < until_came + PATIENCE
        terminal.press(b"\x03")
        assert terminal.wait() == 130
    with project.terminal("status", "app:cluster", "--watch", "--interval", "0.1") as terminal:
        terminal.expect(r"0\.0 jobs/s enqueued, 0\.0 jobs/s ended")
        terminal.press(b"\x03")
        assert terminal.wait() == 0
    stop(process)


# -- jobs and run --------------------------------------------------------------------------------------


def test_jobs_are_found_and_changed_wherever_they_are(cluster_project: Project, onlooker: Cluster) -> None:
    project = cluster_project
    on_agent = str(put(onlooker, "north", 1)[0])
    held = str(onlooker.scheduler.once_after("hello", 86400, {"name": "later"}).id)
    listed = project.run("jobs", "list", "--json", *AT).json["jobs"]
    assert [(job["id"], job["status"], job["agent_connection"]) for job in listed] == [
        (held, "held_on_master", None),
        (on_agent, "save_pending", "north"),
    ]
    explained = project.run("jobs", "explain", on_agent, "--json", *AT).json
    assert "no_worker" in [reason["code"] for reason in explained["reasons"]]
    for job_id in (on_agent, held):
        assert project.run("jobs", "cancel", job_id, *AT).out == f"{job_id} cancelled\n"
        assert "has ended already" in project.run("jobs", "cancel", job_id, *AT).sentence
    process = run_workers(project, onlooker, "north:default south:default", 2)
    assert project.run("jobs", "retry", on_agent, *AT).out.startswith(f"{on_agent} runs again")
    until(lambda: onlooker.scheduler.get_job(UUID(on_agent)).status is JobStatus.SUCCEEDED, "it ran")
    assert "Hello 0 from" in project.run("jobs", "show", on_agent, *AT).out
    stop(process)


def test_several_processes_serve_several_agents(cluster_project: Project, onlooker: Cluster) -> None:
    import psutil

    project = cluster_project
    process = project.start("run", "app:cluster", "--processes", "2")
    until(lambda: sum(w.alive for w in onlooker.workers()) == 4, "two workers in each of two processes")
    places = sorted((worker.agent_connection, worker.pid) for worker in onlooker.workers())
    assert [agent for agent, _ in places] == ["north", "north", "south", "south"]
    assert len({pid for _, pid in places}) == 2
    ids = put(onlooker, "north", 20) + put(onlooker, "south", 20)
    until(lambda: onlooker.scheduler.count_jobs(status="succeeded") == len(ids), "all ran")
    family = psutil.Process(process.pid).children()
    family[0].kill()
    until(
        lambda: len({w.pid for w in onlooker.workers() if w.alive} - {family[0].pid}) == 2,
        "another process has taken its place",
    )
    now = psutil.Process(process.pid).children()
    stop(process)
    assert not [child for child in now if alive(child)]
    assert process.stderr is not None
    assert "starts 2 workers of cluster 'app', lane default, agent north, south" in process.stderr.read()

"""Commands on a cluster whose agent is NATS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobmaster import ClusterConfig, JobStatus
from tests.cli.conftest import CLUSTER_APP, Project
from tests.cli.forking import Commands

pytestmark = pytest.mark.nats
AT = ("--cluster", "app:cluster")


@pytest.fixture
def project(tmp_path: Path, nats_url: str, commands: Commands) -> Iterator[Project]:
    """A project with a master in SQLite and the NATS agent `fast`; its URL has a password."""
    folder = tmp_path / "project"
    folder.mkdir()
    url = nats_url.replace("//", "//me:hush@")
    app = CLUSTER_APP[: CLUSTER_APP.index("def agents(")]
    app += (
        'config = ClusterConfig("app").lease(2).startup_timeout(2).operation_timeout(2)\n'
        'config.use_sqlite_for_master("master.db")\n'
        f'cluster = config.add_agent_connection("fast", {url!r}, max_bytes=50_000_000).build()\n'
    )
    (folder / "app.py").write_text(app)
    found = Project(folder, "", commands)
    yield found
    found.close()


def test_a_cluster_is_checked_made_looked_at_and_drained(project: Project, nats_url: str) -> None:
    before = project.run("check", "app:cluster", "--json")
    assert before.code == 2
    of_agent = {f["what"]: f for f in before.json["findings"] if f["store"] == "fast"}
    assert [finding["ok"] for finding in of_agent.values()] == [True, True, True]
    assert "jm-app-fast-jobs" in of_agent["streams"]["detail"]
    assert "with JetStream" in of_agent["connection"]["detail"]
    assert "NATS: it has streams" in project.run("migrate", "app:cluster", "--sql").out
    made = project.run("migrate", "app:cluster")
    assert (made.code, "agent fast at nats://127.0.0.1" in made.out) == (0, True)
    after = project.run("check", "app:cluster", "--json").json["findings"]
    assert all(finding["ok"] for finding in after if finding["store"] == "fast")

    config = ClusterConfig("app").add_handlers().use_sqlite_for_master(project.folder / "master.db")
    with config.add_agent_connection("fast", nats_url).build() as cluster:
        jobs = [cluster.scheduler.once_now("hello", {"name": "x"}, agent_connection="fast") for _ in range(3)]
        listed = project.run("agents", *AT, "--json").json
        (agent,) = listed if isinstance(listed, list) else listed["agents"]
        assert (agent["name"], agent["reachable"]) == ("fast", True)
        status = project.run("status", *AT)
        assert (status.code, "fast" in status.out) == (0, True)
        told = project.run("jobs", "explain", str(jobs[0].id), *AT)
        assert (told.code, "no worker" in told.out) == (0, True)
        drained = project.run("drain", "fast", *AT, "--hold")
        assert drained.code == 0, drained
        statuses = {cluster.scheduler.get_job(job.id).status for job in jobs}
        assert statuses == {JobStatus.HELD_ON_MASTER}
    said = [before, made, status, told, drained]
    assert not [ran for ran in said if "hush" in ran.out + ran.err]


def test_other_settings_and_servers_that_do_not_answer_are_found(project: Project, nats_url: str) -> None:
    assert project.run("migrate", "app:cluster").code == 0
    app = project.folder / "app.py"
    text = app.read_text()
    app.write_text(text.replace("50_000_000", "60_000_000"))
    found = project.run("check", "app:cluster", "--json").json["findings"]
    (streams,) = [f for f in found if f["store"] == "fast" and f["what"] == "streams"]
    assert (streams["ok"], "max_bytes 50000000" in streams["detail"]) == (False, True)
    app.write_text(text.replace(nats_url.rpartition(":")[2], "9"))
    found = project.run("check", "app:cluster", "--json").json["findings"]
    (connection,) = [f for f in found if f["store"] == "fast"]
    assert (connection["ok"], "no server answers" in connection["detail"]) == (False, True)
    assert "hush" not in connection["detail"]

"""Commands on a cluster whose agent is NATS."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest

from jobmaster import ClusterConfig, JobStatus
from tests.cli.conftest import CLUSTER_APP, Project
from tests.servers import NatsServer, ServerAbsent, absent

pytestmark = pytest.mark.nats
AT = ("--cluster", "app:cluster")


@pytest.fixture
def project(tmp_path: Path, nats_url: str) -> Iterator[Project]:
    """A project with a master in SQLite and the NATS agent `fast`; its URL has a password."""
    found = _project(tmp_path, nats_url.replace("//", "//me:hush@"))
    yield found
    found.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Project]:
    """The same, with an agent that is nowhere yet; see :func:`serving`."""
    found = _project(tmp_path, "nats://nowhere")
    yield found
    found.close()


def _project(folder: Path, url: str) -> Project:
    folder = folder / "project"
    folder.mkdir()
    app = CLUSTER_APP[: CLUSTER_APP.index("def agents(")]
    app += (
        'config = ClusterConfig("app").lease(2).startup_timeout(2).operation_timeout(2)\n'
        'config.use_sqlite_for_master("master.db")\n'
        f'cluster = config.add_agent_connection("fast", {url!r}, max_bytes=50_000_000).build()\n'
    )
    (folder / "app.py").write_text(app)
    return Project(folder, "")


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


@contextmanager
def serving(elsewhere: Project, login: str = "", **options: Any) -> Iterator[NatsServer]:
    """A server of its own for the project's agent."""
    app = elsewhere.folder / "app.py"
    try:
        with NatsServer(**options) as server:
            place = server.url.removeprefix("nats://")
            app.write_text(re.sub(r"nats://[^']+", f"nats://{login}{place}", app.read_text()))
            yield server
    except ServerAbsent as reason:
        absent("nats", reason)


def looked_at(elsewhere: Project) -> dict[str, dict[str, Any]]:
    """What `check` finds of the agent."""
    found = elsewhere.run("check", "app:cluster", "--json").json["findings"]
    return {finding["what"]: finding for finding in found if finding["store"] == "fast"}


_FEW = '["$JS.API.INFO", "$JS.ACK.>", "jm.>"]'
_USER = f'{{ user: "me", password: "hush", permissions: {{ publish: {_FEW} }} }}'
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("", {"jetstream": False}, "JetStream is not enabled on this server: start nats-server with -js"),
    ("me:no@", {"extra": 'authorization { user: "me", password: "hush" }'}, "refuses the credentials"),
    ("me:hush@", {"extra": f"authorization {{ users: [{_USER}] }}"}, "no permission for $JS.API.CONSUMER"),
    ("", {"extra": "max_payload: 1000"}, "takes messages of 1000 bytes"),
]


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
@pytest.mark.parametrize(
    ("login", "options", "says"), REFUSALS, ids=["no-jetstream", "credentials", "permission", "payload"]
)
def test_what_a_server_refuses_is_said_by_check_and_migrate(
    elsewhere: Project, oldest: bool, login: str, options: dict[str, Any], says: str
) -> None:
    with serving(elsewhere, login, oldest=oldest, **options):
        (finding,) = [finding for finding in looked_at(elsewhere).values() if not finding["ok"]]
        assert says in finding["detail"]
        made = elsewhere.run("migrate", "app:cluster")
        assert (made.code, says in made.err, "Traceback" in made.err) == (2, True, False), made
        assert made.err.count("agent 'fast'") == 1
        assert "hush" not in finding["detail"] + made.err + made.out


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
def test_streams_of_others_are_said_by_check_and_migrate(elsewhere: Project, oldest: bool) -> None:
    async def make(url: str, **stream: Any) -> None:
        client = await nats.connect(url)
        await client.jsm().add_stream(**stream)
        await client.close()

    with serving(elsewhere, oldest=oldest) as server:
        asyncio.run(make(server.url, name="other", subjects=["jm.>"]))
        assert "jm-app-fast-jobs" in looked_at(elsewhere)["streams"]["detail"]
        made = elsewhere.run("migrate", "app:cluster")
        assert (made.code, "stream 'other' takes jm.app.fast.jobs.>" in made.err) == (2, True), made
    with serving(elsewhere, oldest=oldest) as server:
        asyncio.run(make(server.url, name="jm-app-fast-jobs", subjects=["jm.app.fast.jobs.>"]))
        streams = looked_at(elsewhere)["streams"]
        assert (streams["ok"], "has retention 'limits'" in streams["detail"]) == (False, True)
        made = elsewhere.run("migrate", "app:cluster")
        assert (made.code, "has retention 'limits'" in made.err) == (2, True), made


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
def test_jobs_that_wait_in_the_stream_are_cancelled_and_rescheduled(elsewhere: Project, oldest: bool) -> None:
    with serving(elsewhere, oldest=oldest) as server:
        config = ClusterConfig("app").add_handlers().use_sqlite_for_master(elsewhere.folder / "master.db")
        with config.add_agent_connection("fast", server.url, max_bytes=50_000_000).build() as cluster:
            s = cluster.scheduler
            jobs = [s.once_now("hello", {"name": "x"}, agent_connection="fast") for _ in range(4)]
            first, second, third, last = (job.id for job in jobs)
            cancelled = elsewhere.run("jobs", "cancel", str(first), *AT)
            assert cancelled.code == 0, cancelled
            assert elsewhere.run("jobs", "cancel", str(first), *AT).code == 2
            # what is due soon stays, what is due later goes to the master
            assert s.reschedule(second, datetime.now(UTC) + timedelta(seconds=1)).agent_connection == "fast"
            held = s.reschedule(third, datetime.now(UTC) + timedelta(hours=1))
            assert held.status is JobStatus.HELD_ON_MASTER
            assert elsewhere.run("jobs", "cancel", str(third), *AT).code == 0
            listed = elsewhere.run("jobs", "list", *AT, "--json").json
            found = listed if isinstance(listed, list) else listed["jobs"]
            by_id = {job["id"]: job["status"] for job in found}
            assert by_id[str(first)] == by_id[str(third)] == "cancelled"
            shown = elsewhere.run("jobs", "show", str(second), *AT, "--json").json
            assert shown.get("agent_connection", shown.get("job", {}).get("agent_connection")) == "fast"
            assert s.cancel_job(last)
            assert s.get_job(last).status is JobStatus.CANCELLED
            assert s.cancel_job(second)
        left = asyncio.run(_messages(server.url, "jm-app-fast-jobs"))
        assert left == 0


async def _messages(url: str, stream: str) -> int:
    client = await nats.connect(url)
    try:
        return (await client.jsm().stream_info(stream)).state.messages
    finally:
        await client.close()

"""Commands that look at a cluster and change single jobs of it."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from jobmaster import ClusterConfig
from tests.cli.conftest import Project, command_line
from tests.databases import use

AT_APP = ("--cluster", "app:cluster")


def work_off(project: Project) -> None:
    """Run the project's workers here until nothing waits that is due."""
    config = use(ClusterConfig("app"), project.url)
    from jobmaster import JobContext, job

    @job("hello")
    async def hello(job: JobContext) -> str:
        job.log("said it")
        return f"Hello {job.data['name']}"

    @job("fail", max_retries=0)
    async def fail(job: JobContext) -> None:
        raise ValueError("it is broken")

    cluster = config.add_handlers(hello, fail).add_worker().build()
    with cluster:
        for found in cluster.scheduler.find_jobs(lane="default"):
            if found.definition_id in ("hello", "fail") and not found.status.is_final:
                cluster.scheduler.wait(found.id, timeout=20)


def ids(listed: Any) -> list[str]:
    return [job["id"] for job in listed["jobs"]]


@pytest.fixture
def worked(any_project: Project) -> Project:
    """A project with a job that succeeded, one that failed, and one that is delayed by an hour."""
    any_project.enqueue("hello", {"name": "John"}, metadata={"team": "a", "n": 1})
    any_project.enqueue("fail")
    work_off(any_project)
    any_project.enqueue("hello", {"name": "Late"}, delay=3600, lane="slow")
    return any_project


def test_jobs_are_listed_newest_first_and_filtered(worked: Project) -> None:
    everything = worked.run("jobs", "list", "--json", *AT_APP).json
    late, failed, succeeded = everything["jobs"]
    assert everything["next_cursor"] is None
    assert [job["status"] for job in (late, failed, succeeded)] == ["ready", "failed", "succeeded"] or (
        late["status"] in ("held_on_master", "ready")
    )
    assert succeeded["result"] == "Hello John"
    assert succeeded["metadata"] == {"team": "a", "n": 1}
    assert succeeded["priority"] == "medium"
    assert failed["error"]["message"] == "it is broken"

    def only(*filters: str) -> list[str]:
        return ids(worked.run("jobs", "list", "--json", *filters, *AT_APP).json)

    assert only("--status", "failed") == [failed["id"]]
    assert only("-s", "failed", "-s", "succeeded") == [failed["id"], succeeded["id"]]
    assert only("--status", "live") == [late["id"]]
    assert only("--definition", "hello") == [late["id"], succeeded["id"]]
    assert only("--lane", "slow") == [late["id"]]
    assert only("--metadata", "team=a", "-m", "n=1") == [succeeded["id"]]
    assert only("--metadata", "n=2") == []


def test_a_long_list_goes_on_at_its_cursor(worked: Project) -> None:
    first = worked.run("jobs", "list", "--json", "-n", "2", *AT_APP).json
    second = worked.run("jobs", "list", "--json", "-n", "2", "--cursor", first["next_cursor"], *AT_APP).json
    assert len(first["jobs"]) == 2
    assert len(second["jobs"]) == 1
    assert second["next_cursor"] is None
    shown = worked.run("jobs", "list", "-n", "2", *AT_APP).out
    assert f"more: --cursor {first['next_cursor']}" in shown
    for job_id in ids(first):
        assert job_id in shown


def test_a_job_is_shown_with_its_runs_log_and_traceback(worked: Project) -> None:
    listed = worked.run("jobs", "list", "--json", *AT_APP).json["jobs"]
    failed, succeeded = listed[1]["id"], listed[2]["id"]
    shown = worked.run("jobs", "show", succeeded, *AT_APP)
    assert shown.code == 0
    for part in (succeeded, "succeeded", '{"name": "John"}', "Hello John", "log of run 1:", "said it"):
        assert part in shown.out
    shown = worked.run("jobs", "show", failed, *AT_APP)
    assert "ValueError: it is broken" in shown.out
    assert "Traceback" in shown.out
    found = worked.run("jobs", "show", failed, "--json", *AT_APP).json
    assert [attempt["outcome"] for attempt in found["attempts"]] == ["failed"]


def test_an_outcome_is_explained(worked: Project) -> None:
    late, failed, _ = ids(worked.run("jobs", "list", "--json", *AT_APP).json)
    assert "it is broken" in worked.run("jobs", "explain", failed, *AT_APP).out
    explained = worked.run("jobs", "explain", late, "--json", *AT_APP).json
    assert explained["job_id"] == late
    assert "not_due" in [reason["code"] for reason in explained["reasons"]]


def test_a_waiting_job_is_cancelled_and_a_finished_one_retried(worked: Project) -> None:
    late, failed, succeeded = ids(worked.run("jobs", "list", "--json", *AT_APP).json)
    assert worked.run("jobs", "cancel", late, *AT_APP).out == f"{late} cancelled\n"
    assert "has ended already: cancelled" in worked.run("jobs", "cancel", late, *AT_APP).sentence
    assert worked.run("jobs", "retry", failed, *AT_APP).out.startswith(f"{failed} runs again")
    assert worked.run("jobs", "cancel", failed, *AT_APP).code == 0
    assert ids(worked.run("jobs", "list", "--json", "-s", "cancelled", *AT_APP).json) == [late, failed]
    assert "has ended already: succeeded" in worked.run("jobs", "cancel", succeeded, *AT_APP).sentence


def test_a_waiting_job_cannot_be_retried(worked: Project) -> None:
    late = ids(worked.run("jobs", "list", "--json", "-s", "live", *AT_APP).json)[0]
    assert late in worked.run("jobs", "retry", late, *AT_APP).sentence


def test_no_handler_code_is_needed_with_a_url(worked: Project) -> None:
    (worked.folder / "app.py").unlink()
    listed = worked.run("jobs", "list", "--json", "--url", worked.url).json["jobs"]
    assert len(listed) == 3
    assert worked.run("status", "--json", "--url", worked.url).json["cluster_id"] == "app"
    assert worked.run("jobs", "cancel", listed[0]["id"], "--url", worked.url).code == 0
    assert worked.run("check", "--url", worked.url).code == 0


def test_the_environment_names_the_cluster(worked: Project) -> None:
    worked.environment["JOBMASTER_CLUSTER"] = "app:cluster"
    assert worked.run("status", "--json").json["cluster_id"] == "app"
    elsewhere = worked.run("status", "--json", "--url", "sqlite:///elsewhere.db")
    assert elsewhere.json["cluster_id"] == "app"
    assert "JOBMASTER_CLUSTER=app:cluster is set, so --url is not used" in elsewhere.err
    worked.environment["JOBMASTER_CLUSTER"] = "nowhere:cluster"
    assert worked.run("status", "--json", "app:cluster").json["cluster_id"] == "app"
    assert "no module 'nowhere'" in worked.run("status").sentence


@pytest.mark.parametrize("reference", ["app:cluster", "app:config", "app:make"])
def test_a_cluster_a_config_and_a_function_all_serve(project: Project, reference: str) -> None:
    project.enqueue("hello", {"name": "x"})
    assert project.run("status", reference, "--json").json["cluster_id"] == "app"


def test_status_shows_what_waits_by_lane_and_priority(any_project: Project) -> None:
    from jobmaster import Priority

    for priority in (Priority.HIGH, Priority.HIGH, Priority.LOW):
        any_project.enqueue("hello", {"name": "x"}, priority=priority, lane="mail")
    found = any_project.run("status", "app:cluster", "--json").json
    counted = {(d["lane"], d["priority"], d["status"]): d["jobs"] for d in found["depths"]}
    assert counted == {("mail", 4, "ready"): 2, ("mail", 2, "ready"): 1}
    shown = any_project.run("status", "app:cluster").out
    assert "cluster app, active" in shown
    assert "3 waiting, 0 claimed, 0 workers alive" in shown
    assert re.search(r"mail +high +2 ", shown)
    assert re.search(r"mail +low +1 ", shown)


def test_an_empty_cluster_has_little_to_show(project: Project) -> None:
    assert project.run("migrate", "app:cluster").code == 0
    assert "no live jobs" in project.run("status", "app:cluster").out
    assert project.run("workers", "app:cluster").out == "no workers\n"
    assert project.run("jobs", "list", *AT_APP).out == "no jobs\n"


def test_output_into_a_closed_pipe_is_no_fault(worked: Project) -> None:
    import subprocess

    with subprocess.Popen(
        command_line("jobs", "list", *AT_APP),
        cwd=worked.folder,
        env=worked.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert said == ""


def test_a_watched_status_keeps_itself_up_to_date(any_project: Project) -> None:
    any_project.enqueue("hello", {"name": "x"}, lane="mail")
    with any_project.terminal("status", "app:cluster", "--watch", "--interval", "0.1") as terminal:
        terminal.expect(r"1 waiting")
        terminal.expect(r"mail +medium +1 ")
        any_project.enqueue("hello", {"name": "y"}, lane="mail")
        terminal.expect(r"2 waiting")
        terminal.expect(r"mail +medium +2 ")
        terminal.press(b"\x03")
        assert terminal.wait() == 0
    assert "Traceback" not in terminal.text
    # the alternate screen is left, so that the terminal shows what it showed before
    assert terminal.raw.count("\x1b[?1049h") == terminal.raw.count("\x1b[?1049l") == 1


def test_a_watched_status_as_json_is_one_line_each(project: Project) -> None:
    project.enqueue("hello", {"name": "x"})
    with project.terminal("status", "app:cluster", "--watch", "--json", "--interval", "0.1") as terminal:
        for _ in range(3):
            found = terminal.expect(r"\{.*\}\n")
            assert json.loads(found.group())["cluster_id"] == "app"
        terminal.press(b"\x03")
        assert terminal.wait() == 130


@pytest.mark.postgres
def test_a_watched_status_survives_an_outage() -> None:
    from tests.servers import PostgresServer, ServerAbsent, absent

    try:
        server = PostgresServer()
    except ServerAbsent as reason:
        absent("postgres", reason)
    with server:
        url = server.create_database()
        cluster = ClusterConfig("app").use_postgres(url).add_handlers().build()
        cluster.scheduler.once_now("hello", {"name": "x"})
        cluster.close()
        _watch_outage(server, url)


def _watch_outage(server: Any, url: str) -> None:
    import os
    from pathlib import Path

    from tests.cli.terminal import Terminal

    command = command_line("status", "--url", url, "--watch", "--interval", "0.1")
    with Terminal(command, cwd=Path.cwd(), env=dict(os.environ)) as terminal:
        terminal.expect("1 waiting")
        server.kill()
        terminal.expect("no answer at present", timeout=60)
        terminal.expect("1 waiting")
        server.start()
        seen = len(terminal.text)
        until = time.monotonic() + 60
        while "no answer" in terminal.text[seen:] or "1 waiting" not in terminal.text[seen:]:
            assert time.monotonic() < until
            seen = len(terminal.text)
            terminal.expect("cluster app", timeout=60)
        terminal.press(b"\x03")
        assert terminal.wait() == 0

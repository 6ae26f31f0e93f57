"""`jobmaster run`: one process, several, and what becomes of them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psutil
import pytest

from jobmaster import Cluster, ClusterConfig, JobStatus
from jobmaster.cli.loops import LoopKind, loop_factory
from jobmaster.cli.refusal import Refusal
from tests.cli.conftest import Project
from tests.databases import use
from tests.servers.process import alive

PATIENCE = 40.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that other processes bring about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def onlooker(any_project: Project) -> Cluster:
    """The cluster seen from here; runs nothing."""
    return use(ClusterConfig("app"), any_project.url).add_handlers().build()


def pids(cluster: Cluster) -> set[int]:
    """The processes of the registered workers."""
    found = {worker.pid for worker in cluster.workers()}
    cluster.close()
    return found


def status(cluster: Cluster, job_id: str) -> JobStatus:
    found = cluster.scheduler.get_job(UUID(job_id)).status
    cluster.close()
    return found


def line(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read the log until a line matches."""
    assert process.stderr is not None
    seen = []
    for text in process.stderr:
        seen.append(text)
        if found := re.search(pattern, text):
            return found
    raise AssertionError(f"no {pattern!r} in:\n{''.join(seen)}")


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def test_one_process_works_until_sigterm(any_project: Project, onlooker: Cluster) -> None:
    job_id = any_project.enqueue("hello", {"name": "John"})
    process = any_project.start("run", "app:cluster")
    until(lambda: status(onlooker, job_id) is JobStatus.SUCCEEDED, "the job is done")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert pids(onlooker) == set()


@pytest.mark.parametrize(
    ("arguments", "loop"),
    [((), "uvloop"), (("--loop", "uvloop"), "uvloop"), (("--loop", "asyncio"), "asyncio.unix_events")],
)
def test_the_process_is_set_for_workers(
    any_project: Project, onlooker: Cluster, arguments: tuple[str, ...], loop: str
) -> None:
    """The garbage collector is spared what was imported, threads change often where the store is in the
    process, and handlers run on uvloop unless told otherwise."""
    job_id = any_project.enqueue("process", {})
    process = any_project.start("run", "app:cluster", *arguments)
    until(lambda: status(onlooker, job_id) is JobStatus.SUCCEEDED, "the job is done")
    found: Any = onlooker.scheduler.get_job(UUID(job_id)).result
    onlooker.close()
    assert found["frozen"] > 50_000
    assert found["turn"] == pytest.approx(0.0001 if any_project.url.startswith("sqlite") else 0.005)
    assert found["loop"] == loop
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def test_without_uvloop_it_is_asyncio_or_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory(LoopKind.AUTO) is None
    with pytest.raises(Refusal, match=r"--loop uvloop: .* pip install 'jobmaster\[speed\]'"):
        loop_factory(LoopKind.UVLOOP)


def test_the_environment_names_the_cluster_to_run(any_project: Project, onlooker: Cluster) -> None:
    any_project.environment["JOBMASTER_CLUSTER"] = "app:make"
    process = any_project.start("run")
    until(lambda: pids(onlooker) == {process.pid}, "the worker is registered")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


def test_dead_children_are_replaced_and_all_stop_together(any_project: Project, onlooker: Cluster) -> None:
    process = any_project.start("run", "app:cluster", "--processes", "3")
    until(lambda: len(pids(onlooker)) == 3, "three workers are registered")
    family = children(process)
    assert {child.pid for child in family} == pids(onlooker)
    family[0].kill()
    line(process, r"ended after .* with SIGKILL; another starts in 0\.5 s")
    until(lambda: len(pids(onlooker) - {family[0].pid}) == 3, "another has taken its place")
    now = children(process)
    assert len(now) == 3
    assert all(alive(child) for child in now), "a dead child was not reaped"
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert not [child for child in now if alive(child)]
    assert pids(onlooker) <= {family[0].pid}


def test_children_stop_when_their_parent_vanishes(any_project: Project, onlooker: Cluster) -> None:
    process = any_project.start("run", "app:cluster", "-p", "2")
    until(lambda: len(pids(onlooker)) == 2, "two workers are registered")
    family = children(process)
    process.kill()
    process.wait()
    until(lambda: not [child for child in family if alive(child)], "the children have ended")
    assert pids(onlooker) == set(), "they stopped cleanly"


def test_one_ctrl_c_is_one_clean_stop(any_project: Project, onlooker: Cluster) -> None:
    any_project.environment["APP_GRACE"] = "2"
    job_id = any_project.enqueue("sleep")
    with any_project.terminal("run", "app:cluster", "-p", "2") as terminal:
        until(lambda: status(onlooker, job_id) is JobStatus.PROCESSING, "the job runs")
        began = time.monotonic()
        terminal.press(b"\x03")
        assert terminal.wait() == 0
    # had the signal come twice, the second one would have ended the grace period
    assert time.monotonic() - began >= 2
    job = onlooker.scheduler.get_job(UUID(job_id))
    onlooker.close()
    assert job.status is JobStatus.READY
    assert (job.attempt, job.failures, job.losses) == (1, 0, 0)
    assert pids(onlooker) == set()


def test_a_second_signal_ends_the_grace_period(any_project: Project, onlooker: Cluster) -> None:
    any_project.environment["APP_GRACE"] = "3600"
    job_id = any_project.enqueue("sleep")
    process = any_project.start("run", "app:cluster", "-p", "2")
    until(lambda: status(onlooker, job_id) is JobStatus.PROCESSING, "the job runs")
    until(lambda: len(pids(onlooker)) == 2, "both children mind signals")
    process.send_signal(signal.SIGTERM)
    line(process, "stopping 2 processes")
    for _ in range(2):  # both have met the first signal; two at once would be taken for one
        line(process, "signal received: stopping")
    process.send_signal(signal.SIGTERM)
    line(process, "signal received again: the grace period ends")
    assert process.wait(PATIENCE) == 0
    assert status(onlooker, job_id) is JobStatus.READY


def test_children_that_cannot_start_end_the_whole(project: Project) -> None:
    project.url = "postgresql://nobody:secret@127.0.0.1:1/nowhere"
    ran = project.run("run", "app:cluster", "--processes", "2", "--log-level", "error")
    assert ran.code == 2
    assert "127.0.0.1:1" in ran.err
    assert "Traceback" not in ran.err


def test_a_child_that_does_not_stop_is_killed(project: Project) -> None:
    (project.folder / "stubborn.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from pathlib import Path\n"
        "Path('started').touch()\n"
        "time.sleep(600)\n"
    )
    script = (
        "import sys; from jobmaster.cli import crew; crew._SETTLE = 0.2; "
        "c = crew.Crew(1, ['run', 'stubborn:cluster']); c._grace = 0.1; sys.exit(c.run())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    project.started.append(process)
    until((project.folder / "started").exists, "the child has started")
    family = children(process)
    assert len(family) == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 1
    line(process, "has not stopped in time and is killed")
    assert not alive(family[0])

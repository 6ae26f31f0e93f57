"""Flask applications: the extension, workers in the background, the command, fork and exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app, g

from jobmaster import ClusterConfig, ConfigurationError, JobContext, JobStatus, job
from jobmaster.integrations.flask import JobMaster, app_context
from tests.integrations.jobs import configure

ROOT = Path(__file__).parents[2]


def serving(app: Flask) -> Flask:
    @app.post("/order/<int:n>")
    def order(n: int) -> dict[str, Any]:
        scheduler = current_app.extensions["jobmaster"]
        job = scheduler.once_now("double", {"n": n})
        return {"id": str(job.id), "result": scheduler.wait(job.id, timeout=10).result}

    return app


def worker_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("jobmaster-")]


def test_workers_start_with_the_first_request(folder: Path) -> None:
    cluster = configure(folder).add_worker().build()
    app = serving(Flask("shop"))
    jobs = JobMaster(app, cluster, run_workers=True)
    try:
        assert not cluster.is_running
        assert app.test_client().post("/order/4").get_json()["result"] == 8
        assert cluster.is_running
        assert app.test_client().post("/order/5").get_json()["result"] == 10
    finally:
        jobs.stop()
    assert not cluster.is_running
    jobs.stop()


def test_without_run_workers_it_only_enqueues(folder: Path) -> None:
    app = Flask("shop")
    jobs = JobMaster()
    jobs.init_app(app, configure(folder).add_worker())
    with app.app_context():
        scheduler = current_app.extensions["jobmaster"]
        queued = scheduler.once_now("double", {"n": 1})
    assert app.test_client().get("/nowhere").status_code == 404
    assert "jobmaster-web" not in worker_threads()
    assert scheduler.get_job(queued.id).status is JobStatus.READY
    jobs.stop()


def test_one_extension_serves_the_applications_of_a_factory(folder: Path) -> None:
    jobs = JobMaster()
    found = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        app = Flask(name)
        app.config["JOBMASTER"] = lambda name=name: configure(folder / name)
        jobs.init_app(app)
        found.append(app.extensions["jobmaster"])
    assert found[0] is not found[1]
    ids = [scheduler.once_now("double", {"n": 1}).id for scheduler in found]
    assert [scheduler.count_jobs() for scheduler in found] == [1, 1]
    assert found[0].get_job(ids[0]).id == ids[0]
    jobs.stop()


class Named:
    """What ``module:attribute`` leads to."""

    config = ClusterConfig("named").use_sqlite("unused.db").add_handlers()
    number = 5


def test_the_cluster_by_name() -> None:
    app = Flask("shop")
    app.config["JOBMASTER"] = "tests.integrations.test_flask:Named.config"
    jobs = JobMaster(app)
    assert app.extensions["jobmaster"] is not None
    jobs.stop()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, 'names no cluster: call JobMaster\\(app, cluster\\), or set app.config\\["JOBMASTER"\\]'),
        ("tests.integrations", "is 'tests.integrations': write \"module:attribute\""),
        ("tests.nowhere:cluster", "there is no module 'tests.nowhere'"),
        ("tests.integrations.test_flask:nothing", "has no attribute 'nothing'"),
        ("tests.integrations.test_flask:Named.number", "leads to 5, not to a Cluster"),
    ],
)
def test_what_names_no_cluster_is_refused(given: str | None, message: str) -> None:
    app = Flask("shop")
    app.config["JOBMASTER"] = given
    with pytest.raises(ConfigurationError, match=message):
        JobMaster(app)


def test_an_application_has_one_scheduler(folder: Path) -> None:
    app = Flask("shop")
    jobs = JobMaster(app, configure(folder))
    with pytest.raises(ConfigurationError, match="has a scheduler already"):
        JobMaster(app, configure(folder))
    jobs.stop()


@job("app-name", max_retries=0)
def app_name(job: JobContext[Any]) -> str:
    g.seen = True
    return current_app.name


@job("app-name-async", max_retries=0)
async def app_name_async(job: JobContext[Any]) -> str:
    return current_app.name


def test_handlers_in_the_context_of_the_application(folder: Path) -> None:
    app = Flask("shop")
    ended: list[bool] = []

    @app.teardown_appcontext
    def tear_down(error: BaseException | None) -> None:
        ended.append(g.get("seen", False))

    config = configure(folder, app_name, app_name_async).add_middleware(app_context(app)).add_worker()
    cluster = config.build()
    with cluster:
        ids = [cluster.scheduler.once_now(handler).id for handler in (app_name, app_name_async)]
        results = [cluster.scheduler.wait(job_id, timeout=10).result for job_id in ids]
    assert results == ["shop", "shop"]
    assert sorted(ended) == [False, True]


# -- processes of their own ----------------------------------------------------------------------------


APPLICATION = """
import os, sys
from flask import Flask, current_app
from jobmaster.integrations.flask import JobMaster
from tests.integrations.jobs import configure
from pathlib import Path

def create_app(workers=False):
    app = Flask("shop")
    JobMaster(app, lambda: configure(Path(os.environ["FOLDER"])).add_worker(), run_workers=workers)
    @app.post("/order/<int:n>")
    def order(n):
        scheduler = current_app.extensions["jobmaster"]
        return {"result": scheduler.wait(scheduler.once_now("double", {"n": n}).id, timeout=10).result}
    return app
"""


def environment(folder: Path) -> dict[str, str]:
    path = f"{folder}{os.pathsep}{ROOT}"
    return {**os.environ, "FOLDER": str(folder), "PYTHONPATH": path, "PYTHONWARNINGS": "error"}


def program(folder: Path, code: str) -> str:
    (folder / "application.py").write_text(APPLICATION)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def buckets_and_workers(folder: Path) -> tuple[int, int]:
    cluster = configure(folder).build()
    try:
        return len(cluster.buckets()), len(cluster.workers())
    finally:
        cluster.close()


def test_the_end_of_the_process_stops_the_workers(folder: Path) -> None:
    out = program(
        folder,
        """
        from application import create_app
        app = create_app(workers=True)
        print(app.test_client().post("/order/3").get_json()["result"])
        """,
    )
    assert out == "6\n"
    assert buckets_and_workers(folder) == (0, 0)


def test_every_forked_process_runs_workers_of_its_own(folder: Path) -> None:
    """As under `gunicorn --preload`: the application is made before the fork, requests come after it."""
    out = program(
        folder,
        """
        import os, sys
        from application import create_app
        app = create_app(workers=True)
        children = []
        for n in (1, 2):
            child = os.fork()
            if not child:
                result = app.test_client().post(f"/order/{n}").get_json()["result"]
                sys.exit(0 if result == 2 * n else 9)
            children.append(child)
        print(*[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
        """,
    )
    assert out == "0 0\n"
    assert buckets_and_workers(folder) == (0, 0)


def test_a_fork_after_the_start_leaves_the_work_to_the_parent(folder: Path) -> None:
    out = program(
        folder,
        """
        import os, sys, warnings
        from application import create_app
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of a fork beside threads
        app = create_app(workers=True)
        assert app.test_client().post("/order/1").get_json()["result"] == 2
        child = os.fork()
        if not child:
            sys.exit(0 if app.test_client().post("/order/2").get_json()["result"] == 4 else 9)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        print(app.test_client().post("/order/3").get_json()["result"])
        """,
    )
    assert out == "0\n6\n"
    assert buckets_and_workers(folder) == (0, 0)


def test_the_command_runs_workers_until_a_signal(folder: Path) -> None:
    (folder / "application.py").write_text(APPLICATION)
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "application", "jobmaster", "run"],
        env=environment(folder),
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    cluster = configure(folder).build()
    try:
        waiting = cluster.scheduler.once_now("double", {"n": 6})
        assert cluster.scheduler.wait(waiting.id, timeout=30).result == 12
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert "stopping" in said
        assert (cluster.buckets(), cluster.workers()) == ([], [])
    finally:
        process.kill()
        process.communicate()
        cluster.close()


def test_the_command_refuses_a_cluster_without_workers(folder: Path) -> None:
    app = Flask("shop")
    jobs = JobMaster(app, configure(folder))
    answer = app.test_cli_runner().invoke(args=["jobmaster", "run"])
    assert answer.exit_code == 1
    assert "has no worker to run: call add_worker()" in answer.output
    jobs.stop()


def test_the_command_says_what_is_wrong(folder: Path) -> None:
    app = Flask("shop")
    jobs = JobMaster(app, configure(folder / "nowhere").startup_timeout(0.2).add_worker())
    answer = app.test_cli_runner().invoke(args=["jobmaster", "run"])
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: ")
    assert "nowhere" in answer.output
    jobs.stop()

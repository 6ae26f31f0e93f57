"""A small project with a cluster, and the command `jobmaster` run on it in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.cli.terminal import Terminal
from tests.databases import use
from tests.forking import forks

if TYPE_CHECKING:
    from jobmaster import ClusterConfig

APP = '''\
"""The project of a user."""

import asyncio
import gc
import os
import sys

from jobmaster import ClusterConfig, JobContext, JobHandler, job


class Hello(JobHandler, definition_id="hello"):
    async def handle(self, job: JobContext) -> str:
        job.log("said it")
        return f"Hello {job.data['name']}"


@job("process")
async def process(job: JobContext) -> dict[str, object]:
    loop = type(asyncio.get_running_loop()).__module__
    return {"frozen": gc.get_freeze_count(), "turn": sys.getswitchinterval(), "loop": loop}


@job("fail", max_retries=0)
async def fail(job: JobContext) -> None:
    raise ValueError("it is broken")


@job("sleep", timeout=60)
async def sleep(job: JobContext) -> None:
    await job.progress(0.25, "a quarter")
    await asyncio.sleep(60)


@job("die")
async def die(job: JobContext) -> None:
    os._exit(7)


def make() -> ClusterConfig:
    url = os.environ["APP_URL"]
    config = ClusterConfig("app").lease(2).grace_period(float(os.environ.get("APP_GRACE", "5")))
    kind = url.partition(":")[0]
    uses = {
        "postgresql": config.use_postgres,
        "mysql": config.use_mysql,
        "mssql": config.use_sqlserver,
        "sqlite": config.use_sqlite,
    }
    config = uses[kind.partition("+")[0]](url)
    return config.add_worker(name="busy").startup_timeout(2).operation_timeout(2)


config = make()
cluster = config.build()
producer = make().build(workers=False)
number = 3


def needs_more(what: str) -> ClusterConfig:
    return config


def broken() -> ClusterConfig:
    raise RuntimeError("the vault is locked")


async def coroutine() -> ClusterConfig:
    return config


def contradictory() -> ClusterConfig:
    return make().lease(-1).add_worker(lane="no such lane")
'''


CLUSTER_APP = '''\
"""The project of a user with a master and two agents."""

import asyncio
import os

from jobmaster import ClusterConfig, JobContext, job


@job("hello")
async def hello(job: JobContext) -> str:
    return f"Hello {job.data['name']} from {job.agent_connection}"


@job("sleep", timeout=60)
async def sleep(job: JobContext) -> None:
    await asyncio.sleep(job.data.get_float("seconds", default=60.0))


def agents(*names: str) -> ClusterConfig:
    config = ClusterConfig("app").lease(2).grace_period(5).startup_timeout(2).operation_timeout(2)
    config.use_sqlite_for_master("master.db")
    for name in names:
        config.add_agent_connection(name, f"{name}.db")
    return config


def make() -> ClusterConfig:
    config = agents("north", "south")
    for worker in os.environ.get("APP_WORKERS", "north:default south:default").split():
        name, lane = worker.split(":")
        config.add_worker(name, lane=lane, name=f"{name}-{lane}")
    return config


cluster = make().build()
smaller = agents("north").build()
far = agents("north").add_agent_connection("far", "postgresql://nobody:secret@127.0.0.1:1/nowhere").build()
orphaned = (
    ClusterConfig("app")
    .operation_timeout(2)
    .use_postgres_for_master("postgresql://nobody:secret@127.0.0.1:1/nowhere")
    .add_agent_connection("north", "north.db")
    .build()
)
alone = ClusterConfig("alone").use_sqlite("alone.db").build()
'''


def command_line(*arguments: str) -> list[str]:
    """The command in the manner of the installed script: no current directory on its path."""
    script = (
        "import sys; sys.path[:] = [folder for folder in sys.path if folder]; "
        "from jobmaster.cli import main; sys.exit(main())"
    )
    return [sys.executable, "-c", script, *arguments]


@dataclass
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one sentence that a refusal is: exit code 2, nothing on standard output, no traceback."""
        assert self.code == 2, self
        assert self.out == "", self
        lines = self.err.splitlines()
        assert len(lines) == 1, self
        assert lines[0].startswith("jobmaster: "), self
        assert "Traceback" not in self.err
        return lines[0].removeprefix("jobmaster: ")


@dataclass
class Project:
    """A folder with `app.py`; commands run in it."""

    folder: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """What commands find in their environment."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBMASTER_")}
        return {**kept, "APP_URL": self.url, **self.environment}

    def run(self, *arguments: str, timeout: float = 60) -> Ran:
        """Run a command to its end."""
        done = forks().command(list(arguments), self.folder, self.env, timeout)
        return Ran(*done)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its standard error can be read line by line."""
        process = subprocess.Popen(
            command_line(*arguments),
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def terminal(self, *arguments: str, columns: int = 140) -> Terminal:
        """Start a command in a terminal."""
        return Terminal(command_line(*arguments), cwd=self.folder, env=self.env, columns=columns)

    def enqueue(self, definition_id: str, data: dict[str, Any] | None = None, **options: Any) -> str:
        """Enqueue a job from this process; its id."""
        from jobmaster import ClusterConfig

        config = use(ClusterConfig("app"), self.url)
        cluster = config.add_handlers().build()
        try:
            delay = options.pop("delay", 0)
            return str(cluster.scheduler.once_after(definition_id, delay, data, **options).id)
        finally:
            cluster.close()

    def agents(self, *names: str) -> ClusterConfig:
        """The cluster of `cluster_project` as seen from this process, without workers."""
        from jobmaster import ClusterConfig

        config = ClusterConfig("app").lease(2).operation_timeout(2).add_handlers()
        config.use_sqlite_for_master(self.folder / "master.db")
        for name in names or ("north", "south"):
            config.add_agent_connection(name, str(self.folder / f"{name}.db"))
        return config

    def close(self) -> None:
        """End what still runs, with all its children."""
        for process in self.started:
            family = [process.pid]
            if process.poll() is None:
                family += [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
            for pid in family:
                if psutil.pid_exists(pid):
                    psutil.Process(pid).kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def _project(tmp_path: Path, url: str) -> Iterator[Project]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    project = Project(folder, url)
    yield project
    project.close()


@pytest.fixture
def project(tmp_path: Path, sqlite_url: str) -> Iterator[Project]:
    """The project on SQLite."""
    yield from _project(tmp_path, sqlite_url)


@pytest.fixture
def any_project(tmp_path: Path, database_url: str) -> Iterator[Project]:
    """The project, once on each engine."""
    yield from _project(tmp_path, database_url)


@pytest.fixture
def cluster_project(tmp_path: Path) -> Iterator[Project]:
    """A project with a master and the agents `north` and `south`, all SQLite files in its folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text(CLUSTER_APP)
    project = Project(folder, "")
    yield project
    project.close()

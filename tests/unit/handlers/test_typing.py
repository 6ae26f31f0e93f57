"""What a type checker says about handlers as users write them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from typing_extensions import assert_type

from jobmaster import CallNext, ClusterConfig, Cluster, Event, JobContext, JobHandler, Priority, Retry, job


@dataclass
class Args:
    url: str


class Storage(Protocol):
    def put(self) -> str: ...


class Bare(JobHandler, definition_id="bare", timeout=5):
    async def handle(self, job: JobContext) -> None:
        assert_type(job.data.get_str("a"), str)
        assert_type(job.data.get_int("a", default=None), int | None)
        await job.progress(0.5)


class Sync(JobHandler):
    def handle(self, job: JobContext) -> int:
        return 5

    def should_retry(self, error: BaseException, job: JobContext) -> bool:
        return False


class Typed(JobHandler[Args], timeout=timedelta(seconds=3), priority=Priority.HIGH, retry=Retry.fixed(5)):
    def __init__(self, storage: Storage) -> None: ...

    def handle(self, job: JobContext[Args]) -> str:
        assert_type(job.data, Args)
        return job.data.url


@job("f", max_retries=3, execution="process")
async def f(job: JobContext[Args], storage: Storage) -> int:
    return 5


async def call(context: JobContext[Args], storage: Storage) -> None:
    assert_type(await f(context, storage), int)


class Layer:
    async def __call__(self, job: JobContext, call_next: CallNext) -> object:
        return await call_next(job)


async def layer(job: JobContext, call_next: CallNext) -> object:
    return await call_next()


class Watcher:
    def on_event(self, event: Event) -> None: ...


config = ClusterConfig("c").use_sqlite("x.db").add_worker(lane="a").add_middleware(Layer())
config = config.add_middleware(layer).add_observer(Watcher()).add_service(Storage, object(), scope="job")
assert_type(config.lease(5).add_handlers(Bare, Typed, f).build(), Cluster)
"""

BAD = """
from jobmaster import ClusterConfig, JobContext, JobHandler, job


class Wrong(JobHandler, time_out=5):  # E: unknown option
    async def handle(self, job: JobContext) -> None:
        job.data.get_str("a") + 1  # E: text is no number


@job("f", execution="fiber")  # E: no such way to run
def f(job: JobContext) -> int:
    return 5


ClusterConfig("c").add_worker(lanes="x")  # E: unknown option
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy-cache")


def check(folder: Path, cache: Path, text: str) -> list[str]:
    pytest.importorskip("mypy", reason="pip install mypy")
    (folder / "user.py").write_text(text)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--cache-dir",
            str(cache),
            "user.py",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_handlers_and_configuration_pass_the_strictest_check(tmp_path: Path, cache: Path) -> None:
    assert check(tmp_path, cache, GOOD) == []


def test_mistakes_are_found_where_they_are_made(tmp_path: Path, cache: Path) -> None:
    found = {int(line.split(":")[1]) for line in check(tmp_path, cache, BAD) if ": error:" in line}
    expected = {number for number, line in enumerate(BAD.splitlines(), start=1) if "# E:" in line}
    assert found == expected

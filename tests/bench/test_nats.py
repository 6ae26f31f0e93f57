"""The command `jobmaster bench` on NATS, beside a master."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nats
import pytest

from tests.bench.conftest import TINY, Bench
from tests.databases import execute

pytestmark = [pytest.mark.nats, pytest.mark.sqlite]


def streams(url: str) -> list[str]:
    async def look() -> list[str]:
        client = await nats.connect(url)
        try:
            return [str(info.config.name) for info in await client.jsm().streams_info()]
        finally:
            await client.close()

    return asyncio.run(look())


def test_everything_is_measured_against_the_bare_client_and_nothing_left(
    nats_url: str, sqlite_url: str
) -> None:
    figures = Bench(nats_url).figures(*TINY, "--master", sqlite_url)
    drains = ("drain, one worker process", "drain, floor with the master")
    for name in ("bulk enqueue", *drains, "single enqueue, one caller"):
        assert figures[name]["compared_with"] == "floor"
        assert figures[name]["value"] > 0
        assert figures[name]["against"] > 0
    bare, telling = (figures[name] for name in drains)
    assert bare["value"] == telling["value"]
    assert bare["against"] != telling["against"]
    assert {"pickup p50, other process", "pickup p99, other process", "idle worker, memory"} <= figures.keys()
    assert streams(nats_url) == []
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    assert not path.exists() or execute(sqlite_url, "SELECT name FROM sqlite_master") == []


def test_a_master_is_needed_and_only_here(nats_url: str, sqlite_url: str) -> None:
    alone = Bench(nats_url).run()
    assert (alone.returncode, "name the master's database with --master" in alone.stderr) == (2, True)
    both = Bench(sqlite_url).run("--master", sqlite_url)
    assert (both.returncode, "--master goes with a NATS URL" in both.stderr) == (2, True)
    silent = Bench("nats://127.0.0.1:9").run("--master", sqlite_url, *TINY)
    assert (silent.returncode, "no NATS server answers" in silent.stderr) == (2, True)

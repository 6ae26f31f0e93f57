"""Every program in `examples/` does what it says, run as a user would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers import ServerAbsent, absent
from tests.servers.nats import find_binary as nats_binary
from tests.servers.process import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTED = {
    "hello": ["Hello John", "JobStatus.SUCCEEDED"],
    "nats_agent": [
        "cat.png resized on agent fast",
        "1000 more",
        "done at run 2",
        "held_on_master",
        "later.png resized on agent fast",
    ],
    "plain_script": ["first: a7937b64b8ca", "second: 16367aacb67a", "third: b1e99324505b", "stopped cleanly"],
    "transactional_enqueue": [
        "unpayable: the payment was refused, so there is no order and no job",
        "confirmed a book",
        "confirmed a lamp",
        "2 jobs for 3 attempts",
    ],
    "typed_payloads": [
        "cat.png at 640 pixels",
        "dog.png at 64 pixels",
        "invoice 7 over 129.90, due 24 December 2026",
        "42.0",
        "refused before anything was stored: data does not fit ResizeArgs: data.width: Input should be "
        "greater than or equal to 1",
    ],
    "cluster_workers": [
        "20 orders are shipped",
        "report on May made by south",
        "report on June made by south",
    ],
    "drain_walkthrough": [
        "standalone: 100 jobs wait, no worker has run",
        "distributed: the 100 jobs were placed on agents and have run",
        "north is empty, while jobs flowed all the time; south has run them",
        "south is empty too: what comes now is held on the master",
        "standalone again: the 50 jobs have run",
        "every accepted job has run exactly once",
    ],
    "recurring_schedules": [
        "acme: every 1 second, active",
        "declared: every weekday at 18:00 tz Europe/Paris",
        "both have run three times",
        "paused, and run once by hand: succeeded",
        "cancelled; left are ['heartbeat', 'report']",
    ],
    "retries_and_timeouts": [
        "unreliable: succeeded, succeeded at run 3",
        "    run 1: failed",
        "    run 2: failed",
        "    run 3: succeeded",
        "too-slow: failed, timed out after 0.5 s",
        "    run 1: timed_out",
        "not-yet: succeeded, the time has come",
        "    run 1: snoozed",
        "    run 2: succeeded",
        "hopeless: failed, failed: no such customer",
        "    run 1: failed",
    ],
}


SERVED = ("fastapi_app", "cluster_producer")


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*PRINTED, *SERVED}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.nats) if name == "nats_agent" else name for name in PRINTED]
)
def test_it_prints_what_it_promises(name: str, tmp_path: Path) -> None:
    for _ in range(2):  # the second time on the database of the first
        done = subprocess.run(
            [sys.executable, "-W", "error", EXAMPLES / f"{name}.py"],
            cwd=tmp_path,
            env=_environment(name),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[: len(PRINTED[name])] == PRINTED[name]


def test_the_first_example_is_the_one_of_the_documentation() -> None:
    quickstart = (EXAMPLES.parent / "docs" / "quickstart.md").read_text()
    assert f"```python\n{(EXAMPLES / 'hello.py').read_text()}```" in quickstart


def test_a_web_application_embeds_a_worker(tmp_path: Path) -> None:
    with _serving("fastapi_app", tmp_path) as base:
        ordered = _ask(f"{base}/reports?customer=42", "POST")
        job = _until_ended(f"{base}/jobs/{ordered['id']}")
        assert job["status"] == "succeeded"
        assert job["result"] == {"customer": 42, "pages": 3}
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _ask(f"{base}/jobs/01935a3c-7d7e-7b4c-9d5e-0123456789ab", "GET", patience=0)


def test_a_web_application_only_enqueues_for_services_that_work(tmp_path: Path) -> None:
    with _serving("cluster_producer", tmp_path) as base:
        early = _ask(f"{base}/reports?month=May", "POST")
        assert early["status"] == "held_on_master"
        assert any("no worker" in reason for reason in _ask(f"{base}/jobs/{early['id']}/why", "GET"))
        script = EXAMPLES / "cluster_workers.py"
        services = [
            subprocess.Popen([sys.executable, "-W", "error", script, name], cwd=tmp_path)
            for name in ("orders", "reports")
        ]
        try:
            made = _until_ended(f"{base}/jobs/{early['id']}")
            assert (made["status"], made["result"]) == ("succeeded", "report on May made by south")
            served: set[str] = set()
            end = time.monotonic() + 30
            while served != {"north", "south"}:  # one may begin while the other does all the work
                assert time.monotonic() < end, served
                order = _until_ended(f"{base}/jobs/{_ask(f'{base}/orders/17', 'POST')['id']}")
                assert order["result"] == f"order 17 shipped by {order['agent']}"
                served.add(order["agent"])
        finally:
            for service in services:
                service.terminate()
            codes = [service.wait(timeout=40) for service in services]
        assert codes == [0, 0]


def _environment(name: str) -> dict[str, str]:
    """With the folder of a NATS server in the path, where the example needs one."""
    found = dict(os.environ)
    if name == "nats_agent":
        try:
            found["PATH"] = f"{nats_binary().parent}:{found['PATH']}"
        except ServerAbsent as reason:
            absent("nats", reason)
    return found


@contextmanager
def _serving(application: str, folder: Path) -> Iterator[str]:
    """Serve an example as its user would; yields where, and looks at how it stopped."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", f"{application}:app", "--app-dir", EXAMPLES, "--port", str(port)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        _, said = server.communicate(timeout=30)
    assert "Application shutdown complete" in said
    assert "Traceback" not in said


def _ask(url: str, method: str, patience: float = 30.0) -> Any:
    """Ask; while the server is not up yet, ask again."""
    end = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)


def _until_ended(url: str) -> Any:
    end = time.monotonic() + 30
    while (job := _ask(url, "GET"))["status"] not in ("succeeded", "failed", "cancelled"):
        assert time.monotonic() < end, job
        time.sleep(0.02)
    return job

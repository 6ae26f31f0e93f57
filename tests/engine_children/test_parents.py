"""What becomes of children when their parent ends, in whatever way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("parent.py")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs use signals")


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the program; ends it after the test whatever happened."""
    parents: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        parent = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        parents.append(parent)
        return parent

    yield start
    for parent in parents:
        parent.kill()
        parent.communicate()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def all_gone(pids: list[int], patience: float = 20.0) -> bool:
    until = time.monotonic() + patience
    while not all(map(gone, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def pids_of(parent: subprocess.Popen[str]) -> list[int]:
    """The child and the grandchild, as soon as the handler runs."""
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    return pids


@pytest.mark.parametrize("arguments", [[str(PROGRAM)], ["-m", "tests.engine_children.parent"]])
def test_a_handler_of_the_main_module_runs(
    started: Callable[..., subprocess.Popen[str]], arguments: list[str]
) -> None:
    parent = started(*arguments, "result")
    out, err = parent.communicate(timeout=30)
    assert (out, err) == ('"__mp_main__, imported as __mp_main__"\n', "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_children_die_with_a_parent_that_is_killed(
    started: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    parent = started(str(PROGRAM), "hang")
    pids = pids_of(parent)
    parent.send_signal(number)
    parent.wait(timeout=30)
    assert all_gone(pids)


def test_children_of_a_frozen_parent_end_with_its_lease(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    parent = started(str(PROGRAM), "hang-with-lease")
    pids = pids_of(parent)
    assert not any(map(gone, pids))
    parent.send_signal(signal.SIGSTOP)
    assert all_gone(pids)
    assert psutil.Process(parent.pid).status() == psutil.STATUS_STOPPED
    parent.send_signal(signal.SIGCONT)
    _, err = parent.communicate(timeout=30)
    assert "ChildDied" in err


def test_a_parent_that_forgets_to_close_ends_all_the_same(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    parent = started(str(PROGRAM), "leave-idle")
    assert parent.communicate(timeout=30) == ("", "")
    assert parent.returncode == 0


def test_a_parent_that_exits_in_the_middle_takes_its_children_along(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    parent = started(str(PROGRAM), "leave-busy")
    pids = pids_of(parent)
    parent.send_signal(signal.SIGTERM)
    parent.wait(timeout=30)
    assert parent.returncode == 3
    assert all_gone(pids)


def test_a_handler_of_an_interactive_session_is_refused(
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    code = (
        "from jobmaster.handlers import job\n"
        "from tests.unit.handlers.runs import problems_of\n"
        "@job('x', execution='process')\n"
        "def x(job): ...\n"
        "print(problems_of(x))\n"
    )
    out, err = started("-c", code).communicate(timeout=30)
    assert "x is defined in an interactive session, so it cannot be imported" in out, err

"""Starting, stopping, killing and freezing worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.forking import Forked, forks

__all__ = ["PROJECT", "WorkerProcess", "Workers"]

PROJECT = Path(__file__).resolve().parents[2]
_PROGRAM = "tests.harness.worker"
"""Runs until SIGTERM."""


class WorkerProcess:
    """One ``tests.harness.worker``."""

    def __init__(
        self,
        url: str,
        record: Path,
        log: Path,
        options: dict[str, float],
        die_at: str | None = None,
        agents: Mapping[str, str] | None = None,
        workers: Sequence[str] = (),
    ) -> None:
        command = ["--url", url, "--record", str(record)]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", f"{value:g}"]
        for name, agent in (agents or {}).items():
            command += ["--agent", f"{name}={agent}"]
        for worker in workers:
            command += ["--worker", worker]
        if die_at is not None:
            command += ["--die-at", die_at]
        self.log = log
        log.touch()
        self._process: Forked | subprocess.Popen[bytes]
        if "clock_off" in options:
            # has to be told before anything is imported
            fresh = [sys.executable, "-m", _PROGRAM, *command]
            with log.open("ab") as output:
                self._process = subprocess.Popen(fresh, cwd=PROJECT, stdout=output, stderr=output)
        else:
            self._process = forks().start(_PROGRAM, command, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and wait until the system has taken it away."""
        self._process.kill()
        self._process.wait(10)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        """The exit code; negative for the signal that ended it."""
        return self._process.wait(seconds)

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM, once it heeds signals, which it does before its first word; the exit code."""
        end = time.monotonic() + seconds
        while self.running and not self.log.stat().st_size and time.monotonic() < end:
            time.sleep(0.05)
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)
        return self._process.wait(seconds)


class Workers:
    """All worker processes of a test; none outlives it."""

    def __init__(
        self, url: str, directory: Path, agents: Mapping[str, str] | None = None, **options: float
    ) -> None:
        self._url = url
        self._agents = agents
        self.directory = directory
        self._options = options
        self.record = directory / "record.txt"
        self.all: list[WorkerProcess] = []

    @property
    def running(self) -> list[WorkerProcess]:
        return [worker for worker in self.all if worker.running]

    def start(self, count: int = 1, workers: Sequence[str] = ()) -> list[WorkerProcess]:
        """Start more processes, each with one worker, or with these: ``AGENT:LANE:MODE``."""
        return [self._start(None, workers) for _ in range(count)]

    def start_off(self, seconds: float, workers: Sequence[str] = ()) -> WorkerProcess:
        """Start a process whose host's clock is so many seconds ahead."""
        return self._start(None, workers, clock_off=seconds)

    def start_doomed(self, point: str, workers: Sequence[str] = ()) -> WorkerProcess:
        """Start a process that dies at a fault point, ``NAME:N``."""
        return self._start(point, workers)

    def _start(self, die_at: str | None, workers: Sequence[str], **more: float) -> WorkerProcess:
        log = self.directory / f"worker-{len(self.all)}.log"
        options = {**self._options, **more}
        worker = WorkerProcess(self._url, self.record, log, options, die_at, self._agents, workers)
        self.all.append(worker)
        return worker

    def has_begun(self) -> bool:
        """Whether any handler has begun."""
        return self.record.exists() and self.record.stat().st_size > 0

    def logs(self) -> str:
        """What all of them said, for a failing test."""
        return "\n".join(
            f"== {worker.log.name}\n{worker.log.read_text(errors='replace')[-3000:]}" for worker in self.all
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.running:
            worker.kill()
        if error is not None:
            print(self.logs())

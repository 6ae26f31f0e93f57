"""Programs without the second that importing what they need takes.

A process that has imported everything forks one for each program, which does its work in that one.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Ended", "Forked", "Forks", "forks"]

_ROOT = Path(__file__).parents[1]
_IMPORTED = (
    "nats",
    "psycopg",
    "pymysql",
    "rich.live",
    "rich.table",
    "jobmaster.agents.nats.transport",
    "jobmaster.cli.shell",
    "jobmaster.cli.standalone",
    "jobmaster.cli.statuspage",
    "jobmaster.cluster.cluster",
    "jobmaster.cluster.config",
    "jobmaster.sql.mysql",
    "jobmaster.sql.postgres",
    "jobmaster.sql.sqlite",
    "tests.harness.checker",
    "tests.harness.faults",
)
"""Nothing that declares handlers: a cluster has those that its process knows."""
_PATIENCE = 20.0
"""Seconds within which a program begins."""


class Ended(NamedTuple):
    """A command that has come to its end."""

    code: int
    out: str
    err: str


# --- in the process that has everything imported -----------------------------------------------------------


def serve() -> None:
    """Fork for each connection, until the process that started this one is gone."""
    for module in _IMPORTED:
        importlib.import_module(module)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("ready", flush=True)
    parent = os.getppid()
    listener.settimeout(1)
    while os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _attend(connection)
            connection.close()


def _attend(connection: socket.socket) -> None:
    """Run the one program that is asked for, and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    connection.settimeout(None)
    with connection, connection.makefile("rw") as stream:
        asked = json.loads(stream.readline())
        pid = os.fork()
        if pid == 0:
            _become(asked)
        stream.write(f"{pid}\n")
        stream.flush()
        _, status = os.waitpid(pid, 0)
        stream.write(f"{os.waitstatus_to_exitcode(status)}\n")
    os._exit(0)


def _become(asked: dict[str, Any]) -> None:
    code: object = 1
    try:
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        for target, name in ((0, os.devnull), (1, asked["out"]), (2, asked["err"])):
            flags = os.O_RDONLY if target == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            os.dup2(os.open(name, flags, 0o600), target)
        sys.argv = asked["argv"]
        if asked["module"] == "jobmaster.cli":
            # in the manner of the installed script: no current directory on its path
            sys.path[:] = [folder for folder in sys.path if folder and folder != str(_ROOT)]
        code = importlib.import_module(asked["module"]).main()
    except SystemExit as left:
        code = left.code
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


# --- in the tests ------------------------------------------------------------------------------------------


class Forked:
    """A program that runs, or has run."""

    def __init__(self, address: str, asked: dict[str, Any]) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(address)
        self._connection.sendall(json.dumps(asked).encode() + b"\n")
        self._said = b""
        self.pid = int(self._line(_PATIENCE))
        self._code: int | None = None

    def _line(self, seconds: float) -> bytes:
        """The next line of whoever waits for the program; raises ``TimeoutError``."""
        end = time.monotonic() + seconds
        while b"\n" not in self._said:
            ready, _, _ = select.select([self._connection], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"nothing was heard of it within {seconds} s")
            part = self._connection.recv(100)
            if not part:
                raise EOFError("the process that waits for it has gone")
            self._said += part
        line, _, self._said = self._said.partition(b"\n")
        return line

    def wait(self, seconds: float) -> int:
        """The exit code, negative for the signal that ended it; raises ``TimeoutError``."""
        if self._code is None:
            self._code = int(self._line(seconds))
            self._connection.close()
        return self._code

    def poll(self) -> int | None:
        """The same, if it has ended."""
        with contextlib.suppress(TimeoutError):
            return self.wait(0.0)
        return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, without waiting."""
        self.send_signal(signal.SIGKILL)


class Forks:
    """Runs programs, each forked from one process that has everything imported."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="jobmaster-forks-")
        self._address = str(Path(self._folder.name, "s"))
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.forking import serve; serve()", self._address],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self, module: str, arguments: Sequence[str], log: Path) -> Forked:
        """Start ``python -m module`` in the project's root; ``log`` gets what it says."""
        argv = [module, *arguments]
        asked = {"module": module, "argv": argv, "cwd": str(_ROOT), "env": dict(os.environ)}
        return Forked(self._address, {**asked, "out": str(log), "err": str(log)})

    def command(self, arguments: list[str], cwd: Path, env: dict[str, str], timeout: float) -> Ended:
        """Run `jobmaster` with these arguments; ``timeout`` in seconds, after which it is killed and an error
        raised."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            asked = {
                "module": "jobmaster.cli",
                "argv": ["jobmaster", *arguments],
                "cwd": str(cwd),
                "env": env,
            }
            program = Forked(self._address, {**asked, "out": str(out), "err": str(err)})
            try:
                code = program.wait(timeout)
            except TimeoutError:
                program.kill()
                program.wait(_PATIENCE)
                raise
            return Ended(code, out.read_text(), err.read_text())

    def close(self) -> None:
        """End that process."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


@functools.cache
def forks() -> Forks:
    """Those of this process."""
    made = Forks()
    atexit.register(made.close)
    return made

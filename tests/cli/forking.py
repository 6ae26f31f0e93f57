"""The command `jobmaster` without the second that importing it takes.

A process that has imported everything forks one for each command, which does its work in that one.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

__all__ = ["Commands", "Ended"]

_ROOT = Path(__file__).parents[2]
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
)


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
    """Run the one command that is asked for, and say how it ended."""
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


def _become(asked: dict[str, object]) -> None:
    code: object = 1
    try:
        os.chdir(str(asked["cwd"]))
        os.environ.clear()
        os.environ.update(asked["env"])  # type: ignore[call-overload]
        for name, target in (("stdin", 0), ("out", 1), ("err", 2)):
            flags = os.O_RDONLY if target == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(str(asked.get(name, os.devnull)), flags, 0o600), target)
        # in the manner of the installed script: no current directory on its path
        sys.path[:] = [folder for folder in sys.path if folder and folder != str(_ROOT)]
        sys.argv = ["jobmaster", *asked["arguments"]]  # type: ignore[misc]
        from jobmaster.cli import main

        code = main()
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


class Commands:
    """Runs commands, each forked from one process that has everything imported."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="jobmaster-commands-")
        self._address = str(Path(self._folder.name, "s"))
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.cli.forking import serve; serve()", self._address],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, arguments: list[str], cwd: Path, env: dict[str, str], timeout: float) -> Ended:
        """Run `jobmaster` with these arguments; ``timeout`` in seconds, after which it is killed and an error
        raised."""
        with tempfile.TemporaryDirectory(dir=self._folder.name) as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self._address)
                connection.settimeout(timeout)
                asked = {
                    "arguments": arguments,
                    "cwd": str(cwd),
                    "env": env,
                    "out": str(out),
                    "err": str(err),
                }
                connection.sendall(json.dumps(asked).encode() + b"\n")
                with connection.makefile("r") as answers:
                    pid = int(answers.readline())
                    try:
                        code = int(answers.readline())
                    except TimeoutError:
                        os.kill(pid, signal.SIGKILL)
                        raise
            return Ended(code, out.read_text(), err.read_text())

    def close(self) -> None:
        """End that process."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

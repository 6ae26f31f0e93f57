"""A throw-away server process: started in a temporary directory, ended whatever happens to us.

Three things end it: `close()`, the exit handlers of this interpreter, and a guardian process that notices
when this interpreter died without running them (SIGKILL, `os._exit`): the pipe between the two closes.
"""

from __future__ import annotations

import atexit
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

IN_MEMORY = "JOBMASTER_TEST_IN_MEMORY"
"""Environment variable: where the files of servers go that live no longer than the tests."""
_ROOM = 8 * 1024**3

_GUARDIAN = """
trap '' INT TERM HUP
read -r line
[ "$line" = done ] && exit 0
pid=$(cat "$1/server.pid" 2>/dev/null) && {
    kill -CONT "$pid"; kill -QUIT "$pid"
    for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" || break; sleep 0.2; done
    kill -KILL "$pid"
} 2>/dev/null
rm -rf -- "$1"
"""

_CHANCE = random.SystemRandom()
"""Simulations and made-up examples seed the common source, which would repeat its ports then."""

_owned: set[int] = set()


def owned_processes() -> frozenset[int]:
    """Process ids of the running servers and guardians: children that are nobody's leak."""
    return frozenset(_owned)


def free_port() -> int:
    """A free TCP port of the loopback interface, below the range that outgoing connections take theirs from.

    A server that is down keeps its port for its restart this way: no client socket can be given it meanwhile,
    nor can a client that keeps connecting end up connected to itself. Neither this interpreter nor another
    one that asks here is given the number again while this one lives: a UDP socket of that number, which
    nobody uses, is the sign that it is taken.
    """
    while True:
        port = _CHANCE.randrange(15_000, 32_000)
        with socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as sign, suppress(OSError):
            sign.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            sign.detach()
            return port


def executable_by_others(path: Path) -> bool:
    """Whether an unprivileged user may reach and execute the files in `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def roomy_memory() -> Path | None:
    """A file system in memory with plenty of room, if there is one. Making and dropping a database is some
    hundred files each time, with which a disk is busier than the test."""
    memory = Path("/dev/shm")
    try:
        found = os.statvfs(memory)
    except OSError:
        return None
    free = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available)
    runs_programs = not found.f_flag & os.ST_NOEXEC and os.access(memory, os.W_OK | os.X_OK)
    return memory if runs_programs and free >= _ROOM else None


def alive(process: psutil.Process) -> bool:
    """Whether `process` still runs; one that has ended and waits for its parent to notice does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _still(process: psutil.Process) -> bool:
    """Whether a process is stopped, or gone."""
    try:
        return bool(process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))
    except psutil.NoSuchProcess:
        return True


class ServerProcess:
    """One server process with its temporary directory and port; subclasses say how it is made and started.

    `start`, `stop`, `kill`, `restart`, `pause` and `resume` may be called in any sensible order and any
    number of times; data and port survive them. `close` ends the process and removes the directory. Also a
    context manager. Not thread-safe. As root the server runs as an unprivileged user.
    """

    kind: str
    startup_timeout = 60.0
    stop_signals: Mapping[str, signal.Signals] = {
        "smart": signal.SIGTERM,
        "fast": signal.SIGTERM,
        "immediate": signal.SIGKILL,
    }
    parent: Path | None = None
    """Where the temporary directory is made, if set before the first start; else where all are made."""

    def __init__(self) -> None:
        self.port = free_port()
        self.directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    # What a subclass says

    def prepare(self, directory: Path) -> None:
        """Fill the new, empty `directory`, which the server's user owns; once, before the first start."""
        raise NotImplementedError

    def command(self, directory: Path) -> Sequence[str]:
        """The command that runs the server in the foreground on `self.port`."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether the server accepts work; called every few milliseconds while it starts."""
        raise NotImplementedError

    # What a test does

    @property
    def running(self) -> bool:
        """Whether the process is alive (a paused one is)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the server's main process; `RuntimeError` when it is down."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the {self.kind} server is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start the server and return when it answers; at once when it runs already."""
        if self.running:
            return self
        self._disown(self._process)
        if self.directory is None:
            self._settle_in()
        directory = self.directory
        assert directory is not None
        with (directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(directory),
                cwd=directory,
                env=self._environment(directory),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the test run, which then stops the server
                **self._credentials(),
            )
        _owned.add(self._process.pid)
        (directory / "server.pid").write_text(str(self._process.pid))
        self._await(self.answers, "answer", self.startup_timeout)
        return self

    def stop(self, mode: str = "fast", timeout: float = 30.0) -> None:
        """Stop the server: `smart` waits for its clients, `fast` does not, `immediate` skips the clean-up.

        Raises `TimeoutError` after `timeout` seconds, with the server killed.
        """
        if not self.running:
            return
        self.resume()
        os.kill(self.pid, self.stop_signals[mode])
        self._wait_for_exit(timeout)

    def kill(self) -> None:
        """SIGKILL the server and all its children at once, as `kill -9` or a power cut would."""
        if not self.running:
            return
        main = psutil.Process(self.pid)
        main.suspend()  # so that it replaces none of its children while they are listed
        victims = [main, *main.children(recursive=True)]
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        self._wait_for_exit(10.0)
        until = time.monotonic() + 10.0
        while survivors := [victim for victim in victims if alive(victim)]:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.kind}: still alive after SIGKILL: {survivors}")
            time.sleep(0.005)

    def restart(self, mode: str = "fast") -> Self:
        """`stop(mode)` and `start()`; same port, same data."""
        self.stop(mode)
        return self.start()

    def pause(self) -> None:
        """SIGSTOP the server and its children: connections stay open, nothing answers. Returns once all stand
        still, which a signal alone does not wait for."""
        main = psutil.Process(self.pid)
        family = [main, *main.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self._await(lambda: all(map(_still, family)), "stand still", 10.0)

    def resume(self) -> None:
        """SIGCONT after `pause()`."""
        main = psutil.Process(self.pid)
        for process in [*main.children(recursive=True), main]:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def log(self) -> str:
        """What the server wrote to its log so far."""
        path = self.directory and self.directory / "server.log"
        return path.read_text(errors="replace") if path and path.exists() else ""

    def close(self) -> None:
        """End the server at once and remove its directory. A second call does nothing."""
        if os.getpid() != self._owner:  # a forked child inherits this exit handler, not the server
            return
        self.kill()
        self._disown(self._process)
        if self._guardian is not None:
            assert self._guardian.stdin is not None
            with suppress(BrokenPipeError):
                self._guardian.stdin.write(b"done\n")
                self._guardian.stdin.close()
            self._guardian.wait()
            self._disown(self._guardian)
            self._guardian = None
        if self.directory is not None:
            self.tidy(self.directory)
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def tidy(self, directory: Path) -> None:
        """Remove what a killed server leaves behind outside of its directory. By default that is nothing."""

    # How it is done

    def _settle_in(self) -> None:
        parent = str(self.parent or os.environ.get(IN_MEMORY) or tempfile.gettempdir())
        user = self._user()
        if user is not None and not executable_by_others(Path(parent)):
            parent = "/tmp"
        directory = Path(tempfile.mkdtemp(prefix=f"jobmaster-{self.kind}-", dir=parent))
        self.directory = directory
        atexit.register(self.close)
        self._guardian = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDIAN, "guardian", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _owned.add(self._guardian.pid)
        if user is not None:
            os.chown(directory, user.pw_uid, user.pw_gid)
        try:
            self.prepare(directory)
        except BaseException:
            self.close()
            raise

    def _run(self, *command: str) -> None:
        """Run a preparing command as the server's user; its output is in the error when it fails."""
        directory = self.directory
        assert directory is not None
        done = subprocess.run(
            command,
            cwd=directory,
            env=self._environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **self._credentials(),
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}")

    @staticmethod
    def _environment(directory: Path) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "TMPDIR": str(directory),
            "LC_ALL": "C",
            "TZ": "UTC",
        }

    @staticmethod
    def _user() -> pwd.struct_passwd | None:
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def _credentials(self) -> dict[str, Any]:
        user = self._user()
        if user is None:
            return {}
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}

    def _wait_for_exit(self, timeout: float) -> None:
        process = self._process
        assert process is not None
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{self.kind}: did not stop within {timeout} s\n{self.log()}") from None
        finally:
            self._disown(process)

    def _await(self, condition: Callable[[], bool], what: str, timeout: float) -> None:
        until = time.monotonic() + timeout
        while not condition():
            if not self.running:
                raise RuntimeError(f"the {self.kind} server ended before it could {what}:\n{self.log()}")
            if time.monotonic() > until:
                self.kill()
                raise TimeoutError(f"the {self.kind} server did not {what} within {timeout} s:\n{self.log()}")
            time.sleep(0.02)

    @staticmethod
    def _disown(process: subprocess.Popen[bytes] | None) -> None:
        if process is not None and process.poll() is not None:
            _owned.discard(process.pid)


def run_until_interrupted(announce: str) -> None:
    """Print `announce` and wait for Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(announce, flush=True)
    with suppress(KeyboardInterrupt):
        signal.pause()
    print("stopping", file=sys.stderr)

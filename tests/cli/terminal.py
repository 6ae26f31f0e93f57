"""A command in a real terminal: a pseudo-terminal with a size, keys to press and a screen to read."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")

_SIZES = ("COLUMNS", "LINES")
"""Would say another size than the terminal has."""


class Terminal:
    """Runs a command on a pseudo-terminal of `columns` by `lines`; ended with the context."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        columns: int = 140,
        lines: int = 50,
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env={
                **{name: value for name, value in env.items() if name not in _SIZES},
                "TERM": "xterm-256color",
            },
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._seen = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """Everything written so far, without control sequences."""
        return _ESCAPE.sub("", self.raw).replace("\r", "")

    def expect(self, pattern: str, timeout: float = 30.0) -> re.Match[str]:
        """Read until `pattern` matches something written after the last match."""
        until = time.monotonic() + timeout
        while True:
            found = re.compile(pattern).search(self.text, self._seen)
            if found:
                self._seen = found.end()
                return found
            assert time.monotonic() < until, f"no {pattern!r} within {timeout} s in:\n{self.text}"
            ended = self.process.poll() is not None
            if not self._read(0.1):
                assert not ended, f"ended without {pattern!r}:\n{self.text}"

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], patience)
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False  # the other side is closed
        self.raw += self._decoder.decode(data)
        return bool(data)

    def press(self, keys: bytes) -> None:
        """Type something; `b"\\x03"` is Ctrl-C."""
        os.write(self._ours, keys)

    def wait(self, timeout: float = 30.0) -> int:
        """Read to the end; the exit code."""
        until = time.monotonic() + timeout
        ended = False
        while self._read(0.1) or not ended:
            ended = self.process.poll() is not None  # then one more look shows all that it has written
            assert time.monotonic() < until, f"did not end within {timeout} s:\n{self.text}"
        return self.process.wait()

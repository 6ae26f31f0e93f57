"""A small disk of its own that a test can fill, for files and servers that are to meet a full one."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["DiskAbsent", "SmallDisk"]

_PORTION = bytes(1 << 20)


class DiskAbsent(Exception):
    """No small disk can be had here; the message says why."""


class SmallDisk:
    """A file system in memory, mounted on a fresh directory; needs root. Raises :class:`DiskAbsent`."""

    def __init__(self, megabytes: int) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="jobmaster-disk-", dir="/tmp"))
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=1777", "tmpfs", str(self.path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            reason = done.stderr.strip() if done.returncode else None
        except FileNotFoundError as absent:
            reason = str(absent)
        if reason is not None:
            self.path.rmdir()
            raise DiskAbsent(f"no small disk here, which root could mount: {reason}")
        self._filler = self.path / "filler"

    def fill(self) -> None:
        """Leave not one byte."""
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            portion = _PORTION
            while portion:
                try:
                    os.write(file, portion)
                except OSError as fault:
                    if fault.errno != errno.ENOSPC:
                        raise
                    portion = portion[: len(portion) // 2]
        finally:
            os.close(file)

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # lazily: a server that is just ending may still have files there
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        self.path.rmdir()

"""One run of one job: what the engine and the handler's context share."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..domain.job import ClaimedJob, Progress

if TYPE_CHECKING:
    from .bound import BoundHandler
    from .site import WorkerSite

__all__ = ["LOG_LIMIT", "CancelReason", "Run"]

CancelReason: TypeAlias = Literal["cancelled", "timeout", "interrupted", "lost"]

LOG_LIMIT = 64 * 1024
"""Bytes of UTF-8 that one run may log."""
_CUT = f"... the log was cut at {LOG_LIMIT // 1024} KiB"
_LONGEST_MESSAGE = 1_000

_cancelling = threading.Lock()


class Run:
    """One run. The engine makes it, the handler's :class:`JobContext` reads it and writes progress and log.

    ``started_at`` is aware UTC by the worker's clock, ``timeout`` is in seconds,
    ``max_retries`` is what applies to this job after call, handler and cluster were asked.
    """

    __slots__ = (
        "_log",
        "_log_bytes",
        "bound",
        "busy",
        "cancel_reason",
        "handler",
        "job",
        "max_retries",
        "on_cancel",
        "progress",
        "progress_dirty",
        "site",
        "started_at",
        "timeout",
    )

    def __init__(
        self,
        job: ClaimedJob,
        site: WorkerSite,
        bound: BoundHandler,
        started_at: datetime,
        timeout: float,
        max_retries: int,
    ) -> None:
        self.job = job
        self.site = site
        self.bound = bound
        self.started_at = started_at
        self.timeout = timeout
        self.max_retries = max_retries
        self.cancel_reason: CancelReason | None = None
        self.on_cancel: Callable[[CancelReason], None] | None = None
        """Told when the run is asked to stop; from any thread."""
        self.progress: Progress | None = None
        self.progress_dirty = False
        """Whether ``progress`` changed since the engine last stored it; the engine clears it."""
        self.busy: asyncio.Future[object] | None = None
        """Set when ``invoke`` was cancelled while a thread ran the handler: done when that has ended."""
        self.handler: object | None = None
        """The handler object of this run, kept for its ``should_retry``."""
        self._log: list[str] | None = None
        self._log_bytes = 0

    @property
    def deadline(self) -> datetime:
        """When it times out, by the worker's clock, aware UTC."""
        return self.started_at + timedelta(seconds=self.timeout)

    @property
    def logged(self) -> bool:
        """Whether the handler wrote to the log of this run."""
        return self._log is not None

    def request_cancel(self, reason: CancelReason) -> bool:
        """Ask the run to stop; from any thread. The first reason stands, but ``lost`` replaces every other.

        Returns whether the reason is new.
        """
        with _cancelling:
            before = self.cancel_reason
            if before is not None and (reason != "lost" or before == "lost"):
                return False
            self.cancel_reason = reason
            tell = self.on_cancel
        if tell is not None:
            tell(reason)
        return True

    def tell_on_cancel(self, tell: Callable[[CancelReason], None] | None) -> None:
        """Have ``tell`` called when the run is asked to stop; at once when it was asked before."""
        with _cancelling:
            self.on_cancel = tell
            reason = self.cancel_reason
        if tell is not None and reason is not None:
            tell(reason)

    def set_progress(self, fraction: float, message: str) -> None:
        """Note progress; from any thread. Raises ``ValueError`` for a fraction outside 0 to 1."""
        value = float(fraction)
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise ValueError(f"progress is a fraction between 0 and 1, not {fraction!r}")
        self.progress = Progress(value, storable(str(message))[:_LONGEST_MESSAGE])
        self.progress_dirty = True

    def write_log(self, text: str) -> None:
        """Append a line to the log of this run; from any thread. Beyond 64 KiB a note ends the log."""
        if self._log_bytes >= LOG_LIMIT:
            return
        line = storable(text)
        size = len(line.encode()) + 1
        log = self._log
        if log is None:
            log = self._log = []
        if self._log_bytes + size > LOG_LIMIT:
            room = LOG_LIMIT - self._log_bytes
            self._log_bytes = LOG_LIMIT
            log.append(line.encode()[:room].decode("utf-8", "ignore"))
            log.append(_CUT)
        else:
            self._log_bytes += size
            log.append(line)

    def log_text(self) -> str | None:
        """What was logged, a line each; ``None`` when nothing was."""
        return None if self._log is None else "\n".join(self._log)


def storable(text: str) -> str:
    """``text`` without what some databases refuse in text: NUL and lone surrogates become escapes."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")

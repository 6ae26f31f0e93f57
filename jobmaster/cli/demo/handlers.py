"""The handlers of the demonstration."""

from __future__ import annotations

import asyncio
import hashlib
import os

from ...domain.retry import Retry
from ...handlers import FailJob, JobContext, JobHandler, job
from .files import kind_of

__all__ = ["HANDLERS", "LANE", "InspectFile", "be_late", "never_end", "stumble", "take_too_long", "text_path"]

LANE = "demo"
_CHUNK = 1 << 20


def text_path(path: str) -> dict[str, object]:
    """A path as the data of a job: file names need not be valid text, data must be."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return {"path": path.encode(errors="replace").decode(), "raw_path": os.fsencode(path)}
    return {"path": path}


class InspectFile(JobHandler, definition_id="demo.inspect-file", lane=LANE, timeout=60, max_retries=0):
    """Size, number of lines and SHA-256 of one file. Sync: it runs in a thread."""

    def handle(self, job: JobContext) -> dict[str, object]:
        raw = job.data.get_bytes("raw_path", default=None)
        path: str | bytes = job.data.get_str("path") if raw is None else raw
        try:
            # without O_NONBLOCK, opening a named pipe would wait for somebody to write into it
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as fault:
            raise FailJob(f"cannot be read: {fault.strerror}") from fault
        if (kind := kind_of(os.fstat(handle).st_mode)) is not None:
            os.close(handle)
            raise FailJob(f"cannot be read: {kind}")
        with os.fdopen(handle, "rb", buffering=0) as file:
            digest, size, lines, last = hashlib.sha256(), 0, 0, b"\n"
            while True:
                try:
                    chunk = file.read(_CHUNK)
                except OSError as fault:
                    raise FailJob(f"cannot be read: {fault.strerror}") from fault
                if not chunk:
                    break
                job.check_cancelled()
                digest.update(chunk)
                size += len(chunk)
                lines += chunk.count(b"\n")
                last = chunk[-1:]
        return {"size": size, "lines": lines + (last != b"\n"), "sha256": digest.hexdigest()}


@job("demo.fail-twice", lane=LANE, max_retries=3, retry=Retry.fixed(0.3))
async def stumble(job: JobContext) -> str:
    """Fails at first, and succeeds at the third run."""
    if job.failures < 2:
        raise ConnectionError(f"nobody answers (run {job.attempt})")
    return f"succeeded at run {job.attempt}"


@job("demo.time-out", lane=LANE, timeout=1.0, max_retries=0)
async def take_too_long(job: JobContext) -> None:
    """Wants a minute and gets a second."""
    await job.progress(0.02, "one second of sixty")
    await asyncio.sleep(60)


@job("demo.cancel-me", lane=LANE, timeout=30, max_retries=0)
async def never_end(job: JobContext) -> None:
    """Runs until it is cancelled."""
    await asyncio.Event().wait()


@job("demo.delayed", lane=LANE)
async def be_late(job: JobContext) -> str:
    """Is due a while after it was enqueued."""
    return f"{(job.started_at - job.scheduled_at).total_seconds() * 1000:.0f} ms after it was due"


HANDLERS = (InspectFile, stumble, take_too_long, never_end, be_late)

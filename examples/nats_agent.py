"""Jobs that run through NATS JetStream, with a master in SQLite.

    python nats_agent.py nats://localhost:4222

Without a URL a server is started for the occasion, if there is a `nats-server` here.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager

from jobmaster import ClusterConfig, JobContext, JobHandler, JobRequest, Retry


class Resize(JobHandler, definition_id="resize"):
    async def handle(self, job: JobContext) -> str:
        return f"{job.data['name']} resized on agent {job.agent_connection}"


class Fragile(JobHandler, definition_id="fragile", retry=Retry.fixed(0.1)):
    async def handle(self, job: JobContext) -> str:
        if job.attempt == 1:
            raise ConnectionError("the first run fails")
        return f"done at run {job.attempt}"


@contextmanager
def server() -> Iterator[str]:
    """A NATS server with JetStream, which is gone afterwards."""
    binary = shutil.which("nats-server")
    if binary is None:
        sys.exit("no nats-server here: install one, or name one on the command line")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "-js", "-sd", folder, "-a", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


async def main(url: str, folder: str) -> None:
    cluster = (
        ClusterConfig("pictures")
        .use_sqlite_for_master(f"{folder}/master.db")
        .add_agent_connection("fast", url)
        .add_worker("fast")
        .build()
    )
    async with cluster:
        scheduler = cluster.scheduler
        job = await scheduler.once_now_async(Resize, {"name": "cat.png"})
        print((await scheduler.wait_async(job.id, timeout=10)).result)

        many = await scheduler.once_many_async(
            [JobRequest(Resize, {"name": f"{n}.png"}) for n in range(1000)]
        )
        for picture in many:
            await scheduler.wait_async(picture.id, timeout=30)
        print(f"{len(many)} more")

        fragile = await scheduler.once_now_async(Fragile)
        print((await scheduler.wait_async(fragile.id, timeout=10)).result)

        # due later than NATS keeps jobs: it waits on the master and comes back in time
        later = await scheduler.once_after_async(Resize, 4, {"name": "later.png"})
        print(later.status.value)
        print((await scheduler.wait_async(later.id, timeout=20)).result)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            asyncio.run(main(sys.argv[1], folder))
        else:
            with server() as found:
                asyncio.run(main(found, folder))

"""A program whose process handler stands in ``__main__``; told what to do by its argument.

It prints the process id of its child as soon as the handler runs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from jobmaster.engine.children import ChildRunner
from jobmaster.handlers import JobContext, JobHandler
from jobmaster.handlers.remote import steady
from tests.unit.handlers.runs import registry_of, run_of, site

SAID_IN_CHILD = "imported as " + __name__


class Here(JobHandler, definition_id="parent-here", execution="process"):
    def handle(self, job: JobContext) -> str:
        if job.data.get_bool("hang", default=False):
            grandchild = subprocess.Popen(
                [sys.executable, "-c", "import threading; threading.Event().wait()"]
            )
            print(os.getpid(), grandchild.pid, flush=True)
            threading.Event().wait()
        return f"{type(self).__module__}, {SAID_IN_CHILD}"


async def renew(children: ChildRunner) -> None:
    while True:
        children.set_trusted_until(steady() + 1.0)
        await asyncio.sleep(0.05)


async def main(what: str) -> None:
    children = ChildRunner(1)
    registry = registry_of(Here)

    def run(data: str) -> Any:
        made = run_of(registry, Here, data, at=site(children=children))
        return made.bound.invoke(made)

    if what == "result":
        print(await run("{}"))
        await children.close()
    elif what == "hang":
        await run('{"hang": true}')
    elif what == "hang-with-lease":
        asyncio.ensure_future(renew(children))  # noqa: RUF006 - lives as long as the loop, which this awaits
        await run('{"hang": true}')
    elif what == "leave-idle":
        await run("{}")
    elif what == "leave-busy":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: sys.exit(3))
        await run('{"hang": true}')


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

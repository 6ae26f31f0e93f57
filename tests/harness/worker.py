"""A worker process: ``python -m tests.harness.worker --url … --record …``; runs until SIGTERM."""

from __future__ import annotations

import sys

from tests.harness.clockshift import shift

if "--clock-off" in sys.argv:
    # before anything takes the time by name
    shift(float(sys.argv[sys.argv.index("--clock-off") + 1]))

import argparse
import asyncio
import logging
import os
import signal
import time
from datetime import timedelta

from jobmaster import ClusterConfig, JobContext, JobHandler, Retry
from tests.harness.faults import FaultPoint, build
from tests.harness.record import Recorder
from tests.kinds import use

recorder: Recorder


class Numbered(JobHandler, definition_id="numbered"):
    """Notes start and end, and takes the time it was told."""

    async def handle(self, job: JobContext) -> int:
        number = job.data.get_int("number")
        recorder.write(number, job.attempt, "start")
        await asyncio.sleep(job.data.get_float("seconds", default=0.0))
        recorder.write(number, job.attempt, "end")
        return number


class NumberedInThread(JobHandler, definition_id="numbered-thread"):
    """The same in a thread."""

    def handle(self, job: JobContext) -> int:
        number = job.data.get_int("number")
        recorder.write(number, job.attempt, "start")
        time.sleep(job.data.get_float("seconds", default=0.0))
        recorder.write(number, job.attempt, "end")
        return number


class NumberedFailing(JobHandler, definition_id="numbered-failing", retry=Retry.fixed(0.05)):
    """Fails the first time."""

    async def handle(self, job: JobContext) -> int:
        number = job.data.get_int("number")
        recorder.write(number, job.attempt, "start")
        if job.failures == 0:
            raise ValueError("the first run fails")
        recorder.write(number, job.attempt, "end")
        return number


class Poison(JobHandler, definition_id="poison"):
    """Kills its process."""

    async def handle(self, job: JobContext) -> None:
        recorder.write(job.data.get_int("number"), job.attempt, "start")
        os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(60)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--record", required=True)
    parser.add_argument("--lease", type=float, default=2.0)
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("--concurrency", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--max-losses", type=int, default=5)
    parser.add_argument("--die-at", default="", help="POINT:N, SIGKILL at the N-th passing of a fault point")
    parser.add_argument("--agent", action="append", default=[], help="NAME=URL; --url is then the master")
    parser.add_argument("--worker", action="append", default=[], help="AGENT:LANE:MODE, with agents")
    parser.add_argument("--clock-off", type=float, default=0.0, help="seconds that this host is ahead")
    parser.add_argument("--threshold", type=float, default=600.0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(process)d %(asctime)s %(name)s %(message)s")
    global recorder
    recorder = Recorder(given.record)
    cluster = (
        ClusterConfig("harness")
        .lease(timedelta(seconds=given.lease))
        .grace_period(timedelta(seconds=given.grace))
        .max_losses(given.max_losses)
        .add_handlers(Numbered, NumberedInThread, NumberedFailing, Poison)
    )
    use(cluster, given.url, dict(agent.split("=", 1) for agent in given.agent))
    for asked in given.worker or ["::full"]:
        agent, lane, mode = asked.split(":")
        cluster.add_worker(
            agent or None,
            lane=lane or "default",
            mode=mode,
            concurrency=given.concurrency,
            batch_size=given.batch_size,
        )
    if given.agent:
        has_nats = any("=nats://" in agent for agent in given.agent)
        cluster.transient_threshold(min(given.threshold, 120.0) if has_nats else given.threshold)
    build(cluster, FaultPoint.parse(given.die_at) if given.die_at else None).run()


if __name__ == "__main__":
    main()

"""What can become of a run: retried, timed out, snoozed, failed for good, cancelled.

    python examples/retries_and_timeouts.py
"""

import asyncio

from jobmaster import ClusterConfig, FailJob, JobContext, JobHandler, Retry, Snooze, job


class Unreliable(JobHandler, definition_id="unreliable", max_retries=3, retry=Retry.fixed(0.1)):
    """Fails twice. ``max_retries=3`` allows four failures in all."""

    async def handle(self, job: JobContext) -> str:
        if job.failures < 2:
            raise ConnectionError("nobody answers")
        return f"succeeded at run {job.attempt}"


@job("too-slow", timeout=0.5, max_retries=0)
async def too_slow(job: JobContext) -> None:
    await asyncio.sleep(60)  # cancelled after half a second


@job("not-yet", max_retries=0)
async def not_yet(job: JobContext) -> str:
    if job.attempt == 1:
        raise Snooze(0.2)  # run me again later; this is no failure
    return "the time has come"


@job("hopeless", max_retries=10)
async def hopeless(job: JobContext) -> None:
    raise FailJob("no such customer")  # retrying would not help


@job("endless")
async def endless(job: JobContext) -> None:
    await asyncio.Event().wait()


cluster = ClusterConfig("retries").use_sqlite("retries_and_timeouts.db").add_worker().build()


async def main() -> None:
    async with cluster:
        scheduler = cluster.scheduler
        names = ["unreliable", "too-slow", "not-yet", "hopeless", "endless"]  # ids serve as well as handlers
        jobs = [await scheduler.once_now_async(name) for name in names]
        await scheduler.cancel_job_async(jobs[-1].id)
        for enqueued in jobs:
            ended = await scheduler.wait_async(enqueued.id, timeout=30)
            said = ended.result if ended.error is None else ended.error
            print(f"{ended.definition_id}: {ended.status.value}, {said}")
            for attempt in await scheduler.attempts_async(ended.id):
                print(f"    run {attempt.number}: {attempt.outcome.value}")


if __name__ == "__main__":
    asyncio.run(main())

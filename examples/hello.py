import asyncio
from jobmaster import ClusterConfig, JobContext, JobHandler

class HelloHandler(JobHandler, definition_id="hello"):
    async def handle(self, job: JobContext) -> None:
        print(f"Hello {job.data['name']}")

cluster = ClusterConfig("local").use_standalone().use_sqlite("jobmaster.db").add_worker().build()

async def main() -> None:
    async with cluster:                                   # starts the runtime in this event loop
        job = await cluster.scheduler.once_now_async(HelloHandler, {"name": "John"})
        finished = await cluster.scheduler.wait_async(job.id, timeout=10)
        print(finished.status)                            # JobStatus.SUCCEEDED

if __name__ == "__main__":
    asyncio.run(main())

"""A web application that only enqueues: it knows the master and the agents, and runs no worker.

    uvicorn cluster_producer:app --app-dir examples
    python examples/cluster_workers.py orders        # in other terminals, on other machines
    python examples/cluster_workers.py reports

    curl -X POST 'localhost:8000/orders/17'
    curl -X POST 'localhost:8000/reports?month=May'
    curl localhost:8000/jobs/<id>

A request is answered as soon as its job is durable, on the agent where it waits least. While one agent is
away the other takes the jobs, and while the master is away the agents do.
"""

from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException

from cluster_workers import describe
from jobmaster import Job, JobNotFound, TransportUnavailable
from jobmaster.integrations.fastapi import SchedulerDependency, lifespan

cluster = describe().add_handlers().build()
app = FastAPI(lifespan=lifespan(cluster, run_workers=False))


@app.post("/orders/{order}", status_code=202)
async def order(order: int, scheduler: SchedulerDependency) -> dict[str, Any]:
    """The handler lives elsewhere: its definition id is enough."""
    try:
        return shown(await scheduler.once_now_async("ship-order", {"order": order}))
    except TransportUnavailable as error:
        raise HTTPException(503, str(error)) from error


@app.post("/reports", status_code=202)
async def report(month: str, scheduler: SchedulerDependency) -> dict[str, Any]:
    return shown(await scheduler.once_now_async("make-report", {"month": month}, lane="reports"))


@app.get("/jobs/{job_id}")
async def read_job(job_id: UUID, scheduler: SchedulerDependency) -> dict[str, Any]:
    try:
        return shown(await scheduler.get_job_async(job_id))
    except JobNotFound as error:
        raise HTTPException(404, str(error)) from error


@app.get("/jobs/{job_id}/why")
async def explain(job_id: UUID, scheduler: SchedulerDependency) -> list[str]:
    """Why the job is where it is."""
    return [reason.message for reason in (await scheduler.explain_async(job_id)).reasons]


def shown(job: Job) -> dict[str, Any]:
    return {"id": job.id, "status": job.status, "agent": job.agent_connection, "result": job.result}

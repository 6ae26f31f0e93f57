"""A web application that embeds a worker: it accepts work over HTTP and runs it in the same process.

    uvicorn fastapi_app:app --app-dir examples

    curl -X POST 'localhost:8000/reports?customer=42'
    curl localhost:8000/jobs/<id>
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from jobmaster import ClusterConfig, Job, JobContext, JobHandler, JobNotFound


class ReportArgs(BaseModel):
    customer: int


class MakeReport(JobHandler[ReportArgs], definition_id="make-report", timeout=60, max_retries=2):
    async def handle(self, job: JobContext[ReportArgs]) -> dict[str, Any]:
        await job.progress(0.5, "half of it is written")
        return {"customer": job.data.customer, "pages": 3}


cluster = ClusterConfig("web").use_sqlite("fastapi_app.db").add_handlers(MakeReport).add_worker().build()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with cluster:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/reports", status_code=202)
async def order_report(customer: int) -> dict[str, Any]:
    job = await cluster.scheduler.once_now_async(MakeReport, ReportArgs(customer=customer))
    return shown(job)


@app.get("/jobs/{job_id}")
async def read_job(job_id: UUID) -> dict[str, Any]:
    try:
        return shown(await cluster.scheduler.get_job_async(job_id))
    except JobNotFound as error:
        raise HTTPException(404, str(error)) from error


def shown(job: Job) -> dict[str, Any]:
    return {"id": job.id, "status": job.status, "result": job.result, "error": job.error and str(job.error)}

"""Payloads that are checked when a job is enqueued: a pydantic model, a dataclass, a TypedDict.

    python examples/typed_payloads.py
"""

import asyncio
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict  # before Python 3.12, pydantic cannot read the one of typing

from jobmaster import ClusterConfig, InvalidJob, JobContext, JobHandler, job


class ResizeArgs(BaseModel):
    url: str
    width: int = Field(640, ge=1, le=10_000)


class Resize(JobHandler[ResizeArgs], definition_id="resize"):
    async def handle(self, job: JobContext[ResizeArgs]) -> str:
        return f"{job.data.url} at {job.data.width} pixels"


@dataclass
class Invoice:
    number: int
    amount: Decimal
    due: date


@job("send-invoice")
async def send_invoice(job: JobContext[Invoice]) -> str:
    return f"invoice {job.data.number} over {job.data.amount}, due {job.data.due:%d %B %Y}"


class Point(TypedDict):
    x: float
    y: float


@job("plot")
async def plot(job: JobContext[Point]) -> float:
    return job.data["x"] * job.data["y"]


cluster = ClusterConfig("typed").use_sqlite("typed_payloads.db").add_worker().build()


async def main() -> None:
    async with cluster:
        scheduler = cluster.scheduler
        jobs = [
            await scheduler.once_now_async(Resize, {"url": "cat.png"}),
            await scheduler.once_now_async(Resize, ResizeArgs(url="dog.png", width=64)),
            await scheduler.once_now_async(send_invoice, Invoice(7, Decimal("129.90"), date(2026, 12, 24))),
            await scheduler.once_now_async(plot, {"x": 6, "y": 7}),
        ]
        for enqueued in jobs:
            print((await scheduler.wait_async(enqueued.id, timeout=30)).result)
        try:
            await scheduler.once_now_async(Resize, {"url": "cat.png", "width": 0})
        except InvalidJob as error:
            print(f"refused before anything was stored: {str(error).splitlines()[0]}")


if __name__ == "__main__":
    asyncio.run(main())

"""Starlette and FastAPI applications that enqueue, and run what they enqueue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from jobmaster import Cluster, ConfigurationError, JobMasterError, JobStatus, Scheduler
from jobmaster.integrations import fastapi, starlette
from tests.integrations.jobs import configure


async def order(request: Request) -> Response:
    scheduler = starlette.scheduler_of(request)
    job = await scheduler.once_now_async("double", {"n": int(request.query_params["n"])})
    finished = await scheduler.wait_async(job.id, timeout=10)
    return JSONResponse({"result": finished.result, "same": scheduler is request.app.state.jobmaster})


ORDER = Route("/order", order, methods=["POST"])
ROUTES = [ORDER, Mount("/inner", routes=[ORDER])]


@pytest.fixture
def cluster(folder: Path) -> Cluster:
    return configure(folder).add_worker().build()


def test_a_job_runs_in_the_application(cluster: Cluster) -> None:
    app = Starlette(routes=ROUTES, lifespan=starlette.lifespan(cluster))
    with TestClient(app) as client:
        assert cluster.is_running
        assert client.post("/order?n=21").json() == {"result": 42, "same": True}
        assert client.post("/inner/order?n=4").json() == {"result": 8, "same": True}
    assert not cluster.is_running
    assert not hasattr(app.state, "jobmaster")


def test_a_mounted_application_finds_it_too(cluster: Cluster) -> None:
    async def result(request: Request) -> Response:
        assert not hasattr(request.app.state, "jobmaster")
        found = starlette.scheduler_of(request)
        return JSONResponse({"same": found is cluster.scheduler})

    inner = Starlette(routes=[Route("/", result)])
    app = Starlette(routes=[Mount("/inner", inner)], lifespan=starlette.lifespan(cluster))
    with TestClient(app) as client:
        assert client.get("/inner/").json() == {"same": True}


def test_the_lifespan_of_the_application_is_within(cluster: Cluster) -> None:
    seen: list[object] = []

    @asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        job = await cluster.scheduler.once_now_async("double", {"n": 1})
        seen.append((await cluster.scheduler.wait_async(job.id, timeout=10)).result)
        yield {"greeting": "hello"}
        seen.append(cluster.is_running)

    async def greet(request: Request) -> Response:
        return JSONResponse([request.state.greeting, request.state.jobmaster is cluster.scheduler])

    app = Starlette(routes=[Route("/", greet)], lifespan=starlette.lifespan(cluster, own))
    with TestClient(app) as client:
        assert client.get("/").json() == ["hello", True]
    assert seen == [2, True]


def test_a_lifespan_that_yields_nothing_and_fails_at_its_end_stops_the_workers(cluster: Cluster) -> None:
    @asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[None]:
        yield
        raise OSError("the end")

    app = Starlette(routes=ROUTES, lifespan=starlette.lifespan(cluster, own))
    with pytest.raises(OSError, match="the end"):
        with TestClient(app) as client:
            assert client.post("/order?n=3").json()["result"] == 6
    assert not cluster.is_running


def test_an_application_can_live_twice(cluster: Cluster) -> None:
    app = Starlette(routes=ROUTES, lifespan=starlette.lifespan(cluster))
    for n in (1, 2):
        with TestClient(app) as client:
            assert client.post(f"/order?n={n}").json()["result"] == 2 * n


def test_a_producer_runs_nothing(cluster: Cluster) -> None:
    async def enqueue(request: Request) -> Response:
        job = await starlette.scheduler_of(request).once_now_async("double", {"n": 5})
        return JSONResponse({"id": str(job.id)})

    app = Starlette(routes=[Route("/", enqueue)], lifespan=starlette.lifespan(cluster, run_workers=False))
    with TestClient(app) as client:
        assert not cluster.is_running
        job_id = UUID(client.get("/").json()["id"])
    with cluster:
        assert cluster.scheduler.wait(job_id, timeout=10).result == 10


def test_a_cluster_that_cannot_start_fails_the_application(folder: Path) -> None:
    cluster = configure(folder / "nowhere").startup_timeout(0.2).add_worker().build()
    with pytest.raises(JobMasterError, match="nowhere"):
        with TestClient(Starlette(lifespan=starlette.lifespan(cluster))):
            pytest.fail("it started")


def test_without_the_lifespan_the_message_says_so() -> None:
    client = TestClient(Starlette(routes=ROUTES))
    with pytest.raises(ConfigurationError, match=r"lifespan=lifespan\(cluster\)"):
        client.post("/order?n=1")


def fastapi_app(cluster: Cluster) -> FastAPI:
    app = FastAPI(lifespan=fastapi.lifespan(cluster))

    @app.post("/order")
    async def place(name: str, scheduler: fastapi.SchedulerDependency) -> dict[str, Any]:
        job = await scheduler.once_now_async("greet", {"name": name})
        return {"said": (await scheduler.wait_async(job.id, timeout=10)).result}

    @app.get("/sync/{n}")
    def sync(n: int, scheduler: fastapi.SchedulerDependency) -> dict[str, Any]:
        job = scheduler.once_now("double", {"n": n})
        return {"result": scheduler.wait(job.id, timeout=10).result}

    @app.websocket("/socket")
    async def talk(socket: WebSocket, scheduler: fastapi.SchedulerDependency) -> None:
        await socket.accept()
        job = await scheduler.once_now_async("in-thread")
        finished = await scheduler.wait_async(job.id, timeout=10)
        await socket.send_json([finished.status, finished.result])
        await socket.close()

    return app


def test_the_dependency_in_paths_and_sockets(cluster: Cluster) -> None:
    with TestClient(fastapi_app(cluster)) as client:
        assert client.post("/order?name=Ada").json() == {"said": "Hello Ada"}
        assert client.get("/sync/8").json() == {"result": 16}
        with client.websocket_connect("/socket") as socket:
            status, thread = socket.receive_json()
    assert status == JobStatus.SUCCEEDED
    assert thread.startswith("jobmaster-worker-1")


def test_the_dependency_is_no_parameter_of_the_request(cluster: Cluster) -> None:
    operation = fastapi_app(cluster).openapi()["paths"]["/order"]["post"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["name"]
    cluster.close()


def test_the_dependency_can_be_overridden(cluster: Cluster, tmp_path: Path) -> None:
    app = fastapi_app(cluster)

    def other() -> Scheduler:
        return cluster.scheduler

    app.dependency_overrides[fastapi.get_scheduler] = other
    with cluster:
        assert TestClient(app).get("/sync/2").json() == {"result": 4}  # no lifespan ran

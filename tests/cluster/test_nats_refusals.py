"""What a NATS agent refuses: each with the agent's name and a way out, before anything is written."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nats
import pytest

from jobmaster import (
    Cluster,
    ClusterConfig,
    ConfigurationError,
    JobStatus,
    MessageTooLarge,
)
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import NewJob
from tests.cluster.handlers import COUNT, Counted
from tests.servers import NatsServer, ServerAbsent, absent
from tests.servers.process import free_port

pytestmark = pytest.mark.nats


@contextmanager
def serving(**options: Any) -> Iterator[NatsServer]:
    try:
        with NatsServer(**options) as server:
            yield server
    except ServerAbsent as reason:
        absent("nats", reason)


def config(folder: Path, url: str, **options: Any) -> ClusterConfig:
    made = ClusterConfig("refused").use_sqlite_for_master(folder / "master.db").add_handlers(Counted)
    return (
        made.startup_timeout(1).operation_timeout(1).add_agent_connection("n", url, **options).add_worker("n")
    )


async def fault_of(cluster: Cluster) -> str:
    """What a start says."""
    with pytest.raises(ConfigurationError) as caught:
        await cluster.start_async()
    return str(caught.value)


async def runs(cluster: Cluster) -> None:
    """A job goes through."""
    COUNT.reset()
    async with cluster:
        job = await cluster.scheduler.once_now_async(Counted, {"n": 1})
        assert (await cluster.scheduler.wait_async(job.id, 10)).status is JobStatus.SUCCEEDED


# --- before anybody connects ------------------------------------------------------------------------

FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("nats://a:4222,b:notaport", {}, "lists servers such as nats://one:4222,two:4222"),
    ("nats://a:4222?replicas=3", {}, "options such as replicas are given beside it"),
    ("nats://a", {"replicas": 2}, "replicas must be 1, 3 or 5"),
    ("nats://a", {"max_bytes": 10}, "max_bytes must be a whole number from"),
    ("nats://a", {"pool_size": 3}, "pool_size is no option of NATS"),
    ("nats://a", {"schema": "s"}, "schema is no option of NATS"),
    ("nats://a", {"connect_args": {"passwort": "x"}}, "'passwort' is none of user, password"),
    ("nats://a", {"connect_args": {"credentials": "/nowhere/user.creds"}}, "there is no file"),
    ("nats://a", {"connect_args": {"max_ack_pending": 5}}, "max_ack_pending must be from"),
    ("sqlite:///x.db", {"replicas": 3}, "replicas is an option of NATS"),
]


@pytest.mark.parametrize(("url", "options", "says"), FAULTS, ids=[fault[2][:30] for fault in FAULTS])
def test_wrong_options_are_told_by_build(
    tmp_path: Path, url: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match="agent connection 'n'") as caught:
        config(tmp_path, url, **options).build()
    assert says in str(caught.value)


def test_nats_is_no_master_and_no_standalone_database() -> None:
    for step in ("use_postgres", "use_postgres_for_master"):
        with pytest.raises(ConfigurationError, match="serves as an agent"):
            getattr(ClusterConfig("c"), step)("nats://a:4222").build()


def test_the_threshold_of_a_cluster_with_nats_is_two_minutes_at_most(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at most 2 minutes with a NATS agent"):
        config(tmp_path, "nats://a").transient_threshold(121).build()
    cluster = config(tmp_path, "nats://a").build()
    assert cluster._settings.transient_threshold.total_seconds() == 120
    cluster.close()


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    cluster = config(tmp_path, "nats://user:hush@a:1,b:2", connect_args={"token": "psst"}).build()
    settings = cluster._settings.agents["n"]
    shown = f"{settings!r} {cluster.agents()}"
    assert "hush" not in shown
    assert "psst" not in shown
    cluster.close()


# --- servers ----------------------------------------------------------------------------------------


async def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    cluster = config(tmp_path, f"nats://127.0.0.1:{free_port()}").build()
    with pytest.raises(Exception, match=r"agent 'n' at nats://127.0.0.1:\d+: no server answers"):
        await cluster.start_async()


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_server_without_jetstream(tmp_path: Path, oldest: bool) -> None:
    with serving(jetstream=False, oldest=oldest) as server:
        says = await fault_of(config(tmp_path, server.url).build())
    assert "agent 'n'" in says
    assert "start nats-server with -js" in says


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_wrong_and_right_credentials(tmp_path: Path, oldest: bool) -> None:
    with serving(extra='authorization { user: "me", password: "open sesame" }', oldest=oldest) as server:
        for wrong in ({}, {"user": "me", "password": "guess"}, {"token": "guess"}):
            says = await fault_of(config(tmp_path, server.url, connect_args=wrong).build())
            assert "agent 'n'" in says
            assert "refuses the credentials" in says
            assert "guess" not in says
        right = {"user": "me", "password": "open sesame"}
        await runs(config(tmp_path, server.url, connect_args=right).build())


async def test_a_token_in_the_url_is_enough(tmp_path: Path) -> None:
    with serving(extra='authorization { token: "letmein" }') as server:
        await runs(config(tmp_path, server.url.replace("//", "//letmein@")).build())


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_user_without_permission(tmp_path: Path, oldest: bool) -> None:
    allowed = '["$JS.API.INFO", "$JS.API.STREAM.>", "$JS.API.CONSUMER.>", "jm.*.*.state.>"]'
    users = (
        f'authorization {{ users: [{{ user: "me", password: "p", permissions: {{ publish: {allowed} }} }}] }}'
    )
    with serving(extra=users, oldest=oldest) as server:
        cluster = config(tmp_path, server.url.replace("//", "//me:p@")).build()
        await cluster.start_async()
        transport = cluster._backend.agent("n").transport
        job = NewJob(uuid7(), "counted", "{}")
        with pytest.raises(ConfigurationError, match=r"no permission for jm\.refused\.n\.jobs"):
            transport.enqueue([job], 1.0)
        # the job of a caller is held, as with any agent that does not take it
        held = await cluster.scheduler.once_now_async(Counted, {"n": 1})
        assert held.status is JobStatus.HELD_ON_MASTER
        await cluster.stop_async()


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_server_whose_messages_are_too_small(tmp_path: Path, oldest: bool) -> None:
    with serving(extra="max_payload: 300KB", oldest=oldest) as server:
        says = await fault_of(config(tmp_path, server.url).build())
        assert "takes messages of 307200 bytes" in says
        assert "lower max_message_bytes to" in says
        await runs(config(tmp_path, server.url).max_message_bytes(32 * 1024).build())
        # without a limit of ours that of the server is met by the job
        async with config(tmp_path, server.url).max_message_bytes(None).build() as cluster:
            with pytest.raises(MessageTooLarge, match="the server takes 307200"):
                await cluster.scheduler.once_now_async(Counted, {"n": 1, "text": "x" * 400_000})


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key, and a certificate that it has signed itself."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return key, certificate


async def test_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    key, trusted = certificate
    files = {"key.pem": key.read_bytes(), "cert.pem": trusted.read_bytes()}
    with serving(extra='tls { cert_file: "cert.pem", key_file: "key.pem" }', files=files) as server:
        url = server.url.replace("nats://", "tls://")
        said = await fault_of(config(tmp_path, url).build())
        assert "agent 'n'" in said
        assert "give the certificate of who signed it as tls_ca" in said
        await runs(config(tmp_path, url, connect_args={"tls_ca": str(trusted)}).build())


# --- streams ----------------------------------------------------------------------------------------


async def on_server(url: str, what: str, *arguments: Any, **options: Any) -> Any:
    client = await nats.connect(url)
    try:
        return await getattr(client.jsm(), what)(*arguments, **options)
    finally:
        await client.close()


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_stream_with_other_settings_is_reported_and_not_changed(tmp_path: Path, oldest: bool) -> None:
    with serving(oldest=oldest) as server:
        stream = {"name": "jm-refused-n-jobs", "subjects": ["jm.refused.n.jobs.>"]}
        await on_server(server.url, "add_stream", **stream)
        says = await fault_of(config(tmp_path, server.url).build())
        assert "stream 'jm-refused-n-jobs' has retention 'limits', and 'workqueue' is needed" in says
        info = await on_server(server.url, "stream_info", "jm-refused-n-jobs")
        assert info.config.retention == "limits"
        await on_server(server.url, "delete_stream", "jm-refused-n-jobs")
        await runs(config(tmp_path, server.url, max_bytes=10_000_000).build())
        says = await fault_of(config(tmp_path, server.url, max_bytes=20_000_000).build())
        assert "has max_bytes 10000000, and 20000000 is needed" in says
        assert "nats stream edit" in says
        # what is not asked for is taken as it is
        await runs(config(tmp_path, server.url).build())


async def test_the_streams_of_another_agent_and_deleted_ones_are_refused(tmp_path: Path) -> None:
    with serving() as server:
        await runs(config(tmp_path, server.url).build())
        await on_server(server.url, "delete_stream", "jm-refused-n-jobs")
        says = await fault_of(config(tmp_path, server.url).build())
        assert "stream 'jm-refused-n-jobs' was deleted, with the jobs in it" in says
        assert "forget_agent" in says
        # all of them gone: another store under a name that the master knows
        for stream in ("outcomes", "state"):
            await on_server(server.url, "delete_stream", f"jm-refused-n-{stream}")
        says = await fault_of(config(tmp_path, server.url).build())
        assert "its store is not the one that this cluster knows" in says


async def test_streams_are_not_made_where_that_is_forbidden(tmp_path: Path) -> None:
    with serving() as server:
        master = ClusterConfig("refused").add_handlers().use_sqlite(tmp_path / "master.db").build()
        master.scheduler.count_jobs()
        master.close()
        says = await fault_of(config(tmp_path, server.url).disable_auto_provision().build())
        assert "there is no stream 'jm-refused-n-jobs'" in says
        assert json.dumps(await on_server(server.url, "streams_info")) == "[]"


async def test_a_full_stream_is_an_agent_that_is_not_available(tmp_path: Path) -> None:
    """The master holds what the agent has no room for."""
    with serving() as server:
        cluster = (
            config(tmp_path, server.url, max_bytes=1_000_000).max_message_bytes(None).build(workers=False)
        )
        await cluster.scheduler.count_jobs_async()
        statuses = []
        for n in range(12):
            data = {"n": n, "text": "x" * 150_000}
            job = await cluster.scheduler.once_now_async(Counted, data, agent_connection="n")
            statuses.append(job.status)
        assert statuses[0] is JobStatus.SAVE_PENDING
        assert statuses[-1] is JobStatus.HELD_ON_MASTER
        await cluster.close_async()


@pytest.mark.parametrize("asked", ["url", "option"])
async def test_a_server_without_tls_is_told_nothing_when_tls_is_asked_for(tmp_path: Path, asked: str) -> None:
    """The client library would go on in the clear, password and all."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"jetstream":true}\r\n')
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    if asked == "url":
        cluster = config(tmp_path, f"tls://u:TOPSECRET@{place}").build()
    else:
        args = {"tls": True, "user": "u", "password": "TOPSECRET"}
        cluster = config(tmp_path, f"nats://{place}", connect_args=args).build()
    said = await fault_of(cluster)
    assert "agent 'n'" in said
    assert "TLS is asked for, and the server does without" in said
    assert "TOPSECRET" not in said
    await cluster.close_async()
    server.close()
    await server.wait_closed()
    assert bytes(heard) == b""


@pytest.mark.parametrize("name", ["tls_ca", "tls_cert"])
async def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, name: str) -> None:
    file = tmp_path / "no.pem"
    file.write_text("nothing")
    args = {name: str(file), **({"tls_key": str(file)} if name == "tls_cert" else {})}
    cluster = config(tmp_path, "nats://127.0.0.1:1", connect_args=args).build()
    said = await fault_of(cluster)
    assert "agent 'n'" in said
    assert "must be certificates and a key in PEM form" in said
    await cluster.close_async()

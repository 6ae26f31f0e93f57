"""What a NATS agent refuses: each with the agent's name and a way out, before anything is written."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nats
import pytest

from jobmaster import (
    Cluster,
    ClusterConfig,
    ConfigurationError,
    JobRequest,
    JobStatus,
    MessageTooLarge,
    StoreError,
)
from jobmaster.agents.nats import streams
from jobmaster.agents.nats.link import Link
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import NewJob
from tests.cluster.handlers import COUNT, Blocker, Counted
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
    *(
        ("nats://a", {"replicas": wrong}, f"replicas must be 1, 3 or 5, not {wrong!r}")
        for wrong in (0, 2, 4, -1, True, False, "3", 3.0)
    ),
    *(
        ("nats://a", {"max_bytes": wrong}, "max_bytes must be a whole number from 1000000 to")
        for wrong in (0, -1, 10, False, "10000000", 1e7, 2**60)
    ),
    ("NATS://a,TLS://b", {}, "mixes nats:// and tls://"),
    ("ws://a:80", {}, "ws:// is not taken"),
    ("WSS://a", {}, "wss:// is not taken"),
    ("nats://", {}, "server 1 has no host"),
    ("nats://a:0", {}, "a port from 1 to 65535"),
    ("a:4222", {}, "its URL has no scheme: write nats:// or tls:// before NATS servers"),
    ("u:hush@a:4222,b:4222", {}, "its URL has no scheme"),
    ("natz://a:4222", {}, "an agent may also be NATS: nats:// or tls://"),
    ("nats://u:hu@sh@a", {}, "special characters of user and password are percent-encoded"),
    ("nats://u:@a", {}, "it has a user and no password"),
    ("nats://a", {"connect_args": {"user": "u"}}, "user needs password"),
    ("nats://a", {"connect_args": {"password": "hush"}}, "password needs user"),
    ("nats://a", {"connect_args": {"user": "u", "password": "hush", "token": "hush"}}, "takes one of them"),
    ("nats://hush@a", {"connect_args": {"token": "hush"}}, "give them in one place only"),
    (
        "nats://u:hush@a",
        {"connect_args": {"user": "u", "password": "hush"}},
        "its URL holds user and password",
    ),
    ("tls://a", {"connect_args": {"tls": False}}, "asks for TLS"),
    ("nats://a", {"connect_args": {"domain": "a.b"}}, "domain must be a name"),
    *(
        ("nats://a", {"connect_args": {"domain": wrong}}, "domain must be a name")
        for wrong in ("a\0", "a\x7f", "\ud800")
    ),
    ("nats://a", {"connect_args": {1: "x"}}, "1 is none of user, password"),
    ("nats://a", {"table_prefix": "1st-"}, "streams and subjects begin with it"),
    ("nats://a", {"table_prefix": "_"}, "one of them a letter or digit"),
    ("nats://a", {"pool_size": 3}, "pool_size is no option of NATS"),
    ("nats://a", {"schema": "s"}, "schema is no option of NATS"),
    ("nats://a", {"connect_args": {"passwort": "x"}}, "'passwort' is none of user, password"),
    ("nats://a", {"connect_args": {"credentials": "/nowhere/user.creds"}}, "there is no file"),
    ("nats://a", {"connect_args": {"max_ack_pending": 5}}, "max_ack_pending must be from"),
    ("sqlite:///x.db", {"replicas": 3}, "replicas is an option of NATS"),
    ("sqlite:///x.db", {"token": "hush"}, "token is an option of NATS"),
    ("nats://a", {"user": "u"}, "user needs password"),
    ("nats://u:hush@a", {"user": "u", "password": "hush"}, "its URL holds user and password"),
    ("nats://a", {"token": "hush", "connect_args": {"token": "hush"}}, "token is given twice"),
    ("tls://a", {"tls": False}, "asks for TLS"),
    ("nats://a", {"credentials": "/nowhere/user.creds"}, "there is no file"),
]


def test_an_option_that_nobody_knows_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'replica'"):
        config(tmp_path, "nats://a", replica=3)


def test_who_one_is_may_be_said_by_options_of_their_own(tmp_path: Path) -> None:
    plainly = config(tmp_path, "nats://a", user="u", password="hush", tls=True)
    by_mapping = config(tmp_path, "nats://a", connect_args={"user": "u", "password": "hush", "tls": True})
    found, same = (each._choose_databases(True)[1]["n"] for each in (plainly, by_mapping))
    assert found == same
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("url", "options", "says"), FAULTS, ids=[f"{n}-{fault[2][:30]}" for n, fault in enumerate(FAULTS)]
)
def test_wrong_options_are_told_by_build(
    tmp_path: Path, url: str, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match="agent connection 'n'") as caught:
        config(tmp_path, url, **options).build()
    (problem,) = caught.value.problems
    assert says in problem
    assert problem.startswith("agent connection 'n'")
    assert "SQL" not in problem
    assert "hush" not in problem
    assert "sh@" not in problem


def test_a_faulty_agent_is_told_once_whoever_works_for_it(tmp_path: Path) -> None:
    """Its workers, and schedules that name it, are not wrong."""
    for url, options in (("nats://a", {"replicas": 2}), ("oracle://h/a", {}), ("x.db", {"pool_size": 0})):
        made = config(tmp_path, url, **options).add_worker("n", name="another").transient_threshold(121)
        with pytest.raises(ConfigurationError) as caught:
            made.build()
        beside = [said for said in caught.value.problems if not said.startswith("agent connection 'n'")]
        assert [said for said in beside if "agent connection" in said or "worker" in said] == []
        # what is wrong besides is told with it
        assert len(beside) == (1 if url.startswith("nats") else 0), caught.value.problems
    made = (
        config(tmp_path, "nats://a", replicas=2)
        .add_agent_connection("m", "nats://b")
        .add_worker("k")
        .add_worker()
    )
    with pytest.raises(ConfigurationError) as caught:
        made.build()
    assert [said.partition(":")[0] for said in caught.value.problems] == [
        "agent connection 'n'",
        "worker 2",
        "worker 3",
    ]


def test_the_scheme_may_be_written_in_any_case(tmp_path: Path) -> None:
    cluster = config(tmp_path, " NATS://a:1,Nats://b ").build()
    assert cluster._settings.agents["n"].url == "nats://a:1,nats://b"
    cluster.close()


def test_nats_is_no_master_and_no_standalone_database() -> None:
    for step in ("use_postgres", "use_postgres_for_master"):
        with pytest.raises(ConfigurationError, match="serves as an agent"):
            getattr(ClusterConfig("c"), step)("NATS://a:4222").build()


def test_the_threshold_of_a_cluster_with_nats_is_two_minutes_at_most(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at most 2 minutes with a NATS agent"):
        config(tmp_path, "nats://a").transient_threshold(121).build()
    cluster = config(tmp_path, "nats://a").build()
    assert cluster._settings.transient_threshold.total_seconds() == 120
    cluster.close()


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    for url, args in (
        ("nats://user:hush@a:1,b:2", {}),
        ("nats://user:hu%40sh@a:1,hush@b:2", {}),
        ("nats://a:1,b:2", {"token": "hush"}),
    ):
        cluster = config(tmp_path, url, connect_args=args).build()
        settings = cluster._settings.agents["n"]
        shown = f"{settings!r} {cluster.agents()} {cluster._backend.agents['n'].location}"
        assert "hu" not in shown
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


SECRET = "p@ss:w/rd,100%40 \u00e9"


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_user_and_password_of_a_url_are_decoded(
    tmp_path: Path, oldest: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = "m:e@home"
    with serving(
        extra=f'authorization {{ user: "{user}", password: "{SECRET}" }}',
        oldest=oldest,
    ) as server:
        place = server.url.removeprefix("nats://")
        told = f"{quote(user, safe='')}:{quote(SECRET, safe='')}"
        await runs(config(tmp_path, f"nats://{told}@{place}").build())
        # each server of a list is told its own
        await runs(config(tmp_path, f"nats://x:hush@127.0.0.1:{free_port()},{told}@{place}").build())
        says = await fault_of(config(tmp_path, f"nats://{told}x@{place}").build())
        assert "refuses the credentials" in says
    for secret in (SECRET, quote(SECRET, safe=""), "hush"):
        assert secret not in says
        assert secret not in caplog.text


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_what_every_server_refuses_is_told_at_once(tmp_path: Path, oldest: bool) -> None:
    """However long a start may wait for servers that are not there yet."""
    with serving(extra='authorization { token: "right" }', oldest=oldest) as server:
        place = server.url.removeprefix("nats://")
        for url in (f"nats://wrong@{place}", f"nats://wrong@{place},127.0.0.1:{free_port()}"):
            cluster = config(tmp_path, url).startup_timeout(60).build()
            begun = time.monotonic()
            assert "refuses the credentials" in await fault_of(cluster)
            assert time.monotonic() - begun < 30


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_credentials_that_are_refused_under_way_and_taken_again(tmp_path: Path, oldest: bool) -> None:
    """The server hangs up on who is connected; that is an outage, and no end."""
    with serving(extra='authorization { token: "right" }', oldest=oldest) as server:
        made = server.directory
        assert made is not None
        settings = made / "server.conf"
        text = settings.read_text()

        def reload(token: str) -> None:
            settings.write_text(text.replace("right", token))
            os.kill(server.pid, signal.SIGHUP)

        url = server.url.replace("//", "//right@")
        async with config(tmp_path, url).startup_timeout(10).lease(60).build() as cluster:
            reload("other")
            async with asyncio.timeout(30):
                while server.sessions(server.url):
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(30):  # until the client has noticed, too
                says = ""
                while re.search("(?i)no server answers: .*authorization violation", says) is None:
                    with pytest.raises(StoreError) as caught:
                        await asyncio.to_thread(cluster._backend.agent("n").transport.now)
                    says = str(caught.value)
            job = await cluster.scheduler.once_now_async(Counted, {"n": 1})
            assert job.status is JobStatus.HELD_ON_MASTER
            reload("right")
            assert (await cluster.scheduler.wait_async(job.id, 60)).status is JobStatus.SUCCEEDED


async def test_a_server_of_a_list_that_takes_the_credentials_is_enough(tmp_path: Path) -> None:
    with (
        serving(extra='authorization { token: "old" }', name="one") as one,
        serving(extra='authorization { token: "new" }', name="two") as two,
    ):
        places = ",".join(server.url.removeprefix("nats://") for server in (one, two))
        for attempt in range(4):  # in whatever order they are tried
            folder = tmp_path / str(attempt)
            folder.mkdir()
            await runs(config(folder, f"nats://new@{places}").build())


async def test_a_server_that_comes_up_meanwhile_is_waited_for(tmp_path: Path) -> None:
    server = NatsServer()
    cluster = config(tmp_path, server.url).startup_timeout(60).build()
    starting = asyncio.create_task(cluster.start_async())
    refused = asyncio.Event()

    class Hear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Connect call failed" in record.getMessage():
                loop.call_soon_threadsafe(refused.set)

    loop = asyncio.get_running_loop()
    logger = logging.getLogger("jobmaster")
    level, ear = logger.level, Hear()
    logger.setLevel(logging.DEBUG)
    logger.addHandler(ear)
    try:
        await asyncio.wait_for(refused.wait(), 30)
        try:
            entered = await asyncio.to_thread(server.__enter__)
        except ServerAbsent as reason:
            absent("nats", reason)
        try:
            await starting
            await cluster.stop_async()
        finally:
            await asyncio.to_thread(entered.__exit__, None, None, None)
    finally:
        logger.removeHandler(ear)
        logger.setLevel(level)


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_domain_that_nobody_answers_for(tmp_path: Path, oldest: bool) -> None:
    with serving(oldest=oldest) as server:
        cluster = config(tmp_path, server.url, connect_args={"domain": "hub"}).build()
        with pytest.raises(StoreError, match="nobody answers for the JetStream domain 'hub'") as caught:
            await cluster.start_async()
        assert "the server itself has none" in str(caught.value)


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_domain_that_answers(tmp_path: Path, oldest: bool) -> None:
    with serving(
        jetstream=False, extra='jetstream { store_dir: "data", domain: hub }', oldest=oldest
    ) as server:
        await runs(config(tmp_path, server.url, connect_args={"domain": "hub"}).build())


async def test_a_token_in_the_url_is_enough(tmp_path: Path) -> None:
    with serving(extra='authorization { token: "letmein" }') as server:
        await runs(config(tmp_path, server.url.replace("//", "//letmein@")).build())


def permitted(*denied: str) -> str:
    """One user, who may publish everything but this."""
    refused = json.dumps(denied)
    return f"""authorization {{ users: [{{
        user: "me", password: "p", permissions: {{ publish: {{ allow: ">", deny: {refused} }} }} }}] }}"""


WRITTEN = [
    "jm.refused.n.jobs.>",
    "jm.refused.n.outcomes.>",
    "jm.refused.n.state.>",
    "$JS.ACK.jm-refused-n-jobs.>",
    "$JS.ACK.jm-refused-n-outcomes.>",
    "$JS.API.CONSUMER.MSG.NEXT.jm-refused-n-jobs.>",
]


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_user_without_permission_is_told_before_anything_is_written(
    tmp_path: Path, oldest: bool
) -> None:
    for subject in WRITTEN:
        with serving(extra=permitted(subject), oldest=oldest) as server:
            url = server.url.replace("//", "//me:p@")
            says = await fault_of(config(tmp_path, url).build())
            assert f"agent 'n' at {server.url}: the user has no permission for {subject[:-1]}" in says
            assert "allow it to publish to $JS.API.>, $JS.ACK.>" in says
            assert await on_server(url, "streams_info") == []


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_worker_that_may_not_hear_of_work_is_told(tmp_path: Path, oldest: bool) -> None:
    permissions = '{ subscribe: { deny: "jm.refused.n.wake.>" } }'
    users = f'authorization {{ users: [{{ user: "me", password: "p", permissions: {permissions} }}] }}'
    with serving(extra=users, oldest=oldest) as server:
        says = await fault_of(config(tmp_path, server.url.replace("//", "//me:p@")).build())
    assert f"agent 'n' at {server.url}: the user has no permission for subscribing to jm.refused" in says


async def test_a_user_is_tried_without_leaving_a_message(tmp_path: Path) -> None:
    with serving() as server:
        for _ in range(2):  # without streams, and with them
            cluster = config(tmp_path, server.url).build()
            await cluster.start_async()
            await cluster.stop_async()
        for what in ("jobs", "outcomes"):
            info = await on_server(server.url, "stream_info", f"jm-refused-n-{what}")
            assert info.state.last_seq == 0
        assert await on_server(server.url, "stream_info", "jm-refused-n-state")


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_permission_that_is_taken_away_under_way(tmp_path: Path, oldest: bool) -> None:
    """The job of a caller is held, as with any agent that does not take it."""
    with serving(extra=permitted("nothing"), oldest=oldest) as server:
        folder = server.directory
        assert folder is not None
        cluster = config(tmp_path, server.url.replace("//", "//me:p@")).startup_timeout(10).build()
        await cluster.start_async()
        settings = folder / "server.conf"
        settings.write_text(settings.read_text().replace("nothing", "jm.refused.n.jobs.>"))
        os.kill(server.pid, signal.SIGHUP)
        transport = cluster._backend.agent("n").transport

        def refused() -> str:
            end = time.monotonic() + 20
            while time.monotonic() < end:
                try:
                    transport.enqueue([NewJob(uuid7(), "elsewhere", "{}", lane="nobody")], 1.0)
                except ConfigurationError as fault:
                    return str(fault)
                except StoreError:
                    continue  # the server hangs up on who is connected when it reads its file again
            raise AssertionError("the server goes on taking jobs")

        assert "no permission for jm.refused.n.jobs" in await asyncio.to_thread(refused)
        held = await cluster.scheduler.once_now_async(Counted, {"n": 1})
        assert held.status is JobStatus.HELD_ON_MASTER
        await cluster.stop_async()


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_server_whose_messages_are_too_small(tmp_path: Path, oldest: bool) -> None:
    with serving(extra="max_payload: 300KB", oldest=oldest) as server:
        says = await fault_of(config(tmp_path, server.url).build())
        assert "takes messages of 307200 bytes" in says
        assert "agent 'n'" in says
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


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_server_whose_messages_serve_for_nothing(tmp_path: Path, oldest: bool) -> None:
    with serving(extra="max_payload: 1000", oldest=oldest) as server:
        says = await fault_of(config(tmp_path, server.url).build())
        assert "the least that serves is 69632, with max_message_bytes 1024" in says
        says = await fault_of(config(tmp_path, server.url).max_message_bytes(None).build())
        assert "an agent needs 69632" in says
    with serving(extra="max_payload: 69632", oldest=oldest) as server:
        await runs(config(tmp_path, server.url).max_message_bytes(1024).build())


async def test_a_worker_that_holds_more_than_a_message_can_list_keeps_its_lease(tmp_path: Path) -> None:
    COUNT.reset()
    with serving(extra="max_payload: 69632") as server:
        made = ClusterConfig("refused").use_sqlite_for_master(tmp_path / "master.db").add_handlers(Blocker)
        made.max_message_bytes(1024).lease(5).add_agent_connection("n", server.url)
        async with made.add_worker("n", concurrency=700).build() as cluster:
            requests = [JobRequest(Blocker, {"n": n, "seconds": 8.0}) for n in range(700)]
            jobs = await cluster.scheduler.once_many_async(requests)
            for job in jobs:
                ended = await cluster.scheduler.wait_async(job.id, 60)
                assert (ended.status, ended.losses, ended.attempt) == (JobStatus.SUCCEEDED, 0, 1)
    assert set(COUNT.runs.values()) == {1}


@pytest.mark.parametrize("subject", ["publish", "subscribe"])
@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_user_who_may_not_ask_is_told_at_once(tmp_path: Path, oldest: bool, subject: str) -> None:
    denied = {"publish": "$JS.API.INFO", "subscribe": "_INBOX.>"}[subject]
    permissions = f'{{ {subject}: {{ deny: "{denied}" }} }}'
    users = f'authorization {{ users: [{{ user: "me", password: "p", permissions: {permissions} }}] }}'
    with serving(extra=users, oldest=oldest) as server:
        cluster = config(tmp_path, server.url.replace("//", "//me:p@")).startup_timeout(60).build()
        begun = time.monotonic()
        says = await fault_of(cluster)
        assert time.monotonic() - begun < 30
    assert f"agent 'n' at {server.url}: the user has no permission for {denied}" in says


# --- streams ----------------------------------------------------------------------------------------


async def on_server(url: str, what: str, *arguments: Any, **options: Any) -> Any:
    client = await nats.connect(url)
    try:
        return await getattr(client.jsm(), what)(*arguments, **options)
    finally:
        await client.close()


async def test_streams_that_another_process_makes_meanwhile_are_not_taken_for_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One looks for the first stream before another has made it, and finds the stamp that came last."""
    look = streams._info
    early: set[str] = set()

    async def too_early(link: Link, name: str) -> dict[str, Any] | None:
        if name.endswith("-jobs") and name not in early:
            early.add(name)
            return None
        return await look(link, name)

    with serving() as server:
        await runs(config(tmp_path, server.url).build())
        monkeypatch.setattr(streams, "_info", too_early)
        await runs(config(tmp_path, server.url).build())
    assert early == {"jm-refused-n-jobs"}


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


UNFIT: list[tuple[str, dict[str, Any], str]] = [
    ("jobs", {"no_ack": True}, "no_ack True, and False is needed"),
    ("outcomes", {"no_ack": True}, "no_ack True, and False is needed"),
    ("jobs", {"max_msg_size": 100}, "max_msg_size 100, and -1 is needed"),
    ("jobs", {"max_consumers": 2}, "max_consumers 2, and -1 is needed"),
    ("jobs", {"duplicate_window": 10**9}, "duplicate_window 1000000000, and at least 60000000000 is needed"),
    ("jobs", {"deny_delete": True}, "deny_delete True, and False is needed"),
    ("jobs", {"sources": [{"name": "other"}]}, "sources [{'name': 'other'"),
    ("jobs", {"max_bytes": 2000}, "max_bytes 2000, and at least 1000000 is needed"),
    ("outcomes", {"max_bytes": 2000}, "max_bytes 2000, and at least 1000000 is needed"),
]
TRANSFORMED = {"subject_transform": {"src": "jm.refused.n.jobs.>", "dest": "elsewhere.>"}}


async def ask_server(url: str, subject: str, body: dict[str, Any]) -> dict[str, Any]:
    client = await nats.connect(url)
    try:
        answer = await client.request(f"$JS.API.{subject}", json.dumps(body).encode())
        found: dict[str, Any] = json.loads(answer.data)
        return found
    finally:
        await client.close()


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_stream_in_which_jobs_would_get_lost_or_stuck_is_reported(
    tmp_path: Path, oldest: bool
) -> None:
    new = [("jobs", TRANSFORMED, "subject_transform {'src'")]
    with serving(oldest=oldest) as server:
        for what, settings, fault in UNFIT if oldest else [*UNFIT, *new]:
            name = f"jm-refused-n-{what}"
            made = {
                "name": name,
                "subjects": [f"jm.refused.n.{what}.{'>' if what == 'jobs' else '*'}"],
                "retention": "workqueue",
                "discard": "new",
                "storage": "file",
                "duplicate_window": 120 * 10**9,
                **settings,
            }
            answer = await ask_server(server.url, f"STREAM.CREATE.{name}", made)
            assert "error" not in answer
            says = await fault_of(config(tmp_path, server.url).build())
            assert f"agent 'n' at {server.url}: stream {name!r} has {fault}" in says
            assert [info.config.name for info in await on_server(server.url, "streams_info")] == [name]
            await on_server(server.url, "delete_stream", name)


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_an_account_that_limits_consumers_is_named(tmp_path: Path, oldest: bool) -> None:
    limits = "jetstream { max_consumers: 1 }, users: [{ user: me, password: p }]"
    with serving(extra=f"accounts {{ A {{ {limits} }} }}", oldest=oldest) as server:
        cluster = config(tmp_path, server.url.replace("//", "//me:p@")).build()
        with pytest.raises(StoreError, match="maximum consumers limit reached") as caught:
            await cluster.start_async()
        assert str(caught.value).startswith(f"agent 'n' at {server.url}: consumer ")
        assert "see the limits of the account" in str(caught.value)


FOREIGN: list[tuple[str, dict[str, Any], str]] = [
    (
        "default-3",
        {"deliver_subject": "away"},
        "has deliver_subject 'away', and None is needed: it was made by",
    ),
    (
        "default-3",
        {"max_deliver": 1},
        "has max_deliver 1, and -1 is needed: it was made by others; delete it",
    ),
    ("default-3", {"filter_subject": "jm.refused.n.jobs.other.3.*"}, "has filter_subject"),
    ("spy", {}, "another consumer takes jobs of jm.refused.n.jobs.default.3.*: delete it"),
]


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_consumer_of_others_is_reported_and_not_changed(tmp_path: Path, oldest: bool) -> None:
    with serving(oldest=oldest) as server:
        cluster = config(tmp_path, server.url).build()
        await cluster.start_async()
        await cluster.stop_async()
        for name, settings, fault in FOREIGN:
            await ask_server(server.url, "CONSUMER.DELETE.jm-refused-n-jobs.default-3", {})
            made = {
                "durable_name": name,
                "ack_policy": "explicit",
                "ack_wait": 60 * 10**9,
                "max_ack_pending": 20_000,
                "filter_subject": "jm.refused.n.jobs.default.3.*",
                **settings,
            }
            body = {"stream_name": "jm-refused-n-jobs", "config": made}
            created = await ask_server(server.url, f"CONSUMER.DURABLE.CREATE.jm-refused-n-jobs.{name}", body)
            assert "error" not in created
            with pytest.raises(StoreError) as caught:
                await config(tmp_path, server.url).build().start_async()
            assert str(caught.value).startswith(f"agent 'n' at {server.url}: consumer 'default-3' of stream ")
            assert fault in str(caught.value)
            there = await ask_server(server.url, f"CONSUMER.INFO.jm-refused-n-jobs.{name}", {})
            assert there["config"] == created["config"]
            await ask_server(server.url, f"CONSUMER.DELETE.jm-refused-n-jobs.{name}", {})
        await runs(config(tmp_path, server.url).build())


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
async def test_a_stream_that_the_server_does_not_make_says_why_and_what_helps(
    tmp_path: Path, oldest: bool
) -> None:
    with serving(oldest=oldest) as server:
        says = await fault_of(config(tmp_path, server.url, replicas=3).build())
        assert "the server says: replicas > 1 not supported in non-clustered mode" in says
        assert "leave replicas out" in says
        assert says.count("agent 'n'") == 1
        says = await fault_of(config(tmp_path, server.url, max_bytes=2**49).build())
        assert "the server says: insufficient storage resources" in says
        assert f"lower max_bytes, which is {2**49}" in says
        assert says.count("agent 'n'") == 1
        assert await on_server(server.url, "streams_info") == []
        await on_server(server.url, "add_stream", name="other", subjects=["jm.>"])
        says = await fault_of(config(tmp_path, server.url).build())
        assert "the server says: subjects overlap with an existing stream" in says
        assert "stream 'other' takes jm.refused.n.jobs.>" in says
        assert "table_prefix" in says
        assert says.count("agent 'n'") == 1


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


@pytest.mark.parametrize("asked", ["url", "option", "name"])
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
        how = {"tls": True} if asked == "option" else {"tls_hostname": "n1"}
        args = {**how, "user": "u", "password": "TOPSECRET"}
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

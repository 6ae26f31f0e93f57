"""The parts of a NATS agent that need no server."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from jobmaster.agents.nats.claims import Delivered, Intake
from jobmaster.agents.nats.envelope import (
    Envelope,
    Letter,
    copy_of_new,
    decode_job,
    decode_shipment,
    encode_job,
    encode_shipment,
    instant,
    micros,
)
from jobmaster.agents.nats.loopthread import LoopThread
from jobmaster.agents.nats.names import Names
from jobmaster.agents.nats.options import NatsOptions, connect_args_faults, login_faults
from jobmaster.agents.nats.puller import sequence_of
from jobmaster.agents.nats.refusals import no_permission, payload_fault
from jobmaster.agents.nats.registry import BucketRow, Held, Record, Running
from jobmaster.agents.nats.servers import Login, read_servers
from jobmaster.agents.nats.settling import ended_copy
from jobmaster.cluster.settings import without_password
from jobmaster.domain.copies import JobCopy, Shipment
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import AttemptOutcome, JobError, NewJob
from jobmaster.domain.status import JobStatus
from jobmaster.domain.verdict import AttemptRecord
from jobmaster.errors import TransientStoreError
from jobmaster.payload import jsontext

NOW = datetime(2026, 5, 4, 3, 2, 1, 123456, UTC)
NAMES = Names("jm", "orders", "fast")


def a_copy(**changes: Any) -> JobCopy:
    job = NewJob(
        uuid7(),
        "räder/🚲",
        '{"text": "naïve ☃\\n", "n": 1.5}',
        lane="Lane-1",
        priority=4,
        metadata='{"k": [1, null]}',
        timeout=timedelta(seconds=1.5),
        max_retries=7,
        retry='["fixed", 1.0]',
        unique_key="k",
        schedule_id="s",
        occurrence_at=NOW - timedelta(minutes=1),
        agent="fast",
    )
    return copy_of_new(job, NOW)._replace(**changes)


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(a_copy()),
        Envelope(a_copy(data="{}", metadata=None, occurrence_at=None, unknown_since=NOW), recheck=True),
        Envelope(
            a_copy(error_type="ValueError", error_message="x\ny", error_traceback="…"), False, 17, uuid7()
        ),
        Envelope(a_copy(claim_no=3, attempt=2, failures=1, losses=1, placement=9)),
    ],
    ids=["new", "rechecked", "taken", "counted"],
)
def test_a_job_comes_out_of_its_message_as_it_went_in(envelope: Envelope) -> None:
    copy = envelope.copy
    subject = NAMES.job(copy.lane, copy.priority, copy.id)
    assert decode_job(subject, encode_job(envelope)) == envelope


def test_a_claim_has_the_number_after_those_before_its_message() -> None:
    bucket = uuid7()
    copy = a_copy(claim_no=4)
    letter = Letter(copy.lane, copy.priority, copy.id, encode_job(Envelope(copy)))
    claimed = letter.claimed(bucket, cancel=True)
    assert (claimed.claim_no, claimed.bucket_id, claimed.cancel_requested) == (5, bucket, True)


@pytest.mark.parametrize("library", ["orjson", "json"])
def test_a_shipment_comes_out_as_it_went_in(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "json":
        monkeypatch.setattr(jsontext, "_dumps", None)
        monkeypatch.setattr(jsontext, "_loads", None)
    copy = a_copy()
    error = JobError("ValueError", "wrong", None)
    ended = ended_copy(
        copy,
        JobStatus.FAILED,
        3,
        (2, 1, 0),
        NOW,
        started_at=NOW - timedelta(seconds=1),
        error=error,
        worker_id=uuid7(),
    )
    plain = ended_copy(copy, JobStatus.SUCCEEDED, 1, (1, 0, 0), NOW, result='{"a": 1}')
    record = AttemptRecord(copy.id, 2, 2, NOW, NOW, AttemptOutcome.FAILED, error, uuid7(), "a line")
    bare = replace(record, started_at=None, error=None, worker_id=None, log=None)
    shipment = Shipment([ended, plain], [record, bare], [copy._replace(failures=1)])
    assert decode_shipment(encode_shipment(shipment)) == shipment
    assert (ended.error, plain.error) == (error, None)


def test_text_that_is_no_unicode_is_no_message() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_job(Envelope(a_copy(data='{"x": "\ud800"}')))


def test_instants_are_microseconds() -> None:
    assert instant(micros(NOW)) == NOW


def test_names_have_their_parts_apart() -> None:
    job_id = uuid7()
    subject = NAMES.job("mail-1", 5, job_id)
    assert subject == f"jm.orders.fast.jobs.mail-1.5.{job_id.hex}"
    assert NAMES.parse_job(subject) == ("mail-1", 5, job_id)
    assert (NAMES.jobs, NAMES.outcomes, NAMES.state) == (
        "jm-orders-fast-jobs",
        "jm-orders-fast-outcomes",
        "jm-orders-fast-state",
    )


@pytest.mark.parametrize(
    ("reply", "seq", "times"),
    [
        ("$JS.ACK.stream.consumer.2.17.9.1795730644277815920.0", 17, 2),
        ("$JS.ACK.hub.ACC.stream.consumer.1.18.9.1795730644277815920.0.rnd", 18, 1),
    ],
    ids=["plain", "with a domain"],
)
def test_a_delivery_tells_its_sequence_and_how_often_it_came(reply: str, seq: int, times: int) -> None:
    assert sequence_of(reply) == (seq, times)


def test_servers_share_the_credentials_of_the_first() -> None:
    servers, faults = read_servers("nats://me:p@one,two:5222")
    assert (servers.urls, faults) == (["nats://one:4222", "nats://two:5222"], [])
    assert (servers.login, servers.of_their_own) == (Login("me", "p"), {})
    servers, faults = read_servers("TLS://one:1, tls://[::1]:2")
    assert (servers.urls, faults, servers.login) == (["tls://one:1", "tls://[::1]:2"], [], None)
    servers, _ = read_servers("nats://me:p@one,you:q@two,t0ken@three,four")
    assert servers.of_their_own == {"two:4222": Login("you", "q"), "three:4222": Login(token="t0ken")}


@pytest.mark.parametrize(
    ("written", "login"),
    [
        ("me:p%40ss", Login("me", "p@ss")),
        ("m%3Ae:a%2Fb%3Ac%2Cd", Login("m:e", "a/b:c,d")),
        ("me:100%25", Login("me", "100%")),
        ("me:a%2540b", Login("me", "a%40b")),
        ("me:a:b", Login("me", "a:b")),
        ("me:%C3%A9 +", Login("me", "\u00e9 +")),
        ("to%40ken", Login(token="to@ken")),
    ],
)
def test_what_a_url_says_of_a_user_is_decoded(written: str, login: Login) -> None:
    servers, faults = read_servers(f"nats://one,{written}@two:1")
    assert (servers.login, faults) == (login, [])
    told = NatsOptions(f"nats://{written}@one").for_client()
    assert told == {name: value for name, value in login._asdict().items() if value is not None}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nats://", "server 1 has no host"),
        ("nats://:4222", "server 1 has no host"),
        ("nats://a,,b", "server 2 has no host"),
        ("nats://one:0", "server 1 is not a host with a port from 1 to 65535"),
        ("nats://one:99999", "server 1 is not a host with a port"),
        ("nats://a,b:notaport", "server 2 is not a host with a port"),
        ("nats://one/path", "server 1 is not a host with a port"),
        ("nats://one?replicas=3", "options such as replicas are given beside it"),
        ("nats:one:4222", "begins with neither nats:// nor tls://"),
        (
            "ws://one:80",
            "ws:// is not taken, NATS is reached by TCP, not by WebSocket: write nats://, or tls://",
        ),
        ("nats://one,wss://two", "wss:// is not taken"),
        ("nats://one,http://two", "http:// is not taken, that is not NATS"),
        ("nats://one,tls://two", "mixes nats:// and tls://"),
        ("nats://me:hu@sh@one", "%40 for @"),
        ("nats://me:hu/sh@one", "%2F for /"),
        ("nats://me:hu,sh@one", "%2C for a comma"),
        ("nats://me:@one", "it has a user and no password"),
        ("nats://:hush@one", "it has a password and no user"),
        ("nats://@one", "no user or token before it"),
    ],
)
def test_a_url_that_cannot_be_read_says_why_and_shows_no_secret(url: str, says: str) -> None:
    (fault,) = read_servers(url)[1]
    assert says in fault
    assert "hu" not in fault
    assert "sh@" not in fault


def test_who_one_is_is_told_once() -> None:
    plain, with_token = read_servers("nats://one")[0], read_servers("nats://t0ken@one")[0]
    for right in ({}, {"user": "u", "password": "p"}, {"token": "t"}, {"nkey": "f"}, {"credentials": "f"}):
        assert login_faults(right, plain) == []
    wrong: list[tuple[dict[str, str], str]] = [
        ({"user": "u"}, "user needs password"),
        ({"password": "p"}, "password needs user"),
        ({"user": "u", "password": "p", "token": "t"}, "user and password and token are given"),
        ({"nkey": "f", "credentials": "f"}, "nkey and credentials are given, and a server takes one"),
    ]
    for args, says in wrong:
        (fault,) = login_faults(args, plain)
        assert says in fault
    (fault,) = login_faults({"token": "psst"}, with_token)
    assert "its URL holds a token, and connect_args token: give them in one place only" in fault
    (fault,) = login_faults({"user": "u", "password": "p"}, read_servers("nats://u:p@one")[0])
    assert "its URL holds user and password" in fault
    (fault,) = login_faults({"tls": False}, read_servers("tls://one")[0])
    assert "tls is False, and tls:// in its URL asks for TLS" in fault


@pytest.mark.parametrize(
    ("takes", "largest", "says"),
    [
        (1_000, 131_072, "need 589824: raise it to that; the least that serves is 69632, with max_message_"),
        (300_000, 131_072, "need 589824: raise it to that, or lower max_message_bytes to 58616"),
        (1_000, None, "an agent needs 69632: raise it to that at least"),
        (1_000, 10, "need 69632: raise it to that"),
    ],
)
def test_a_server_with_small_messages_is_told_what_it_needs(
    takes: int, largest: int | None, says: str
) -> None:
    fault = payload_fault("agent 'n'", takes, largest) or ""
    assert says in fault
    assert fault.startswith("agent 'n': ")


def test_the_payload_that_is_advised_serves() -> None:
    assert payload_fault("x", 69_632, 1_024) is None
    assert payload_fault("x", 589_824, 131_072) is None
    assert payload_fault("x", 300_000, 58_616) is None
    assert payload_fault("x", 69_632, None) is None


def test_only_the_subject_that_was_refused_has_no_permission() -> None:
    said = ['nats: permissions violation for publish to "$js.api.info"']
    assert no_permission("x", "$JS.API.INFO", "$JS.API", said) is not None
    assert no_permission("x", "$JS.API", "$JS.API", said) is None
    said = ['nats: Permissions Violation for Subscription to "_INBOX.abc.*"']
    assert "_INBOX.>" in str(no_permission("x", "$JS.API.INFO", "$JS.API", said))


def test_neither_options_nor_urls_show_secrets() -> None:
    options = NatsOptions("nats://me:hush@one,two", connect_args={"password": "psst"})
    assert options.shown == "nats://one:4222,nats://two:4222"
    assert repr(options) == "NatsOptions('nats://one:4222,nats://two:4222')"
    assert without_password("nats://me:hush@one:1,two:2") == "nats://***@one:1,two:2"
    assert without_password("nats://token@one") == "nats://***@one"
    assert without_password("nats://one:1,two:2") == "nats://one:1,two:2"
    assert without_password("NATS://me:hu@sh@one, me:hu/sh@two") == "NATS://***@one, ***@two"
    assert "hush" not in repr(Login("me", "hush"))


def test_wrong_connect_args_are_named() -> None:
    assert connect_args_faults({"user": "me", "password": "p", "tls": True, "max_ack_pending": 1000}) == []
    faults = connect_args_faults(
        {"usr": 1, "token": "", "tls": "yes", "nkey": "nowhere", "tls_key": __file__, "max_ack_pending": True}
    )
    assert len(faults) == 6
    (fault,) = connect_args_faults({"domain": "a.b"})
    assert "domain must be a name without dots" in fault
    # what belongs into a file, in its place
    for name, secret in (
        ("nkey", "SUAM" + "A" * 54),
        ("credentials", "-----BEGIN NATS USER JWT-----\n" * 200),
    ):
        (fault,) = connect_args_faults({name: secret})
        assert "there is no file of that name" in fault
        assert secret[:20] not in fault


def test_a_loop_in_a_thread_runs_what_it_is_given_and_starts_again() -> None:
    loop = LoopThread("test-loop")

    async def answer(value: int) -> int:
        await asyncio.sleep(0)
        return value

    async def fail() -> None:
        raise LookupError("as it is")

    assert loop.run(answer(1)) == 1
    with pytest.raises(LookupError, match="as it is"):
        loop.run(fail())
    loop.close()
    loop.close()
    assert loop.run(answer(2)) == 2
    loop.close()


def test_what_runs_in_a_loop_that_ends_is_told_so() -> None:
    loop = LoopThread("test-loop")
    begun, ends = threading.Event(), []

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    def call() -> None:
        with pytest.raises(TransientStoreError, match="closed meanwhile") as caught:
            loop.run(wait())
        ends.append(caught.value.ambiguous)

    async def begin_and_cancel() -> concurrent.futures.Future[None]:
        answer: concurrent.futures.Future[None] = concurrent.futures.Future()
        before = set(loop._tasks)
        loop._begin(asyncio.get_running_loop(), wait(), answer)
        (loop._tasks - before).pop().cancel()
        return answer

    thread = threading.Thread(target=call)
    thread.start()
    assert begun.wait(10)
    with pytest.raises(TransientStoreError, match="closed meanwhile"):
        loop.run(begin_and_cancel()).result(10)
    loop.close()
    thread.join(10)
    assert ends == [True]


class _Nothing:
    """A puller that has pulled nothing."""

    fresh: tuple[()] = ()

    def take(self, most: int) -> list[Any]:
        return []


def test_what_is_not_due_is_kept_until_it_is() -> None:
    intake = Intake("default", 3, _Nothing())  # type: ignore[arg-type]
    copy = a_copy()
    subject = NAMES.job(copy.lane, copy.priority, copy.id)
    body = encode_job(Envelope(copy))
    replies = [f"$JS.ACK.s.c.1.{n}.{n}.1795730644277815920.0" for n in (1, 2)]
    late, soon = (Delivered(copy.lane, copy.priority, subject, reply, body) for reply in replies)
    intake.keep(late, 200)
    intake.keep(soon, 100)
    assert (len(intake), intake.next_due) == (2, 100)
    assert intake.due(99, 10) == []
    assert intake.due(150, 10) == [soon]
    assert list(intake.replies()) == replies[:1]
    assert (late.id, late.seq, late.times) == (copy.id, 1, 1)
    assert intake.empty() == [late]
    assert (late.waited, soon.waited) == (True, True)
    assert (len(intake), intake.next_due) == (0, None)
    assert time.monotonic() >= intake.asked_at


def test_ids_survive() -> None:
    assert UUID(hex=NAMES.job("l", 1, UUID(int=5)).rsplit(".", 1)[1]) == UUID(int=5)


def test_a_record_that_is_too_large_loses_its_end() -> None:
    bucket = uuid7()
    ids = [uuid7() for _ in range(1000)]
    record = Record(uuid7(), "w", "default", "full", "active", 1, [BucketRow(bucket, 3)])
    record.held = [Held(job_id, bucket, "default", 3, n, f"$JS.ACK.{n}") for n, job_id in enumerate(ids)]
    record.running = [Running(job_id, 5, None, "") for job_id in ids]
    whole = record.encode(10**9)
    assert record.encode(len(whole)) == whole
    for most in (len(whole) - 1, 50_000, 5_000):
        text = record.encode(most)
        assert most // 2 < len(text) <= most
        held, running = jsontext.read(text.decode())[-2:]
        # what is kept is the beginning of each
        assert [row[0] for row in held] == [job_id.hex for job_id in ids[: len(held)]]
        assert [row[0] for row in running] == [job_id.hex for job_id in ids[: len(running)]]
    assert len(record.held) == 1000

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
from jobmaster.agents.nats.options import NatsOptions, connect_args_faults, read_servers
from jobmaster.agents.nats.puller import sequence_of
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
    assert read_servers("nats://me:p@one,two:5222") == (["nats://me:p@one:4222", "nats://me:p@two:5222"], [])
    assert read_servers("tls://one:1,[::1]:2") == (["tls://one:1", "tls://[::1]:2"], [])
    for wrong in ("nats://", "nats://one:0", "nats://one:99999", "nats://one/path", "nats://a,,b"):
        assert read_servers(wrong)[1], wrong


def test_neither_options_nor_urls_show_secrets() -> None:
    options = NatsOptions("nats://me:hush@one,two", connect_args={"password": "psst"})
    assert options.shown == "nats://one:4222,nats://two:4222"
    assert repr(options) == "NatsOptions('nats://one:4222,nats://two:4222')"
    assert without_password("nats://me:hush@one:1,two:2") == "nats://***@one:1,two:2"
    assert without_password("nats://token@one") == "nats://***@one"
    assert without_password("nats://one:1,two:2") == "nats://one:1,two:2"


def test_wrong_connect_args_are_named() -> None:
    assert connect_args_faults({"user": "me", "password": "p", "tls": True, "max_ack_pending": 1000}) == []
    faults = connect_args_faults(
        {"usr": 1, "token": "", "tls": "yes", "nkey": "nowhere", "tls_key": __file__, "max_ack_pending": True}
    )
    assert len(faults) == 6


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

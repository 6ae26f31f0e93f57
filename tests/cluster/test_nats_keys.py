"""A NATS agent that signs in with an nkey, or with a credentials file: keys and claims are made here."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys
import pytest

from tests.cluster.test_nats_refusals import config, fault_of, runs, serving

pytestmark = pytest.mark.nats
VERSIONS = pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])


class Key:
    """A pair of keys with a role: operator, account or user."""

    def __init__(self, role: int) -> None:
        self.seed: bytes = nkeys.encode_seed(os.urandom(32), role)
        pair = nkeys.from_seed(bytearray(self.seed))
        self.public: str = pair.public_key.decode()

    def sign(self, text: bytes) -> bytes:
        signed: bytes = nkeys.from_seed(bytearray(self.seed)).sign(text)
        return signed


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def token(issuer: Key, subject: Key, kind: str, facts: dict[str, Any], **claims: Any) -> str:
    """What the issuer says of a subject, as NATS reads it (version 2 of its claims)."""
    body = {
        "iat": int(time.time()),
        "iss": issuer.public,
        "name": kind,
        "sub": subject.public,
        "nats": {**facts, "type": kind, "version": 2},
        **claims,
    }
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
    head = _plain(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
    text = f"{head}.{_plain(json.dumps(body).encode())}"
    return f"{text}.{_plain(issuer.sign(text.encode()))}"


def account(operator: Key, key: Key, *, jetstream: bool = True) -> str:
    """An account without limits, with JetStream or without it."""
    stores = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1} if jetstream else {}
    names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
    return token(
        operator, key, "account", {"limits": {**dict.fromkeys(names, -1), "wildcards": True, **stores}}
    )


def credentials(path: Path, issuer: Key, user: Key, **claims: Any) -> Path:
    """The file that a user gets."""
    jwt = token(issuer, user, "user", {"pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}, **claims)
    path.write_text(
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    return path


async def refused(tmp_path: Path, url: str, **connect_args: str) -> str:
    """What a start with these says."""
    return await fault_of(config(tmp_path, url, connect_args=connect_args).build())


@VERSIONS
async def test_an_nkey(tmp_path: Path, oldest: bool) -> None:
    mine, other = Key(nkeys.PREFIX_BYTE_USER), Key(nkeys.PREFIX_BYTE_USER)
    seeds = {"mine": mine.seed, "other": other.seed, "spoilt": mine.seed[:20]}
    for name, seed in seeds.items():
        (tmp_path / f"{name}.nk").write_bytes(seed)
    with serving(extra=f'authorization {{ users: [{{ nkey: "{mine.public}" }}] }}', oldest=oldest) as server:
        hints = {
            "other": "check user and password, token, nkey or credentials",
            "spoilt": "nkey must be a file with the seed of a user",
        }
        for name, hint in hints.items():
            says = await refused(tmp_path, server.url, nkey=str(tmp_path / f"{name}.nk"))
            assert "agent 'n'" in says
            assert hint in says
            assert seeds[name].decode() not in says
        right = {"nkey": str(tmp_path / "mine.nk")}
        await runs(config(tmp_path, server.url, connect_args=right).build())


@VERSIONS
async def test_a_credentials_file(tmp_path: Path, oldest: bool) -> None:
    operator = Key(nkeys.PREFIX_BYTE_OPERATOR)
    system, jobs, bare, stranger = (Key(nkeys.PREFIX_BYTE_ACCOUNT) for _ in range(4))
    accounts = {
        system.public: account(operator, system, jetstream=False),
        jobs.public: account(operator, jobs),
        bare.public: account(operator, bare, jetstream=False),
    }
    preload = "\n".join(f"{public}: {jwt}" for public, jwt in accounts.items())
    extra = (
        f"operator: {token(operator, operator, 'operator', {})}\nsystem_account: {system.public}\n"
        f"resolver: MEMORY\nresolver_preload: {{\n{preload}\n}}"
    )
    user = Key(nkeys.PREFIX_BYTE_USER)
    right = credentials(tmp_path / "right.creds", jobs, user)
    wrong = {
        "of an account that the server does not know": credentials(tmp_path / "a.creds", stranger, user),
        "expired": credentials(tmp_path / "b.creds", jobs, user, exp=int(time.time()) - 60),
    }
    swapped = right.read_text().replace(user.seed.decode(), Key(nkeys.PREFIX_BYTE_USER).seed.decode())
    wrong["signed with the key of another user"] = tmp_path / "c.creds"
    wrong["signed with the key of another user"].write_text(swapped)
    with serving(extra=extra, oldest=oldest) as server:
        for what, path in wrong.items():
            says = await refused(tmp_path, server.url, credentials=str(path))
            assert "agent 'n'" in says, what
            assert "check user and password, token, nkey or credentials" in says, what
            assert user.seed.decode() not in says
        (tmp_path / "d.creds").write_text(right.read_text().replace("USER NKEY SEED", "USER NKEY"))
        says = await refused(tmp_path, server.url, credentials=str(tmp_path / "d.creds"))
        assert "agent 'n'" in says
        assert "credentials must be a file with the claims (JWT) and the seed of a user" in says
        without = credentials(tmp_path / "e.creds", bare, user)
        says = await refused(tmp_path, server.url, credentials=str(without))
        assert "agent 'n'" in says
        assert "JetStream is not enabled for this account" in says
        await runs(config(tmp_path, server.url, connect_args={"credentials": str(right)}).build())

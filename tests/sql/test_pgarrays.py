"""Whole columns as arrays on PostgreSQL, against what the server reads of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from jobmaster.sql import pgarrays

pytestmark = pytest.mark.postgres
NOON = datetime(2026, 5, 1, 12, 0, 0, 7, UTC)

VALUES: dict[str, list[Any]] = {
    "uuid": [UUID(int=1), UUID(int=2**127 + 5)],
    "smallint": [-3, 5],
    "int": [-70_000, 70_000],
    "bigint": [-(2**40), 2**40],
    "text": ["", "Grüße 漢字"],
    "timestamptz": [NOON, NOON - timedelta(days=20_000, microseconds=1)],
    "bytea": [b"\x00\xff", b"plain"],
}


@pytest.mark.parametrize("kind", VALUES)
def test_columns_arrive_as_they_are(postgres_url: str, kind: str) -> None:
    one, other = VALUES[kind]
    columns = ([one, None, other], [one], [None], [one] * 3, [None] * 3, [one, other, one], [None, one, None])
    with psycopg.connect(postgres_url) as connection:
        pgarrays.register(connection)
        for column in columns:
            row = connection.execute(
                f"SELECT %(column)s::{kind}[]", {"column": pgarrays.column(kind, column)}
            ).fetchone()
            assert row is not None
            assert row[0] == column, column

"""The typed getters of plain data, and that it cannot be changed."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from jobmaster.domain.plaindata import PlainData

DATA = PlainData(
    {
        "text": "abc",
        "int": 7,
        "float": 1.5,
        "flag": True,
        "decimal": "1.10",
        "instant": "2026-01-02T03:04:05+00:00",
        "zulu": "2026-01-02T03:04:05Z",
        "naive": "2026-01-02T03:04:05",
        "date": "2026-01-02",
        "uuid": "00000000-0000-0000-0000-000000000007",
        "bytes": "AP8=",
        "none": None,
        "list": [1],
        "huge": 10**400,
    }
)


@pytest.mark.parametrize(
    ("getter", "key", "value"),
    [
        ("get_str", "text", "abc"),
        ("get_int", "int", 7),
        ("get_float", "float", 1.5),
        ("get_float", "int", 7.0),
        ("get_bool", "flag", True),
        ("get_decimal", "decimal", Decimal("1.10")),
        ("get_decimal", "int", Decimal(7)),
        ("get_datetime", "instant", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("get_datetime", "zulu", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("get_date", "date", date(2026, 1, 2)),
        ("get_uuid", "uuid", UUID(int=7)),
        ("get_bytes", "bytes", b"\x00\xff"),
    ],
)
def test_a_getter_reads_its_kind(getter: str, key: str, value: object) -> None:
    read = getattr(DATA, getter)
    assert read(key) == value
    assert type(read(key)) is type(value)
    assert read(key, default=None) == value
    assert read("absent", default="else") == "else"
    assert read("absent", default=None) is None
    with pytest.raises(KeyError, match="absent"):
        read("absent")


@pytest.mark.parametrize(
    ("getter", "key", "error", "message"),
    [
        ("get_str", "int", TypeError, "'int' is not text: found int 7"),
        ("get_int", "flag", TypeError, "'flag' is not an integer: found bool True"),
        ("get_int", "float", TypeError, "'float' is not an integer"),
        ("get_float", "flag", TypeError, "'flag' is not a number"),
        ("get_float", "text", TypeError, "found str 'abc'"),
        ("get_float", "huge", ValueError, "too large for a float"),
        ("get_bool", "int", TypeError, "'int' is not true or false"),
        ("get_decimal", "float", TypeError, "'float' is not a decimal"),
        ("get_decimal", "text", ValueError, "'text' is not a decimal"),
        ("get_datetime", "text", ValueError, "'text' is not an instant: found str 'abc'"),
        ("get_datetime", "naive", ValueError, "no offset"),
        ("get_datetime", "int", TypeError, "'int' is not an instant"),
        ("get_date", "instant", ValueError, "'instant' is not a date"),
        ("get_uuid", "text", ValueError, "'text' is not a UUID"),
        ("get_bytes", "text", ValueError, "'text' is not bytes"),
        ("get_str", "none", TypeError, "found NoneType None"),
        ("get_str", "list", TypeError, r"found list \[1\]"),
    ],
)
def test_a_getter_refuses_other_kinds_and_says_what_it_found(
    getter: str, key: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(DATA, getter)(key)
    with pytest.raises(error, match=message):
        getattr(DATA, getter)(key, default="a default is for missing keys")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.__setitem__("a", 1),
        lambda data: data.__delitem__("text"),
        lambda data: data.update(a=1),
        lambda data: data.pop("text"),
        lambda data: data.popitem(),
        lambda data: data.clear(),
        lambda data: data.setdefault("a", 1),
        lambda data: data.__ior__({"a": 1}),
    ],
)
def test_it_cannot_be_changed(change: Callable[[Any], object]) -> None:
    before = dict(DATA)
    with pytest.raises(TypeError, match="read-only"):
        change(DATA)
    assert before == DATA


def test_it_is_a_dict_in_every_other_respect() -> None:
    assert isinstance(DATA, dict)
    assert json.loads(json.dumps(DATA)) == DATA
    assert pickle.loads(pickle.dumps(DATA)) == DATA
    assert copy.deepcopy(DATA) == DATA
    assert copy.copy(DATA) is DATA
    assert DATA | {"a": 1} == {**DATA, "a": 1}
    assert repr(PlainData(a=1)) == "PlainData({'a': 1})"

"""JSON text is read as the standard library reads it, whichever library does it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmaster.payload import jsontext

DIGITS = st.text("0123456789-.e", max_size=40)
NUMBERS = st.integers(-(10**25), 10**25) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = NUMBERS | DIGITS | st.text(max_size=10) | st.booleans() | st.none()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(DIGITS, inner, max_size=5),
    max_leaves=12,
)


@given(VALUES)
def test_what_was_written_is_read(value: Any) -> None:
    text = jsontext.write(value)
    assert repr(jsontext.read(text)) == repr(value)
    assert repr(jsontext.read(text)) == repr(json.loads(text))


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40])
@pytest.mark.parametrize("before", range(20))
def test_an_integer_keeps_its_digits_wherever_it_stands(number: int, before: int) -> None:
    for value in (
        {"x" * before: number},
        {"a": "y" * before, "b": [number]},
        {"a": "y" * before, "b": {"c": number}},
        ["z" * before, number],
        {"a": 1.5, "b": "y" * before, "c": number},
    ):
        text = json.dumps(value, separators=(",", ":"))
        assert repr(jsontext.read(text)) == repr(value)


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a":Infinity}', "[1,]", "1 2"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(jsontext.SerializationError, match="not JSON"):
        jsontext.read(text)

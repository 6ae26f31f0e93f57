"""Plain data: text survives unchanged or is refused, with orjson and without."""

from __future__ import annotations

import json
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from jobmaster.errors import InvalidJob, MessageTooLarge, SerializationError
from jobmaster.payload import JsonCodecs, check_size, jsontext
from jobmaster.payload.plain import MAX_DEPTH

CODECS = JsonCodecs()
PLAIN = CODECS.for_type(None)

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(params=["orjson", "json"], autouse=True, scope="module")
def library(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of this file runs with both libraries."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            patch.setattr(jsontext, "_dumps", None)
            patch.setattr(jsontext, "_loads", None)
        elif jsontext._dumps is None:
            pytest.skip("orjson is not installed: pip install orjson")
        yield


def identical(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down (1, 1.0 and True are three things)."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(identical, one, other))
    return bool(one == other) and (
        not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, other)
    )


@given(data=st.dictionaries(TEXT, JSON))
def test_json_values_come_back_as_they_were(data: dict[str, Any]) -> None:
    assert identical(dict(PLAIN.decode(PLAIN.encode(data))), data)


@given(data=st.dictionaries(TEXT, JSON))
def test_bytes_say_the_same_as_text(data: dict[str, Any]) -> None:
    written = jsontext.write_bytes(data)
    assert written == jsontext.write(data).encode()
    if not re.search(rb"[0-9]{19}", written):
        assert identical(jsontext.read_bytes(written), data)


def test_bytes_hold_ids_and_instants_as_texts() -> None:
    job_id = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    at = datetime(2026, 5, 4, 3, 2, 1, 123456, UTC)
    whole = at.replace(microsecond=0)
    found = jsontext.read_bytes(jsontext.write_bytes([job_id, at, whole, 2**70]))
    assert [UUID(found[0]), *map(datetime.fromisoformat, found[1:3])] == [job_id, at, whole]
    with pytest.raises(UnicodeEncodeError):
        jsontext.write_bytes(["\ud800"])
    with pytest.raises(TypeError, match="object is no JSON value"):
        jsontext.write_bytes([object()])
    with pytest.raises(SerializationError):
        jsontext.read_bytes(b"[1,")


@given(data=st.dictionaries(TEXT, JSON))
def test_both_libraries_write_what_the_other_reads(data: dict[str, Any]) -> None:
    text = PLAIN.encode(data)
    assert identical(json.loads(text), data)


@pytest.mark.parametrize(
    "number",
    [2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**18, 10**19, -(10**19), 10**300],
)
def test_integers_of_any_size_survive(number: int) -> None:
    for data in ({"n": number}, {"padding" * 5: [1.5, {"n": [number]}], "more": "x" * 40}):
        assert identical(dict(PLAIN.decode(PLAIN.encode(data))), data)


def test_an_integer_too_long_for_text_is_refused() -> None:
    with pytest.raises(SerializationError, match="too long"):
        PLAIN.encode({"n": 10**5000})


def test_special_values_become_text_that_the_getters_read_back() -> None:
    instant = datetime(2026, 5, 4, 3, 2, 1, 500, tzinfo=timezone(timedelta(hours=-3)))
    given_ = {
        "instant": instant,
        "day": date(2026, 5, 4),
        "id": UUID(int=7),
        "amount": Decimal("12.50"),
        "raw": b"\x00\xff",
    }
    data = PLAIN.decode(PLAIN.encode(given_))
    assert dict(data) == {
        "instant": "2026-05-04T03:02:01.000500-03:00",
        "day": "2026-05-04",
        "id": "00000000-0000-0000-0000-000000000007",
        "amount": "12.50",
        "raw": "AP8=",
    }
    assert data.get_datetime("instant") == instant
    assert data.get_date("day") == date(2026, 5, 4)
    assert data.get_uuid("id") == UUID(int=7)
    assert data.get_decimal("amount") == Decimal("12.50")
    assert data.get_bytes("raw") == b"\x00\xff"


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


def test_subclasses_of_json_types_are_taken_for_their_values() -> None:
    data = {
        Colour.RED: [Colour.RED, Level.HIGH],
        "map": OrderedDict(a=1),
        "view": MappingProxyType({"b": (1, 2)}),
    }
    assert PLAIN.decode(PLAIN.encode(data)) == {
        "red": ["red", 3],
        "map": {"a": 1},
        "view": {"b": [1, 2]},
    }


class Shade(Enum):
    DARK = "dark"


@dataclass
class Point:
    x: int


class Loose(BaseModel):
    any: Any


class Model(BaseModel):
    x: float
    when: datetime | None = None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"items": [1, 2, 3, {"x": {1, 2}}]}, r"data\.items\[3\]\.x: set is no JSON value"),
        ({"a b": [object()]}, r"data\['a b'\]\[0\]: object is no JSON value"),
        ({"when": datetime(2026, 1, 1)}, r"data\.when: a datetime without time zone"),  # noqa: DTZ001
        ({"when": time(1, 2)}, r"data\.when: time is no JSON value"),
        ({"span": timedelta(1)}, r"data\.span: timedelta is no JSON value"),
        ({"x": math.nan}, r"data\.x: nan has no JSON form"),
        ({"x": [-math.inf]}, r"data\.x\[0\]: -inf has no JSON form"),
        ({"x": Decimal("NaN")}, r"data\.x: NaN has no JSON form"),
        ({"x": "a\ud800"}, r"data\.x: text with lone surrogates"),
        ({"a\udfff": 1}, r"lone surrogates"),
        ({"x": {1: 2}}, r"data\.x\[1\]: keys must be text, not int"),
        ({None: 2}, r"data\[None\]: keys must be text, not NoneType"),
        ({"x": Shade.DARK}, r"data\.x: Shade is no JSON value"),
        ({"x": Point(1)}, r"data\.x: Point is no JSON value"),
        ({"x": Model(x=1)}, r"data\.x: Model is no JSON value"),
        ({"x": 1j}, r"data\.x: complex is no JSON value"),
    ],
)
def test_anything_else_is_refused_with_its_place(data: Any, message: str) -> None:
    with pytest.raises(SerializationError, match=message) as caught:
        PLAIN.encode(data)
    assert isinstance(caught.value, InvalidJob)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("data", [[1], "text", 5, b"x", Point(1), Model(x=1)])
def test_data_must_be_a_mapping(data: object) -> None:
    with pytest.raises(InvalidJob, match="data must be a mapping"):
        PLAIN.encode(data)


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda inner: {"a": inner}, lambda inner: [inner], lambda inner: (inner,)])
def test_depth_is_bounded_with_a_clear_error(wrap: Callable[[Any], Any]) -> None:
    fits = {"a": nested(MAX_DEPTH - 1, wrap)}
    assert PLAIN.decode(PLAIN.encode(fits))
    for levels in (MAX_DEPTH, 100_000):
        with pytest.raises(SerializationError, match=f"nested deeper than {MAX_DEPTH} levels"):
            PLAIN.encode({"a": nested(levels, wrap)})


def test_a_circle_is_refused_like_any_other_depth() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    with pytest.raises(SerializationError, match="nested deeper"):
        PLAIN.encode(circle)


@pytest.mark.parametrize("text", ["", "{", "[1", "NaN", '{"a": Infinity}', "{'a': 1}", "[" * 100_000])
def test_stored_text_that_is_not_json_is_told(text: str) -> None:
    with pytest.raises(SerializationError):
        PLAIN.decode(text)


def test_stored_text_that_is_no_mapping_is_told() -> None:
    with pytest.raises(SerializationError, match="not a mapping but list"):
        PLAIN.decode("[1]")


def test_nul_travels_in_data_and_is_refused_in_metadata() -> None:
    assert PLAIN.decode(PLAIN.encode({"a": "x\x00y"})) == {"a": "x\x00y"}
    assert "\x00" not in PLAIN.encode({"a": "x\x00y"})
    with pytest.raises(SerializationError, match=r"metadata\.a\.b\[0\]: NUL"):
        CODECS.encode_metadata({"a": {"b": ["x\x00y"]}})
    with pytest.raises(SerializationError, match="NUL"):
        CODECS.encode_metadata({"a\x00": 1})


def test_metadata_is_a_mapping_and_empty_metadata_is_none() -> None:
    assert CODECS.encode_metadata(None) is None
    assert CODECS.encode_metadata({}) is None
    assert CODECS.decode_mapping(None) == {}
    assert CODECS.decode_mapping(CODECS.encode_metadata({"team": "médiá"})) == {"team": "médiá"}
    with pytest.raises(InvalidJob, match="metadata must be a mapping"):
        CODECS.encode_metadata([("a", 1)])  # type: ignore[arg-type]


def test_results_may_be_anything_json_and_models_are_dumped() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    for value, stored in [
        (5, 5),
        ("text", "text"),
        ([1, (2, 3)], [1, [2, 3]]),
        (Point(1), {"x": 1}),
        (Model(x=1, when=when), {"x": 1.0, "when": "2026-01-01T00:00:00Z"}),
        ({"all": [Point(2), Model(x=2)]}, {"all": [{"x": 2}, {"x": 2.0, "when": None}]}),
        (when, "2026-01-01T00:00:00+00:00"),
        (False, False),
    ]:
        assert CODECS.decode_result(CODECS.encode_result(value)) == stored


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "result: object is no JSON value"),
        ({"a": [Point]}, r"result\.a\[0\]: type is no JSON value"),
        ([Model(x=math.nan)], r"result\[0\]\.x: NaN"),
        ({"a": Loose(any=[math.inf])}, r"result\.a\.any\[0\]: NaN"),
    ],
)
def test_a_result_that_is_no_json_is_refused_with_its_place(value: object, message: str) -> None:
    with pytest.raises(SerializationError, match=message):
        CODECS.encode_result(value)


def test_a_result_of_circular_dataclasses_is_refused() -> None:
    point = Point(1)
    point.x = point  # type: ignore[assignment]
    with pytest.raises(SerializationError, match="nested deeper"):
        CODECS.encode_result(point)


def test_size_counts_utf8_bytes_of_data_and_metadata() -> None:
    check_size(10, '"12345678"')
    check_size(None, "x" * 1_000_000)
    with pytest.raises(MessageTooLarge, match="11 bytes and max_message_bytes is 10"):
        check_size(10, '"123456789"')
    check_size(8, '"äöü"')
    with pytest.raises(MessageTooLarge, match="8 bytes and max_message_bytes is 7"):
        check_size(7, '"äöü"')
    with pytest.raises(MessageTooLarge, match="10 bytes"):
        check_size(9, '"äöü"', "{}")

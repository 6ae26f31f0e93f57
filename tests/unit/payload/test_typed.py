"""Typed payloads: validated when enqueued and when run, through pydantic, which is imported for them only."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from jobmaster.errors import InvalidJob, SerializationError
from jobmaster.payload import JsonCodecs

CODECS = JsonCodecs()


class Item(BaseModel):
    sku: str
    price: Decimal


class Order(BaseModel):
    url: str
    width: int = 640
    items: list[Item] = []
    at: datetime | None = None
    named: int | None = Field(default=None, alias="itsName")
    anything: Any = None


@dataclass
class Resize:
    url: str
    width: int = 640
    tags: list[str] = field(default_factory=list)


class Mail(TypedDict):
    to: str
    copies: int


class Broken(BaseModel):
    x: Nowhere  # type: ignore[name-defined] # noqa: F821


def test_a_model_round_trips_and_its_type_comes_back() -> None:
    codec = CODECS.for_type(Order)
    order = Order(
        url="a", items=[Item(sku="x", price=Decimal("1.10"))], at=datetime(2026, 1, 1, tzinfo=UTC), itsName=4
    )
    back = codec.decode(codec.encode(order))
    assert isinstance(back, Order)
    assert back == order


def test_a_mapping_is_validated_into_the_model() -> None:
    codec = CODECS.for_type(Order)
    assert codec.decode(codec.encode({"url": "a", "width": "7"})) == Order(url="a", width=7)


def test_dataclasses_and_typed_dicts_are_payload_types() -> None:
    resize = CODECS.for_type(Resize)
    assert resize.decode(resize.encode(Resize("a", 5, ["t"]))) == Resize("a", 5, ["t"])
    assert resize.decode(resize.encode({"url": "b"})) == Resize("b")
    mail = CODECS.for_type(Mail)
    assert mail.decode(mail.encode({"to": "x", "copies": 2})) == {"to": "x", "copies": 2}
    with pytest.raises(InvalidJob, match=r"data\.copies: Field required"):
        mail.encode({"to": "x"})


def test_faults_name_their_fields() -> None:
    codec = CODECS.for_type(Order)
    with pytest.raises(InvalidJob) as caught:
        codec.encode({"width": "wide", "items": [{"sku": "a", "price": 1}, {"sku": "b"}]})
    text = str(caught.value)
    assert text.startswith("data does not fit Order: ")
    assert "data.url: Field required" in text
    assert "data.width: Input should be a valid integer" in text
    assert "data.items[1].price: Field required" in text


@pytest.mark.parametrize("data", [None, 5, "text", [1]])
def test_other_things_are_refused(data: object) -> None:
    with pytest.raises(InvalidJob, match="data does not fit Order"):
        CODECS.for_type(Order).encode(data)


def test_an_instance_changed_into_something_invalid_is_refused() -> None:
    order = Order(url="a")
    order.width = "wide"  # type: ignore[assignment]
    with pytest.raises(InvalidJob):
        CODECS.for_type(Order).encode(order)


def test_values_that_plain_data_refuses_are_refused_in_models() -> None:
    codec = CODECS.for_type(Order)
    with pytest.raises(SerializationError, match=r"data\.anything: NaN"):
        codec.encode(Order(url="a", anything=float("nan")))
    with pytest.raises(InvalidJob):
        codec.encode({"url": "a\ud800"})
    with pytest.raises(SerializationError, match="written as JSON"):
        codec.encode(Order(url="a", anything=object()))


def test_stored_data_that_fits_no_longer_is_told() -> None:
    with pytest.raises(InvalidJob, match=r"the stored data does not fit Resize: data\.url"):
        CODECS.for_type(Resize).decode('{"width": 5}')
    with pytest.raises(InvalidJob, match="the stored data does not fit Resize"):
        CODECS.for_type(Resize).decode("not json")


def test_a_type_that_is_no_mapping_is_refused_when_used() -> None:
    with pytest.raises(InvalidJob, match="job data must be a mapping"):
        CODECS.for_type(list[int]).encode([1])


def test_a_type_that_pydantic_cannot_handle_is_refused_at_once() -> None:
    class Opaque:
        pass

    with pytest.raises(TypeError, match="Opaque cannot be a payload type"):
        CODECS.for_type(Opaque)
    with pytest.raises(TypeError, match="cannot be a payload type"):
        CODECS.for_type("Nowhere")
    with pytest.raises(TypeError, match="Broken cannot be a payload type: name 'Nowhere' is not defined"):
        CODECS.for_type(Broken)


def test_plain_data_needs_no_pydantic() -> None:
    code = (
        "import sys; from jobmaster.payload import JsonCodecs; "
        "c = JsonCodecs(); c.for_type(None).encode({'a': 1}); c.encode_result([1]); "
        "assert 'pydantic' not in sys.modules; "
        "c.for_type(dict[str, int]); assert 'pydantic' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr

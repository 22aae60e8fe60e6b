"""Records refuse what is not exactly right, and say what it was in plain words."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from cifar_core.records import Record, explain


class Point(Record):
    x: Annotated[float, Field(ge=0.0, lt=10.0)]
    name: Literal["a", "b"] = "a"


class Line(Record):
    ends: tuple[Point, ...] = ()


def sentences(kind: type[Record], values: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(values)
    return explain(caught.value)


def test_a_missing_key_is_named() -> None:
    assert sentences(Point, {}) == ["x: is missing."]


def test_a_key_inside_a_list_is_named_with_its_place() -> None:
    values = {"ends": ({"x": 1.0}, {"x": 10.0})}
    assert sentences(Line, values) == ["ends.1.x: must be below 10.0, but got 10.0."]


def test_a_long_value_is_shown_in_part() -> None:
    (sentence,) = sentences(Point, {"x": 1.0, "name": "n" * 500})
    assert len(sentence) < 120
    assert "nnn...nnn" in sentence


@pytest.mark.parametrize("value", ["1.0", None, True, [1.0]])
def test_nothing_is_converted(value: object) -> None:
    assert sentences(Point, {"x": value}) == [
        f"x: input should be a valid number, but got {value!r}."
    ]


def test_a_record_with_a_wrong_name_is_told_the_right_ones() -> None:
    assert sentences(Point, {"x": 1.0, "name": "c"}) == ["name: must be 'a' or 'b', but got 'c'."]

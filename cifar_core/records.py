"""The base of every record that may come from a file, and plain words for what is wrong with one."""

import reprlib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from cifar_core.nearest import meant
from cifar_core.text_files import one_line

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Record", "explain", "flatten", "kinds_at", "listed", "no_control", "shown"]

UNIONS = {"network", "optimizer", "schedule"}
"""The recipe's sections that hold one of several records, told apart by their `name`."""

MOST_PROBLEMS = 20
LONGEST_PROBLEM = 300
STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of control characters, marks that turn the direction of text, halves of pairs."""


class Record(BaseModel):
    """A frozen record that checks itself: unknown keys, wrong types, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _one_zero(cls, value: Any) -> Any:
        """-0.0 equals 0.0, so it must be written like it."""
        return value + 0.0 if isinstance(value, float) else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested mappings under the names of their fields.

    >>> flatten({"epochs": 6, "optimizer": {"name": "sgd", "lr": 0.1}})
    {'epochs': 6, 'optimizer.name': 'sgd', 'optimizer.lr': 0.1}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def explain(error: ValidationError, record: type[BaseModel] | None = None) -> list[str]:
    """One sentence for each thing that is wrong: the key, what is allowed, what was found.

    Args:
        error: What pydantic raised.
        record: The record that was validated, whose keys are the hint for an unknown one.

    Returns:
        Sentences such as ``epochs: must be at least 1, but got 0.``, on a line each, and short.
    """
    return [_cut(_sentence(detail, record)) for detail in error.errors(include_url=False)]


def listed(problems: Sequence[str]) -> str:
    """Problems on a line each, for an error; neither their number nor their length is trusted.

    >>> print(listed(["epochs: is missing."]))
      epochs: is missing.
    """
    lines = [f"  {_cut(problem)}" for problem in problems[:MOST_PROBLEMS]]
    more = len(problems) - MOST_PROBLEMS
    return "\n".join([*lines, f"  and {more:,} more."] if more > 0 else lines)


def no_control(text: str) -> str:
    """`text` itself, for a record's field that is shown to people; line breaks and tabs are allowed.

    Raises:
        ValueError: It has a character that is not shown, but steers what shows it.
    """
    for mark in text:
        if unicodedata.category(mark) in STEERING and mark not in "\n\t":
            raise ValueError(f"must have no control characters, but got {mark!r}.")
    return text


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= LONGEST_PROBLEM else f"{line[: LONGEST_PROBLEM - 3]}..."


def _sentence(detail: "ErrorDetails", record: type[BaseModel] | None) -> str:
    key = ".".join(_path(detail["loc"], detail["type"])) or "the whole"
    found = shown(detail["input"])
    limits = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            *path, unknown = detail["loc"]
            hint = meant(str(unknown), _keys_at(record, path))
            return (
                f"{key}: no such key (found with the value {found}){f'; {hint}' if hint else '.'}"
            )
        case "missing":
            return f"{key}: is missing."
        case "greater_than_equal":
            return f"{key}: must be at least {limits['ge']}, but got {found}."
        case "greater_than":
            return f"{key}: must be above {limits['gt']}, but got {found}."
        case "less_than_equal":
            return f"{key}: must be at most {limits['le']}, but got {found}."
        case "less_than":
            return f"{key}: must be below {limits['lt']}, but got {found}."
        case "literal_error" | "enum":
            return f"{key}: must be {limits['expected']}, but got {found}."
        case "union_tag_invalid":
            return (
                f"{key}.name: must be one of {limits['expected_tags']}, but got '{limits['tag']}'."
            )
        case "union_tag_not_found":
            return f"{key}: needs a `name` that says which one it is, but got {found}."
        case "value_error":
            # What is wrong with several keys together names them itself.
            return f"{key}: {limits['error']}" if detail["loc"] else str(limits["error"])
        case _:
            message = detail["msg"]
            return f"{key}: {message[:1].lower()}{message[1:]}, but got {found}."


def _path(location: tuple[int | str, ...], kind: str) -> list[str]:
    """The keys as they stand in the file: pydantic also names the member of a union it tried."""
    parts = [str(part) for part in location]
    inside_union = len(parts) > 1 and parts[0] in UNIONS and kind != "union_tag_invalid"
    return [parts[0], *parts[2:]] if inside_union else parts


def kinds_at(kind: Any, path: Sequence[int | str]) -> Iterator[Any]:
    """Yield the types that a part of a record may have: records, or `int`, `float` and the like.

    Args:
        kind: The record, or the type of one of its fields.
        path: The keys that lead to the part, which may name members of unions as pydantic does.
    """
    if get_origin(kind) is Annotated:
        yield from kinds_at(get_args(kind)[0], path)
    elif get_origin(kind) in {Union, UnionType}:
        for member in get_args(kind):
            tagged = len(path) > 0 and _tag(member) == path[0]
            yield from kinds_at(member, path[1:] if tagged else path)
    elif not path:
        yield kind
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        if (field := kind.model_fields.get(str(path[0]))) is not None:
            yield from kinds_at(field.annotation, path[1:])
    elif get_args(kind):  # a list or a mapping
        yield from kinds_at(get_args(kind)[-1], path[1:])


def _keys_at(record: type[BaseModel] | None, path: Sequence[int | str]) -> Iterator[str]:
    for kind in kinds_at(record, path):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from kind.model_fields


def _tag(member: Any) -> object:
    """Return the name by which a union tells this record apart; None if it is another type."""
    fields = (
        member.model_fields if isinstance(member, type) and issubclass(member, BaseModel) else {}
    )
    return fields["name"].default if "name" in fields else None


class _Shortened(reprlib.Repr):
    """Writes values from files without writing out what is large, or deep, or names itself."""

    def repr_int(self, value: int, level: int) -> str:
        """Python refuses to write integers of thousands of digits."""
        return super().repr_int(value, level) if value.bit_length() < 1000 else "a huge number"


def shown(value: Any, limit: int = 60) -> str:
    """A value from a file as Python writes it, in at most `limit` characters."""
    shortened = _Shortened()
    shortened.maxlevel, shortened.maxstring, shortened.maxother = 3, limit, limit
    text = shortened.repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."

"""Every field of a recipe and of a space file: its range, its default, and what it means."""

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cifar_core.recipe import Network, Optimizer, Recipe, Schedule
from spaces.grid import Grid, Published
from spaces.parameter import Parameter
from spaces.prior import Prior
from spaces.space import Known, LrRange, Quick, Space

__all__ = ["Field", "fields_of", "fields_page", "records"]

_SIGNS = {Ge: "from", Gt: "above", Le: "to", Lt: "below"}
_LINK = re.compile(r"^(?P<name>\w+): (?P<meaning>.+)$")


@dataclass(frozen=True)
class Field:
    """One field of a record.

    Attributes:
        name: Its name in a file.
        allowed: Its range or its choices, in words; empty where its meaning says all.
        default: Its default as a file has it; None where it must be given, empty where it may be left out.
        meaning: What it is.
    """

    name: str
    allowed: str
    default: str | None
    meaning: str


def records() -> Mapping[str, type[BaseModel]]:
    """Return the records of a space file, by the place at which they stand in it."""
    kinds = {
        f'{section}, `name = "{_default(member.model_fields["name"])}"`': member
        for section, union in (
            ("[recipe] network", Network),
            ("[recipe] optimizer", Optimizer),
            ("[recipe] schedule", Schedule),
        )
        for member in get_args(get_args(union)[0])
    }
    return {
        "At the top": Space,
        "[parameters.NAME]": Parameter,
        "[parameters.NAME] prior": Prior,
        "[[known]]": Known,
        "[lr_range]": LrRange,
        "[quick]": Quick,
        "[grid]": Grid,
        "[[grid.published]]": Published,
        "[recipe]": Recipe,
        "[recipe] augmentation": Recipe.model_fields["augmentation"].default.__class__,
        **kinds,
    }


def fields_of(record: type[BaseModel]) -> Iterator[Field]:
    """Yield the fields of a record; its `name` only where it is not what tells it from other records."""
    meanings = _meanings(record)
    for name, field in record.model_fields.items():
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
            continue
        yield Field(name, _allowed(field), _default(field), meanings.get(name, ""))


def fields_page() -> str:
    """Return all fields as a page in Markdown."""
    lines = [
        "# Every field of a space file",
        "",
        "Written by `cifar-search spaces --fields`. `cifar-search spaces --new FILE` writes a file to",
        "begin with; an exported recipe has the fields of `[recipe]`.",
    ]
    for place, record in records().items():
        found = list(fields_of(record))
        about = (inspect.getdoc(record) or "").partition("\n")[0]
        lines += ["", f"## {place}", "", about]
        if found:
            lines += ["", "| field | allowed | default | meaning |", "|---|---|---|---|"]
        for one in found:
            default = "must be given" if one.default is None else one.default and f"`{one.default}`"
            lines.append(f"| `{one.name}` | {one.allowed} | {default} | {one.meaning} |")
    return "\n".join(lines) + "\n"


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    limits = [
        f"{_SIGNS[type(one)]} {next(iter(_bounds(one))):g}"
        for one in _metadata(field)
        if type(one) in _SIGNS
    ]
    whole = "whole, " if field.annotation is int and limits else ""
    return whole + " ".join(limits)


def _metadata(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    if get_origin(field.annotation) is Annotated:
        yield from get_args(field.annotation)[1:]


def _bounds(limit: Any) -> Iterator[float]:
    """Yield the bound of a limit such as ``Ge(1)``."""
    for name in ("ge", "gt", "le", "lt"):
        if hasattr(limit, name):
            yield float(getattr(limit, name))


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.default
    if isinstance(value, BaseModel) or value is None or value in ({}, []):
        return ""
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _meanings(record: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a record and its bases say of its fields."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__):
        if not issubclass(base, BaseModel) or "__doc__" not in vars(base):
            continue
        text = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
        for entry in re.split(
            r"\n(?=    \w+:)", "\n" + inspect.cleandoc(text).replace("\n", "\n    ")
        ):
            if match := _LINK.match(" ".join(entry.split())):
                found[match["name"]] = match["meaning"].replace("``", "`").replace("|", "\\|")
    return found

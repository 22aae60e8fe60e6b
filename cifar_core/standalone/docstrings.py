"""Docstrings that tell of no more than what is left of a definition."""

import ast
import re
from itertools import pairwise

from cifar_core.standalone.source_text import Edit, SourceText

__all__ = ["with_fitting_docstrings"]

Documented = ast.FunctionDef | ast.ClassDef
HEADING = re.compile(r" *(Args|Attributes|Raises|Returns|Yields):")
ENTRY = re.compile(r" *(\w+): ")


def with_fitting_docstrings(source: str) -> str:
    """Return a definition whose docstrings list only the parameters, fields and errors that it has.

    Args:
        source: A top-level definition.
    """
    text, edits = SourceText(source), []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Documented) and ast.get_docstring(node):
            place = node.body[0]
            told = _fitting(text.of(place).removesuffix('"""'), _names_of(node), _raises(node))
            edits.append(Edit(text.start(place), text.end(place), f'{told}"""'))
    return text.edited(edits)


def _names_of(node: Documented) -> set[str]:
    """Return the parameters of a function or of a class's methods, and a class's fields."""
    names = {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    fields = (one.target for one in node.body if isinstance(one, ast.AnnAssign))
    return names | {one.id for one in fields if isinstance(one, ast.Name)}


def _raises(node: Documented) -> bool:
    return any(isinstance(one, ast.Raise) for one in ast.walk(node))


def _fitting(told: str, names: set[str], raises: bool) -> str:
    """Return a docstring without its closing quotes, and without what is not there."""
    lines = told.rstrip().split("\n")
    heads = [index for index, line in enumerate(lines) if HEADING.fullmatch(line)]
    kept = lines[: heads[0]] if heads else lines
    for start, end in pairwise([*heads, len(lines)]):
        section = lines[start:end]
        match lines[start].strip():
            case "Args:" | "Attributes:":
                section = _entries(section, names)
            case "Raises:":
                section = section if raises else []
        kept += section
    while not kept[-1].strip():
        kept.pop()
    closing = f"\n{' ' * min(map(_width, filter(str.strip, kept[1:])))}" if len(kept) > 1 else ""
    return "\n".join(kept) + closing


def _entries(section: list[str], names: set[str]) -> list[str]:
    """Return a section with the entries of these names alone; nothing if there are none."""
    indent, kept, wanted = _width(section[1]), section[:1], False
    for line in section[1:]:
        if _width(line) == indent and (entry := ENTRY.match(line)):
            wanted = entry[1] in names
        if wanted or not line.strip():
            kept.append(line)
    return kept if any(line.strip() for line in kept[1:]) else []


def _width(line: str) -> int:
    return len(line) - len(line.lstrip())

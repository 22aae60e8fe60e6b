"""Text files of somebody else's: read without trusting their size, parsed without trusting their shape."""

import tomllib
from pathlib import Path
from typing import Any

__all__ = ["parse_toml", "read_text"]

LARGEST = 1 << 20
MOST_DOTS = 1000


def read_text(path: Path) -> str:
    """The text of a small file in UTF-8.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, or not text.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)  # whatever size it says it has
    if len(content) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not text in UTF-8") from error


def parse_toml(text: str) -> dict[str, Any]:
    """The values of a TOML text.

    Raises:
        ValueError: It is not TOML; the text says where.
        RecursionError: It is nested too deeply.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        # A key of many parts takes tomllib memory that grows with their square.
        if line.count(".") > MOST_DOTS:
            raise ValueError(f"more than {MOST_DOTS} dots (at line {number})")
    return tomllib.loads(text)

"""Text files of somebody else's: read without trusting their size, parsed without trusting their shape."""

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

__all__ = ["first_line", "last_line", "one_line", "parse_toml", "read_text"]

LARGEST = 1 << 20
MOST_DOTS = 1000


def read_text(path: Path, largest: int = LARGEST) -> str:
    """The text of a small file in UTF-8.

    Args:
        path: The file, or a link to it.
        largest: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not an ordinary file, is too large, or is not text.
    """
    kind = path.stat().st_mode
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(kind):  # a pipe would be waited for
        raise ValueError("it is a pipe or a device, and not a file")
    with path.open("rb") as file:
        content = file.read(largest + 1)  # whatever size it says it has
    if len(content) > largest:
        raise ValueError(f"it is larger than {largest} bytes")
    try:
        return content.decode("utf-8-sig")  # some editors write a byte order mark first
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


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error's text; the name of its type if it has no text.

    >>> first_line(ValueError("too large\nand more")), first_line(MemoryError())
    ('too large', 'MemoryError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def last_line(error: BaseException) -> str:
    """Return the last line of an error's text; a `RecipeError` has its last problem there."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def one_line(text: str) -> str:
    r"""Text from outside, on one line and without anything that would steer a terminal.

    >>> one_line("out of\nmemory \x1b[31m")
    'out of memory [31m'
    """
    visible = "".join(mark if mark.isprintable() else " " for mark in text)
    return " ".join(visible.split())

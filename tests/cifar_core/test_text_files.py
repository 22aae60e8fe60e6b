"""Text files of somebody else's: what is read, what is refused, and what is never waited for."""

import doctest
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_core import text_files
from cifar_core.text_files import LARGEST, one_line, parse_toml, read_text


def test_the_examples_hold() -> None:
    found = doctest.testmod(text_files)
    assert found.attempted >= 1
    assert found.failed == 0


@pytest.mark.parametrize("before", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_a_text_is_read_without_a_byte_order_mark(tmp_path: Path, before: str) -> None:
    (tmp_path / "a").write_bytes((before + "é\r\n").encode())
    assert read_text(tmp_path / "a") == "é\r\n"


def test_a_file_may_have_as_many_bytes_as_it_is_granted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    assert read_text(tmp_path / "a", 10) == "x" * 10
    with pytest.raises(ValueError, match="it is larger than 9 bytes"):
        read_text(tmp_path / "a", 9)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, put: Callable[[Path], None]) -> None:
    put(tmp_path / "a")
    with pytest.raises(ValueError, match="it is a pipe or a device, and not a file"):
        read_text(tmp_path / "a")


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        read_text(tmp_path)
    assert caught.value.strerror == "Is a directory"


def test_of_a_file_that_says_it_is_empty_no_more_is_read_than_is_granted() -> None:
    """Files of the system have a size of 0 and a content."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("this system has no /proc")
    with pytest.raises(ValueError, match="it is larger than 1 bytes"):
        read_text(Path("/proc/self/environ"), 1)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="not text in UTF-8"):
        read_text(tmp_path / "a")


def test_a_key_of_thousands_of_parts_is_not_parsed() -> None:
    with pytest.raises(ValueError, match=r"more than 1000 dots \(at line 2\)"):
        parse_toml(f"a = 1\n{'a.' * 1001}b = 1")
    assert LARGEST < 1 << 21  # where many such lines take no more than seconds


@pytest.mark.parametrize("text", ["a\x1b[2Jb", "a\rb", "a\u202eb", "a\ud800b", "a\n\n b", "a\x00b"])
def test_one_line_is_a_line_without_what_steers_a_terminal(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert line.startswith("a")
    assert line.endswith("b")

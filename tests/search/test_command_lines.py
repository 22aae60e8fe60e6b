"""Proposed commands as a shell reads them."""

import doctest
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import search
from search import command_lines
from search.cli import COMMANDS
from search.command_lines import command_line, quoted

SOURCES = Path(search.__file__).parent
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def test_the_examples_hold() -> None:
    found = doctest.testmod(command_lines)
    assert (found.attempted, found.failed) == (3, 0)


@given(TEXTS.filter(str.isprintable), TEXTS.filter(str.isprintable))
def test_a_shell_reads_every_word_as_it_was(name: str, folder: str) -> None:
    line = command_line("status", name, flags=f" --home {quoted(folder)}", watch=True, json=False)
    _, command, *words = shlex.split(line)
    options = ["--home", folder, "--watch"]
    assert (command, words) in [
        ("status", [name, *options]),
        ("status", [*options, "--", name]),
    ]
    assert ("--" in words) or not name.startswith("-")


def test_a_name_that_would_steer_a_terminal_is_one_printable_line_and_bash_reads_it() -> None:
    name = "a\x1b[31m\n'b'\\ \x9b ü"
    line = command_line("status", name)
    assert line.isprintable()
    script = f"printf %s {line.partition('status ')[2]}"
    ended = subprocess.run(
        [str(shutil.which("bash")), "-c", script], capture_output=True, check=True
    )
    assert ended.stdout.decode() == name


def test_no_other_place_puts_a_command_together() -> None:
    """A literal command may stand in a message; one with a value in it must be made by `command_line`."""
    built = re.compile(rf"cifar-search (?:{'|'.join(COMMANDS)})\b[^\n\"]*\{{")
    files = [file for file in SOURCES.rglob("*.py") if file.name != "command_lines.py"]
    assert len(files) > 80
    assert {str(file) for file in files if built.search(file.read_text())} == set()

"""A search in a real terminal: the view is live, Ctrl-C is answered, the terminal is left as it was."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.search.running import FAST, Database, Running, begin, ended, needs_proc, space_file

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

import fcntl
import pty
import struct
import termios

pytestmark = needs_proc

CTRL_C = b"\x03"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """A terminal of 100 by 40 characters, what is typed into it, and what it was sent."""

    def __init__(self) -> None:
        self._master, self.inside = pty.openpty()
        fcntl.ioctl(self.inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.settings = termios.tcgetattr(self.inside)
        self._received = bytearray()
        # Read all the time: a program whose terminal is full waits.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def shown(self) -> str:
        """All that it was sent."""
        return bytes(self._received).decode("utf-8", "replace")

    def type(self, what: bytes) -> None:
        os.write(self._master, what)

    def close(self) -> None:
        """Only when no process uses it any more, as the reader waits for that."""
        os.close(self.inside)
        self._reader.join(10.0)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                self._received += os.read(self._master, 4096)
            except OSError:
                return  # nobody has it open any more


@contextmanager
def in_terminal(*arguments: object, folder: Path, data: Path) -> Iterator[tuple[Terminal, Running]]:
    """A command that believes it talks to a person."""
    terminal = Terminal()
    try:
        with begin(*arguments, folder=folder, data=data, terminal=terminal.inside) as running:
            yield terminal, running
    finally:
        terminal.close()


@pytest.mark.slow
def test_a_search_is_shown_live_and_ctrl_c_gives_the_terminal_back(
    plain_images: Path, tmp_path: Path
) -> None:
    database = Database(tmp_path)
    command = ("start", "--space", space_file(tmp_path), *FAST, "--home", tmp_path)
    wishes = ("--lr-bounds", "off")
    with in_terminal(*command, *wishes, folder=tmp_path, data=plain_images) as (
        terminal,
        running,
    ):
        running.until(lambda: (1, 1) in database.epochs(), "trial 1 has an epoch")
        assert HIDE_CURSOR in terminal.shown
        for words in (
            "best so far: trial 0",
            "of 11 trials begun",
            "1 complete",
            "smaller batches",
            "Ctrl-C",
        ):
            running.until(lambda words=words: words in terminal.shown, f"the view shows {words!r}")
        terminal.type(CTRL_C)
        ended(running, 130, seconds=20.0)
        time.sleep(0.1)
        shown = terminal.shown
        assert termios.tcgetattr(terminal.inside) == terminal.settings
    assert "\x1b[" in shown
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
    assert "everything is saved" in shown
    assert "Traceback" not in shown
    assert shown.endswith("\n")


@pytest.mark.slow
def test_ctrl_c_while_workers_come_up_is_answered_without_a_traceback(
    plain_images: Path, tmp_path: Path
) -> None:
    command = ("start", "--space", space_file(tmp_path), *FAST, "--home", tmp_path)
    with in_terminal(*command, folder=tmp_path, data=plain_images) as (terminal, running):
        running.until(running.workers, "a worker is there")
        time.sleep(0.3)
        assert running.busy_worker() is None, "the worker was up too soon for this test"
        terminal.type(CTRL_C)
        ended(running, 130, seconds=20.0)
        time.sleep(0.1)
        assert "Traceback" not in terminal.shown, terminal.shown
        assert "everything is saved" in terminal.shown

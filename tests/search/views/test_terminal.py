"""A search in a real terminal: the view is live, Ctrl-C is answered, the terminal is left as it was."""

import sys
import time
from pathlib import Path

import pytest

from tests.search.running import FAST, Database, ended, needs_proc, space_file

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

import termios

from tests.search.terminals import CTRL_C, in_terminal

pytestmark = needs_proc

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


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

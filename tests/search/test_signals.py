"""How a search is asked to stop."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.signals import SIGNALS, StopSwitch, ending_like_ctrl_c, signals_wait


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """Signals end these tests' process also where whoever runs them ignores some, as under nohup."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_nobody_has_asked_at_first(tmp_path: Path) -> None:
    assert StopSwitch(tmp_path / "stop")() is False


def test_a_file_asks_to_stop(tmp_path: Path) -> None:
    switch = StopSwitch(tmp_path / "stop")
    (tmp_path / "stop").touch()
    assert switch() is True
    (tmp_path / "stop").unlink()
    assert switch() is False


def test_somebody_elsewhere_asks_to_stop(tmp_path: Path) -> None:
    answers = iter([False, True])
    switch = StopSwitch(tmp_path / "stop", lambda: next(answers))
    assert switch() is False
    assert switch() is True


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_and_the_second_insists(
    tmp_path: Path, number: signal.Signals
) -> None:
    with StopSwitch(tmp_path / "stop") as switch:
        os.kill(os.getpid(), number)
        assert switch() is True
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert switch() is True


def test_different_signals_count_together(tmp_path: Path) -> None:
    with StopSwitch(tmp_path / "stop") as switch:
        os.kill(os.getpid(), signal.SIGTERM)
        assert switch() is True
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_signals_mean_afterwards_what_they_meant_before(tmp_path: Path) -> None:
    def mine(_number: int, _frame: object) -> None:
        """Stands for whatever the caller has set."""

    before = signal.signal(signal.SIGTERM, mine)
    try:
        with StopSwitch(tmp_path / "stop"):
            assert signal.getsignal(signal.SIGTERM) is not mine
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_would_end_a_program_ends_it_like_ctrl_c(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt), ending_like_ctrl_c():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_what_is_ignored_under_nohup_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_like_ctrl_c(), StopSwitch(tmp_path / "stop") as switch:
            os.kill(os.getpid(), signal.SIGHUP)
            assert switch() is False
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_ctrl_c_that_python_drops_stops_a_search_once_it_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Removed:
        def __init__(self, *, fails: bool = False) -> None:
            self.fails = fails

        def __del__(self) -> None:
            if self.fails:
                raise ValueError
            os.kill(os.getpid(), signal.SIGINT)

    shown: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: shown.append(dropped.exc_type))
    with ending_like_ctrl_c():
        Removed()  # what is raised in `__del__` reaches nobody
        assert shown == []  # and is no error
        Removed(fails=True)
        assert shown == [ValueError]
        with StopSwitch(tmp_path / "stop") as switch:
            assert switch() is True
    with ending_like_ctrl_c(), StopSwitch(tmp_path / "stop") as switch:
        assert switch() is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_must_not_be_interrupted_is_not_and_the_signal_counts_afterwards(
    number: signal.Signals,
) -> None:
    done: list[str] = []

    def close() -> None:
        with signals_wait():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            done.append("closed")

    with ending_like_ctrl_c(), pytest.raises(KeyboardInterrupt):
        close()
    assert done == ["closed"]


def test_an_error_within_is_told_as_it_is() -> None:
    def fail() -> None:
        with signals_wait():
            os.kill(os.getpid(), signal.SIGINT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_where_no_signal_came_nothing_happens_and_handlers_are_as_before() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_wait():
            os.kill(os.getpid(), signal.SIGHUP)  # ignored, as under nohup
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

"""The command line as a program."""

import os
import signal
from typing import NoReturn

import pytest

from search import cli
from search.signals import SIGNALS


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_every_command_like_ctrl_c_from_its_start(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lock, a connection, a half-written file may be open; so it is not simply killed."""
    closed = []

    def slow_import(*_: object, **__: object) -> NoReturn:
        try:
            os.kill(os.getpid(), number)
            pytest.fail("it was not heard")
        finally:
            closed.append(True)

    monkeypatch.setattr(cli.cli, "main", slow_import)
    monkeypatch.setattr(cli, "_open_streams", lambda: None)  # pytest has its own
    before = signal.getsignal(number)
    signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        signal.signal(number, before)
    assert (ended.value.code, closed) == (130, [True])
    assert capsys.readouterr().err == "Interrupted.\n"

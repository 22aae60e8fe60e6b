"""Requests to stop a search: Ctrl-C, a signal, or `cifar-search stop` from another process."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["SIGNALS", "StopSwitch", "ending_like_ctrl_c", "signals_wait"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSwitch:
    """Tells whether to stop. Within its context the first signal asks for it, the second insists.

    Args:
        request: A file whose presence asks to stop; None for none.
        elsewhere: Returns whether somebody asks to stop in another way.

    Raises:
        KeyboardInterrupt: At the second signal, wherever the program is; what is saved stays saved.
    """

    def __init__(
        self, request: Path | None = None, elsewhere: Callable[[], bool] = lambda: False
    ) -> None:
        self._request = request
        self._elsewhere = elsewhere
        self._signalled = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Return whether somebody has asked to stop."""
        requested = self._request is not None and self._request.exists()
        return self._signalled or requested or self._elsewhere()

    def __enter__(self) -> "StopSwitch":
        for number in SIGNALS:
            # An ignored signal stays ignored: under nohup a search outlives its terminal.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = before = signal.signal(number, self._on_signal)
                self._signalled |= isinstance(before, _Ending) and before.asked
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True


class _Ending:
    """A handler that ends a program as Ctrl-C does, and remembers that it was called.

    Python drops an exception that is raised while it removes an object; a Ctrl-C at that moment would be
    lost.
    """

    asked = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        raise KeyboardInterrupt


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """Make every signal that ends a program end it as Ctrl-C does, within this context: files are closed.

    A signal that is ignored, as under nohup, stays ignored. A `StopSwitch` that is entered within it knows
    of a signal that came before but did not end the program.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handler, shows_dropped = _Ending(), sys.unraisablehook
    ending = [
        number
        for number, old in before.items()
        if old in {signal.SIG_DFL, signal.default_int_handler}
    ]

    def show(dropped: "sys.UnraisableHookArgs") -> None:
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            shows_dropped(dropped)

    for number in ending:
        signal.signal(number, handler)
    sys.unraisablehook = show
    try:
        yield
    finally:
        sys.unraisablehook = shows_dropped
        for number in ending:
            signal.signal(number, before[number])


@contextmanager
def signals_wait() -> Iterator[None]:
    """Defer signals within this context, which must be short; one that came is a Ctrl-C at its end.

    Raises:
        KeyboardInterrupt: A signal came.
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    waiting = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in waiting:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number in waiting:
            signal.signal(number, before[number])
    if came:
        raise KeyboardInterrupt


StopRequested = Callable[[], bool]

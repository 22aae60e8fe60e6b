"""How a search is asked to stop: Ctrl-C, a signal, or `cifar-search stop` from elsewhere."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["SIGNALS", "StopSwitch", "ending_like_ctrl_c"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSwitch:
    """Says whether to stop. Within its context the first signal asks for it, the second insists.

    Args:
        request: A file whose presence asks to stop.

    Raises:
        KeyboardInterrupt: At the second signal, wherever the program is; what is saved stays saved.
    """

    def __init__(self, request: Path) -> None:
        self._request = request
        self._signalled = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether somebody has asked to stop."""
        return self._signalled or self._request.exists()

    def __enter__(self) -> "StopSwitch":
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """Within this context every signal that ends a program does so as Ctrl-C: what is open is closed.

    A signal that is ignored, as under nohup, stays ignored.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ending = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in ending:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)

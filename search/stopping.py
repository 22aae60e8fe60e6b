"""How a search is asked to stop: Ctrl-C, a signal, or `cifar-search stop` from elsewhere."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["SIGNALS", "StopSwitch"]

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

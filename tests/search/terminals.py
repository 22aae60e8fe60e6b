"""Pseudo-terminals: a command that believes it talks to a person."""

import fcntl
import os
import pty
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.search.running import Running, begin

__all__ = ["CTRL_C", "Terminal", "in_terminal"]

CTRL_C = b"\x03"


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

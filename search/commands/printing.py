"""The console that commands print tables and pages on."""

import sys

from rich.console import Console

__all__ = ["page_console"]

WIDTH_OF_A_FILE = 160


def page_console() -> Console:
    """A console as wide as the terminal; in a pipe or a file there is no reason to cut at 80 columns."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)

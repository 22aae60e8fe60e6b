"""The console for tables and pages."""

import sys

from rich.console import Console

__all__ = ["page_console"]

WIDTH_OF_A_FILE = 160


def page_console() -> Console:
    """Return a console as wide as the terminal; a pipe or a file needs no cut at 80 columns."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)

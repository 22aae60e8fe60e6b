"""A search as it runs, redrawn in place in the terminal."""

import threading
import time

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from search.events import BoundsFound, Event, Notice
from search.formatting import bounds_line, one_line
from search.views.live_page import draw
from search.views.plain import PlainView
from search.views.progress import Clock, Progress

__all__ = ["LiveView", "view_for"]

REDRAWS_PER_SECOND = 4


class LiveView:
    """Draws a search while it runs; an observer of it and a context manager.

    Args:
        console: The terminal.
        clock: Seconds, from any start.

    Attributes:
        progress: How far the search is.
    """

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self.progress = Progress(clock)
        self._console = console
        # Live redraws from a thread of its own, events come from the search's.
        self._lock = threading.RLock()
        self._over = False
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=REDRAWS_PER_SECOND
        )

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in what has happened; the next redraw shows it."""
        with self._lock:
            self.progress.handle(event)
        # Printing takes locks of rich's own, so ours must be free by now.
        match event:
            case Notice(text):
                self._console.print(Text.assemble(("note: ", "yellow"), one_line(text)))
            case BoundsFound():
                self._console.print(Text(bounds_line(event)))

    def render(self) -> RenderableType:
        """The view as it stands; it does not change with later events."""
        size = self._console.size
        with self._lock:
            return draw(self.progress, size.width, size.height, hints=not self._over)


def view_for(console: Console, plain: bool, clock: Clock = time.monotonic) -> LiveView | PlainView:
    """The live view where the console can redraw and `plain` is not wanted, else plain lines."""
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainView(console.file, clock)
    return LiveView(console, clock)

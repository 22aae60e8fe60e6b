"""A live view of a running search, redrawn in place in the terminal."""

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
    """Draws a search while it runs; an observer and a context manager.

    Args:
        console: The terminal.
        clock: Returns seconds, from any origin.

    Attributes:
        progress: The progress of the search.
    """

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self.progress = Progress(clock)
        self._console = console
        # Live redraws from its own thread, while events come from that of the search.
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
        """Handle an event; the next redraw shows it."""
        with self._lock:
            self.progress.handle(event)
        # Printing takes locks of rich, so ours must be released by now.
        match event:
            case Notice(text):
                self._console.print(Text.assemble(("note: ", "yellow"), one_line(text)))
            case BoundsFound():
                self._console.print(Text(bounds_line(event)))

    def render(self) -> RenderableType:
        """Return the current view; later events do not change it."""
        size = self._console.size
        with self._lock:
            ascii_only = "utf" not in self._console.encoding.lower()
            return draw(
                self.progress, size.width, size.height, hints=not self._over, ascii_only=ascii_only
            )


def view_for(console: Console, plain: bool, clock: Clock = time.monotonic) -> LiveView | PlainView:
    """Return a live view if the console can redraw and `plain` is False, else a plain view."""
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainView(console.file, clock)
    return LiveView(console, clock)

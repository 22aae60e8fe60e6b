"""A tracker that works in the background: whatever it does, the search goes on as if it were not there."""

import re
import threading
from collections.abc import Callable
from queue import SimpleQueue

from cifar_core.text_files import first_line
from search.events import Event
from search.formatting import cut
from search.tracking.follower import Follower

__all__ = ["BackgroundTracker"]


REASON_WIDTH = 200


class BackgroundTracker:
    """Hands events to a tracker in a thread, and drops the tracker with its first error.

    Args:
        name: The tracker's name.
        follower: Returns what handles the events; called in the thread, as libraries load slowly.
    """

    def __init__(self, name: str, follower: Callable[[], Follower]) -> None:
        self._name = name
        self._make = follower
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._problem: str | None = None
        self._dropped = False
        # A daemon: a server that does not answer must not keep a finished search from ending.
        self._thread = threading.Thread(target=self._work, name=f"{name} tracker", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Put an event into the tracker's queue, which takes no time."""
        if not self._dropped:
            self._events.put(event)

    def problem(self) -> str | None:
        """Return why the tracker was dropped, the first time that this is asked after it was."""
        problem, self._problem = self._problem, None
        return problem

    def close(self, seconds: float) -> None:
        """Let the tracker finish.

        Args:
            seconds: The longest time that it gets for that.
        """
        self._events.put(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._drop(
                f"it has not finished within {seconds:.0f} seconds, so its last figures may be missing"
            )

    def _work(self) -> None:
        try:
            follower = self._make()
            while (event := self._events.get()) is not None:
                follower(event)
            follower.close()
        # Libraries raise errors of many kinds, and even SystemExit; none of them may end a search.
        except BaseException as error:
            # A server's URL, from an option or a variable, may have a password.
            reason = re.sub(r"//\S*@", "//***@", first_line(error))
            self._drop(cut(reason.rstrip("."), REASON_WIDTH))

    def _drop(self, reason: str) -> None:
        self._dropped = True
        self._problem = (
            f"{self._name} is told no more of this search: {reason}. "
            "The search goes on, and its study has everything."
        )

"""The events of searches as lines of JSON, which another process reads while they are written.

A line has the event's time as ``t``, in seconds, its class as ``kind``, and its fields. What comes from a
file is checked as records, like everything from outside.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import IO, Any, get_args

from pydantic import TypeAdapter

from search.events import Event, SearchStarted, TrialEnded, TrialPaused
from search.study.rows import TrialRow

__all__ = ["EventReader", "EventWriter", "event_of", "line_of"]

Clock = Callable[[], float]
_TIME = TypeAdapter(float)
KINDS = {kind.__name__: kind for kind in get_args(Event)}


def line_of(event: Event, t: float) -> str:
    """Return an event as a line of JSON, without its end.

    Args:
        event: The event. Of its trials, recipes and epochs are left out: the study has them.
        t: Its time in seconds, from any origin.
    """
    match event:
        case TrialEnded(row) | TrialPaused(row):
            event = replace(event, row=_short(row))
        case SearchStarted(rows=rows):
            event = replace(event, rows=tuple(map(_short, rows)))
    kind = type(event).__name__
    # In Python's form of JSON: a loss may be no number.
    content = _adapter(kind).dump_python(event, mode="json")
    return json.dumps({"t": round(t, 2), "kind": kind, **content})


def event_of(line: str) -> tuple[float, Event]:
    """Return time and event of a line.

    Raises:
        ValueError: It is no event.
    """
    found = json.loads(line)
    if not isinstance(found, dict) or found.get("kind") not in KINDS:
        raise ValueError(f"This line is no event of a search: {line[:80]}")
    t = _TIME.validate_python(found.pop("t", None))
    event: Event = _adapter(found.pop("kind")).validate_python(found)
    return t, event


class EventWriter:
    """Writes each event with the time of day, in seconds since 1970; an observer.

    Args:
        file: Where to.
        clock: Returns the time.
    """

    def __init__(self, file: IO[str], clock: Clock = time.time) -> None:
        self._file = file
        self._clock = clock

    def __call__(self, event: Event) -> None:
        """Write an event.

        Raises:
            OSError: It cannot be written.
        """
        self._file.write(f"{line_of(event, self._clock())}\n")
        self._file.flush()


class EventReader:
    """Reads events while they are written.

    Args:
        file: A file of an `EventWriter`.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._rest = ""

    def news(self) -> Iterator[tuple[float, Event]]:
        """Yield times and events that came since the last call; what is no event is left out."""
        # The last line may be half written.
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            with suppress(ValueError):
                yield event_of(line)


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[kind])


def _short(row: TrialRow) -> TrialRow:
    return replace(row, recipe=None, history=(), scores={})

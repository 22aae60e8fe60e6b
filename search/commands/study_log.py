"""The log of a study: what is said of its searches, with date and time, kept beside its files."""

import os
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from rich.console import Console, RenderableType

from search.event_log import EventWriter
from search.events import Event, Notice, Observer, SessionStarted
from search.home import EVENTS, StudyFolder
from search.views.followed import Followed
from search.views.plain import PlainView

__all__ = ["StudyLog", "following", "is_being_written"]

WIDTH = 100


def date_and_time() -> str:
    """Return the date and time of now, to the second."""
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")


class StudyLog:
    """Appends what happens to the log of the study, once it is known; an observer and a context manager.

    Beside the words it keeps the events themselves, by which other processes show the progress. A log that
    cannot be written never ends a search.

    Attributes:
        study: The study's name; empty before the search has its study.
        path: The file; None before the search has its study, or if the file cannot be written.
        problem: Why it cannot be written, in a sentence; None if it can.
    """

    def __init__(self) -> None:
        self.study = ""
        self.path: Path | None = None
        self.problem: str | None = None
        self._files = ExitStack()
        self._file: IO[str] | None = None
        self._observers: list[Observer] = []

    def __enter__(self) -> "StudyLog":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._files.close()

    def __call__(self, event: Event) -> None:
        """Handle an event."""
        if isinstance(event, SessionStarted):
            self._open(event)
        for observe in self._observers:
            with suppress(OSError, ValueError):  # an event that JSON cannot hold is a ValueError
                observe(event)

    def say(self, text: str) -> None:
        """Write a line that is no event's."""
        self(Notice(text))

    def end_with(self, words: RenderableType) -> None:
        """Write the closing words of a search."""
        if self._file is not None:
            console = Console(file=self._file, width=WIDTH, highlight=False, color_system=None)
            with suppress(OSError):
                console.print(words, crop=False)
                self._file.flush()

    def _open(self, event: SessionStarted) -> None:
        self.study = event.study
        try:
            self._file = self._opened(event.log)
            events = self._opened(event.log.with_name(EVENTS))
        except OSError as error:
            self.problem = f"There is no log of this search: {event.log}: {error.strerror}."
            return
        self.path = event.log
        self._observers = [PlainView(self._file, stamp=date_and_time), EventWriter(events)]
        self.say(f"study {event.study} is run by process {os.getpid()}")

    def _opened(self, path: Path) -> IO[str]:
        file = self._files.enter_context(path.open("a", encoding="utf-8"))
        _lock(file, "LOCK_SH")
        return file


def following(folder: StudyFolder, stack: ExitStack) -> Followed | None:
    """Follow the search that writes a study's events now; None if none does, or they cannot be read.

    Args:
        folder: The study's files.
        stack: Closes the file.
    """
    try:
        file = stack.enter_context(folder.events.open(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return Followed(file) if is_being_written(file) else None


def is_being_written(log: IO[str]) -> bool:
    """Return whether a `StudyLog` has this file open, which it has for longer than the study is held."""
    return not _lock(log, "LOCK_EX")


def _lock(file: IO[str], kind: str) -> bool:
    """Lock a file until it is closed; return False if another process has a lock that does not allow it."""
    try:
        import fcntl  # which Windows does not have
    except ImportError:
        return True
    try:
        fcntl.flock(file, getattr(fcntl, kind) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    if kind == "LOCK_EX":
        fcntl.flock(file, fcntl.LOCK_UN)
    return True

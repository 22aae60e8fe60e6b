"""Measure how well the time left that a running search shows comes true, on recorded searches.

    python -m bench.time_left                                     # the searches in bench/recorded/searches
    python -m bench.time_left --record NAME SPACE KEY=VALUE ...   # another, with options of `run_search`

A recording has every event of a search with its time, as the live view gets them. It is replayed through
the very code that estimates there, on the recorded clock: each second from a fifth of the run on, the
middle of the range that would be shown is compared with the time that was left in truth.
"""

import argparse
import gzip
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.columns import in_columns
from search.event_log import event_of, line_of
from search.events import Event
from search.views.progress import Progress

FOLDER = Path(__file__).with_name("recorded") / "searches"
FROM, WITHIN = 0.2, 0.25
SECONDS_BETWEEN_LOOKS = 1.0
PERCENT = 0.01
ROUNDED = 10.0
"""Seconds by which an estimate may be off in any case: it is shown in tens of seconds."""


@dataclass(frozen=True)
class Recording:
    """A recorded search.

    Attributes:
        name: Its name.
        seconds: Its length.
        events: Its events with their times, in seconds from its start.
    """

    name: str
    seconds: float
    events: list[tuple[float, Event]]


@dataclass(frozen=True)
class Score:
    """The share of a recording's estimates that came true.

    Attributes:
        looks: Moments at which there was a look.
        unknown: Moments of these without an estimate.
        close: Moments at which it lay within a quarter of the truth, or within ten seconds.
        strictly: Moments at which it lay within a quarter.
        ahead: Moments at which the bar stood above what was done.
    """

    looks: int
    unknown: int
    close: int
    strictly: int
    ahead: int


def read(path: Path) -> Recording:
    """Read a recording."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        head, *lines = file
    name, seconds = path.name.partition(".")[0], json.loads(head)["seconds"]
    return Recording(name, seconds, [event_of(one) for one in lines])


def replayed(recording: Recording) -> Iterator[tuple[float, Progress]]:
    """Yield the progress at each look, with the recorded time."""
    now = 0.0
    progress = Progress(lambda: now)
    waiting = list(recording.events)
    while now < recording.seconds:
        while waiting and waiting[0][0] <= now:
            look, (now, event) = now, waiting.pop(0)
            progress.handle(event)
            now = look
        yield now, progress
        now += SECONDS_BETWEEN_LOOKS


def score(recording: Recording) -> Score:
    """Compare what was shown with what came."""
    *_, (_, last) = replayed(recording)
    trained = last.epochs_done
    looks = unknown = close = strictly = ahead = 0
    for now, progress in replayed(recording):
        if now < FROM * recording.seconds:
            continue
        looks += 1
        truth, left = recording.seconds - now, progress.time_left
        planned, seen = progress.planned_epochs, progress.epochs_done
        if planned is not None and progress.confirming is None:
            ahead += min(seen, planned) / planned > seen / max(1, trained) + PERCENT
        if left is None:
            unknown += 1
            continue
        off = abs(sum(left) / 2 - truth)
        strictly += off <= WITHIN * truth
        close += off <= max(WITHIN * truth, ROUNDED)
    return Score(looks, unknown, close, strictly, ahead)


def record(name: str, space: str, home: Path, options: dict[str, Any]) -> Path:
    """Run a search, and record its events.

    Args:
        name: Of the recording, and of the study.
        space: The space.
        home: The home of the search.
        options: Those of `search.run_search`.
    """
    import search

    began, lines = time.monotonic(), list[str]()

    def tell(event: Event) -> None:
        lines.append(line_of(event, time.monotonic() - began))

    search.run_search(space, study=name, home=home, tell=tell, **options)
    seconds = round(time.monotonic() - began, 2)
    head = {"options": {"space": space, **options}, "seconds": seconds, "load": os.getloadavg()}
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{one}\n" for one in (json.dumps(head), *lines))
    return path


def main() -> None:
    """Replay all recordings and print a table, or record a search."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", nargs="+", metavar="WORD", help="NAME SPACE KEY=VALUE ...")
    parser.add_argument("--home", type=Path, default=Path("runs"), help="home of what is recorded")
    given = parser.parse_args()
    if given.record:
        name, space, *words = given.record
        pairs = (word.partition("=") for word in words)
        options = {key: int(text) if text.isdecimal() else text for key, _, text in pairs}
        print(record(name, space, given.home, options))
        return
    rows = []
    for recording in map(read, sorted(FOLDER.glob("*.jsonl.gz"))):
        found = score(recording)
        shares = [one / found.looks for one in (found.close, found.strictly, found.unknown)]
        rows.append(
            [recording.name, f"{recording.seconds:.0f} s", *(f"{one:.0%}" for one in shares)]
        )
        rows[-1].append(str(found.ahead))
    headings = ["search", "length", "within 25 % or 10 s", "within 25 %", "unknown", "bar ahead"]
    print(in_columns(headings, rows))


if __name__ == "__main__":
    main()

"""Write the README's picture of the terminal and its table of results, from a search that has ended.

    python -m bench.readme STUDY --home DIR               # or: make readme STUDY=... RUNS=DIR
    python -m bench.readme STUDY --home DIR --recording bench/recorded/searches/NAME.jsonl.gz

Nothing is searched again: the events that a search keeps beside its log, or a recording of
`bench.time_left`, are replayed through the live view's own code up to a share of its trials' epochs, and
the table is read from the study. The picture goes to docs/terminal.svg, the table to standard output.
"""

import argparse
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from cifar_core.files import write_atomically
from search.event_log import event_of
from search.events import Event, SearchStarted, SessionStarted
from search.formatting import percent
from search.home import Home
from search.results.reader import StudyReader
from search.results.summary import Summary
from search.views.live_page import draw
from search.views.progress import Progress

SHARE = 0.6
WIDTH, HEIGHT = 100, 26
PICTURE = Path("docs/terminal.svg")
Timed = tuple[float, Event]


def events_of(path: Path) -> list[Timed]:
    """Read events with their times in seconds: of a recording, or of a study's first session."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        found = list[Timed]()
        for line in file:
            with suppress(ValueError):  # the head of a recording is no event
                found.append(event_of(line))
    starts = [index for index, (_, one) in enumerate(found) if isinstance(one, SessionStarted)]
    return found[: starts[1]] if len(starts) > 1 else found


def progress_at(events: Sequence[Timed], share: float) -> Progress:
    """Return the progress as it was when so much of the search was done.

    Args:
        events: Its events.
        share: Of the epochs of all its trials, 0 to 1.
    """
    *_, last = _replayed(events)
    wanted = share * last.epochs_done
    at_share = (
        one for one in _replayed(events) if one.search is not None and one.epochs_done >= wanted
    )
    return next(at_share)


def _replayed(events: Sequence[Timed]) -> Iterator[Progress]:
    """Yield the progress after each event, at the event's time."""
    now = events[0][0]
    progress = Progress(lambda: now)
    for t, event in events:
        now = t
        progress.handle(event)
        yield progress


def picture_of(progress: Progress) -> str:
    """Return the live view as SVG."""
    console = Console(
        record=True, width=WIDTH, height=HEIGHT, file=io.StringIO(), force_terminal=True
    )
    console.print(draw(progress, WIDTH, HEIGHT))
    return console.export_svg(title="cifar-search start", unique_id="terminal")


def table_of(summary: Summary) -> str:
    """Return the results as Markdown: who was confirmed, the winner first, and the other references."""
    headings = (
        f"validation accuracy after {summary.settings.space.epochs} epochs",
        "score in the search, one training",
        "confirmed, fresh seeds and images, 95 % intervals",
    )
    return "\n".join(
        (
            f"| {' | '.join(headings)} |",
            "|---|---|---|",
            *(f"| {' | '.join(cells)} |" for cells in _rows(summary)),
        )
    )


def _rows(summary: Summary) -> Iterator[tuple[str, str, str]]:
    found, best = summary.confirmation, summary.best
    confirmed = set[int]()
    for one in () if found is None else found.ranking:
        who = one.contender
        confirmed.add(who.trial)
        name = who.name
        if found is not None and who.trial == found.winner:
            name = f"**{name}**, the winner"
        if best is not None and who.trial == best.number:
            name += ", the best score of the search"
        seeds = f"{one.seeds} seed{'s' if one.seeds > 1 else ''}"
        mean = f"{100 * one.mean:.1f} +- {100 * one.half_width:.1f} %, {seeds}"
        yield name, percent(who.search_accuracy), mean
    for row in summary.references:
        if row.number not in confirmed:
            yield row.label or f"trial {row.number}", percent(row.validation_accuracy), "-"


def main() -> None:
    """Write the picture, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="?", help="the study; default: the newest")
    parser.add_argument("--home", type=Path, default=Path("runs"), help="its home")
    parser.add_argument("--recording", type=Path, help="events from here instead of the study's")
    parser.add_argument("--out", type=Path, default=PICTURE, help=f"picture; default: {PICTURE}")
    parser.add_argument("--share", type=float, default=SHARE, help=f"default: {SHARE}")
    given = parser.parse_args()
    reader = StudyReader(Home(given.home), None, given.study)
    path = given.recording or reader.folder().events
    if not path.is_file():
        parser.error(f"There are no events in {path}: name a recording with --recording.")
    events = events_of(path)
    if not any(isinstance(event, SearchStarted) for _, event in events):
        parser.error(f"There is no search in {path}: name a recording with --recording.")
    write_atomically(given.out, picture_of(progress_at(events, given.share)).encode())
    print(table_of(reader.look()))


if __name__ == "__main__":
    main()

"""A search that another process runs has the progress that its own view has."""

import io
from pathlib import Path

from rich.console import Console

from search.event_log import EventWriter
from search.events import BoundsFound, Event, SessionStarted, SweepsProgress
from search.views.followed import Followed
from search.views.progress import Progress
from search.views.stage import progress_lines, progress_to_dict
from tests.search.script import HandClock, begins, ends, epoch, started

COURSE: list[Event] = [
    SessionStarted("mine", Path("search.log")),
    *(SweepsProgress(done, 4, done / 4, 2.0) for done in range(5)),
    BoundsFound("sgd", 0.01, 0.1, "measured"),
    started(trials=4),
    *(event for n in range(3) for event in (begins(n), epoch(n, 3), epoch(n, 6), ends(n))),
]


def test_it_has_stage_and_time_left_of_the_live_view_at_every_event() -> None:
    clock, file = HandClock(), io.StringIO()
    write, own = EventWriter(file, clock), Progress(clock)
    followed = Followed(io.StringIO(), clock)
    assert followed.look() is None
    estimates = 0
    for event in COURSE:
        own.handle(event)
        write(event)
        clock.now += 10.0
        # Read late, and from the beginning, as `status` does.
        found = Followed(io.StringIO(file.getvalue()), clock).look()
        assert found is not None
        assert progress_to_dict(found) == progress_to_dict(own)
        estimates += own.time_left is not None
    assert estimates > 3


def test_a_new_session_begins_anew() -> None:
    clock, file = HandClock(), io.StringIO()
    write = EventWriter(file, clock)
    for event in (*COURSE, COURSE[0]):
        write(event)
        clock.now += 10.0
    found = Followed(io.StringIO(file.getvalue()), clock).look()
    assert found is not None
    assert progress_to_dict(found) == {
        **dict.fromkeys(("stage", "done", "total", "unit", "seconds_left")),
        "seconds": 10.0,
    }


def test_the_lines_of_a_page_have_stage_share_and_times() -> None:
    clock = HandClock()
    progress = Progress(clock)
    console = Console(width=60, file=io.StringIO())

    def lines() -> list[str]:
        with console.capture() as capture:
            for part in progress_lines(progress):
                console.print(part)
        return capture.get().splitlines()

    assert lines() == ["preparing: 0 s elapsed"]
    for event in COURSE:
        progress.handle(event)
        clock.now += 10.0
    first, second = lines()
    assert first.startswith("search: 3 min 20 s elapsed, about ")
    assert first.endswith(" left")
    assert second.endswith("  3/4 trials")
    assert len(second) == 60

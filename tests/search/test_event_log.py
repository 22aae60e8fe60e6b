"""Events as lines of a file: they come back as they were, whatever else is in it."""

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from search.confirmation.conclusion import conclude
from search.event_log import EventReader, EventWriter, event_of, line_of
from search.events import (
    BoundsFound,
    ConfirmationEnded,
    ConfirmationEpoch,
    ConfirmationStarted,
    ConfirmationTrained,
    Event,
    Notice,
    SessionStarted,
    Stopping,
    SweepCurve,
    SweepsProgress,
)
from tests.search.confirmation.made_up import contender, plan, runs
from tests.search.script import begins, ends, epoch, pauses, row, started

ONE = contender(4)
PLAN, RUNS = plan(ONE), runs(ONE, [0.5, 0.52])
FOUND = conclude(PLAN, RUNS)
assert FOUND is not None
EVERY: list[Event] = [
    Notice('a "note"\nin \x1b[31mtwo lines'),
    SessionStarted("mine", Path("runs/search.log")),
    SweepsProgress(1, 4, 0.3, 2.5),
    SweepCurve(1, "adam", (0.1, 0.2), (2.3,)),
    BoundsFound("sgd", 0.01, 0.1, "measured"),
    started(row(0, known="base"), timeout=60.0),
    begins(1, label="known"),
    epoch(1, 2),
    ends(2, "pruned", 0.25, 2, reason="stopped early"),
    pauses(3),
    ConfirmationStarted("mine", PLAN, 0, 8, 60.0, None, None),
    ConfirmationEpoch(ONE, 1, 2),
    ConfirmationTrained(RUNS[0], FOUND),
    ConfirmationEnded(FOUND),
    Stopping("enough"),
]


def test_every_kind_of_event_is_here() -> None:
    assert {type(one) for one in EVERY} == set(get_args(Event))


@pytest.mark.parametrize("event", EVERY, ids=lambda one: type(one).__name__)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    line = line_of(event, 12.345)
    assert len(line.splitlines()) == 1
    assert event_of(line) == (12.35, event) or event_of(line) == (12.34, event)


def test_a_loss_that_is_no_number_comes_back() -> None:
    event = epoch(1, 2)
    _, found = event_of(line_of(replace(event, epoch=replace(event.epoch, train_loss=math.nan)), 0))
    assert math.isnan(found.epoch.train_loss)  # type: ignore[union-attr]


def test_what_the_study_has_itself_is_left_out() -> None:
    whole = replace(row(0), recipe={"epochs": 6}, history=({"lr": 1.0},), scores={1: 0.5})
    for event in (started(whole), replace(ends(0), row=whole)):
        assert "history" in line_of(event, 0.0)
        assert event_of(line_of(event, 0.0))[1] == (
            started(row(0)) if hasattr(event, "rows") else ends(0)
        )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{",
        '{"t": 1.0, "kind": "Path"}',
        '{"kind": "Notice", "text": "when?"}',
        '{"t": 1.0, "kind": "SweepsProgress", "done": "x", "total": 2}',
    ],
)
def test_what_is_no_event_is_left_out(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        event_of(line)
    file = io.StringIO(f"{line}\n{line_of(Notice('a'), 1.0)}\n")
    assert list(EventReader(file).news()) == [(1.0, Notice("a"))]


def test_events_are_read_while_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "events"
    news: list[list[Any]] = []
    with path.open("w") as written, path.open() as read:
        write, reader = EventWriter(written, clock=lambda: 7.0), EventReader(read)
        for text in ("a", "b"):
            write(Notice(text))
            news.append(list(reader.news()))
        line = f"{line_of(Notice('c'), 8.0)}\n"
        for half in (line[:20], line[20:]):
            written.write(half)
            written.flush()
            news.append(list(reader.news()))
    assert news == [[(7.0, Notice("a"))], [(7.0, Notice("b"))], [], [(8.0, Notice("c"))]]

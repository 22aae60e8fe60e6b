"""The README's picture and table come from what a search has left."""

from dataclasses import replace
from pathlib import Path

from bench.readme import events_of, picture_of, progress_at, table_of
from bench.time_left import FOLDER
from search.confirmation.conclusion import conclude
from search.event_log import line_of
from search.events import Event, SessionStarted
from tests.search.confirmation.made_up import contender, plan, runs
from tests.search.report.records import summary, trial
from tests.search.script import begins, ends, started


def test_the_picture_shows_a_recorded_search_at_the_share_that_is_wanted() -> None:
    events = events_of(FOLDER / "plain-2workers.jsonl.gz")
    progress = progress_at(events, 0.6)
    planned = progress.planned_epochs
    assert planned is not None
    assert 0.55 < progress.epochs_done / progress_at(events, 1.0).epochs_done < 0.65
    picture = picture_of(progress)
    assert picture.startswith("<svg")
    assert f"{progress.epochs_done}/{planned}&#160;epochs" in picture
    assert "elapsed" in picture


def test_of_several_sessions_the_first_is_shown(tmp_path: Path) -> None:
    first: list[Event] = [SessionStarted("mine", tmp_path), started(), begins(0), ends(0)]
    path = tmp_path / "events.jsonl"
    lines = [
        line_of(one, float(t)) for t, one in enumerate([*first, *first[:1], started(trials=9)])
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    assert [event for _, event in events_of(path)] == first


def test_the_table_has_who_was_confirmed_and_the_other_references() -> None:
    one, other = contender(1, score=0.62), contender(0, "reference", score=0.58)
    found = conclude(plan(one, other), [*runs(one, [0.6, 0.61]), *runs(other, [0.5, 0.5])])
    rows = [trial(0, 0.58, known="reference Net4"), trial(1, 0.62), trial(2, 0.2, known="base")]
    lines = table_of(replace(summary(rows), confirmation=found)).splitlines()
    assert lines[0].startswith("| validation accuracy after 4 epochs | score in the search")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells[0][:2] == ["**trial 1**, the winner, the best score of the search", "62.0 %"]
    assert cells[0][2].startswith("60.5 +- ")
    assert cells[0][2].endswith(" %, 2 seeds")
    assert cells[1][:2] == ["reference Net4", "58.0 %"]
    assert cells[2] == ["base", "20.0 %", "-"]

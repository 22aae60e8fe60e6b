"""When no more trials are begun, and what the last hour has brought."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from search.events import Event, Notice
from search.home import StudyFolder
from search.results.summary import RecentGain, recent_gain
from search.study.budget import trials_in_all
from search.study.rows import State, TrialRow
from search.study.study import SearchStudy
from search.workers.messages import Remark, WorkerMessage
from tests.search.script import row
from tests.search.scripted import (
    Killed,
    ScriptedPool,
    enqueue_known,
    epoch_of,
    folder_in,
    kill_at,
    new_study,
    parameters_of,
    reopened,
    search,
    states_of,
)

PATIENCE = 5
NOON = datetime.fromisoformat("2026-05-01T12:00")


def in_order(*scores: float | tuple[float, ...]) -> Callable[[Recipe, int], Epoch]:
    """The first trial comes to the first score, and so on, or to one of an epoch's; all others to 0.1."""
    seen: list[str] = []

    def epoch(recipe: Recipe, number: int) -> Epoch:
        if recipe.digest not in seen:
            seen.append(recipe.digest)
        score = dict(enumerate(scores)).get(seen.index(recipe.digest), 0.1)
        accuracy = score[number - 1] if isinstance(score, tuple) else score
        return replace(epoch_of(recipe, number), validation_accuracy=accuracy)

    return epoch


def notices(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize(
    ("total", "patience", "best", "expected"),
    [
        (40, None, 3, 40),
        (40, 5, None, 40),
        (40, 5, 0, 6),
        (40, 5, 30, 36),
        (40, 5, 36, 40),
        (3, 5, 0, 3),
    ],
)
def test_so_many_trials_may_be_begun(
    total: int, patience: int | None, best: int | None, expected: int
) -> None:
    assert trials_in_all(total, patience, best) == expected


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_more_are_begun_when_the_newest_brought_nothing(
    folder: StudyFolder, workers: int
) -> None:
    study, events = new_study(trials=30, patience=PATIENCE), list[Event]()
    pool = ScriptedPool(workers, epoch=in_order(0.9))
    assert search(study, pool, folder, events=events) == "finished"
    assert states_of(study) == ["complete"] * (1 + PATIENCE)
    assert study.complete
    (words,) = notices(events)
    assert words == (
        "No further trial is started: 5 in a row brought no improvement. "
        "With a higher --patience, cifar-search resume continues."
    )


def test_a_new_best_gives_new_room(folder: StudyFolder) -> None:
    study = new_study(trials=30, patience=PATIENCE)
    search(study, ScriptedPool(epoch=in_order(0.5, 0.1, 0.1, 0.1, 0.6)), folder)
    assert len(study.rows()) == 5 + PATIENCE


def test_one_that_is_as_good_is_nothing_better(folder: StudyFolder) -> None:
    study = new_study(trials=30, patience=PATIENCE)
    search(study, ScriptedPool(epoch=in_order(*[0.5] * 30)), folder)
    assert len(study.rows()) == 1 + PATIENCE


def test_of_equal_ones_the_earlier_counts_though_it_was_done_later(folder: StudyFolder) -> None:
    """As it does for a process that finds both done."""

    def slow(trial: int, epoch: int) -> WorkerMessage | None:
        return Remark("slow") if (trial, epoch) == (0, 1) else None

    study = new_study(trials=30, patience=PATIENCE)
    search(study, ScriptedPool(2, trouble=slow, epoch=in_order(*[0.5] * 30)), folder)
    assert len(study.rows()) == 1 + PATIENCE


@pytest.mark.parametrize("poll", [2, 6, 13, 19])
@pytest.mark.parametrize("pruner", ["none", "promotion"])
def test_a_restart_changes_nothing(tmp_path: Path, poll: int, pruner: str) -> None:
    def fresh() -> SearchStudy:
        return new_study(trials=30, patience=PATIENCE, pruner=pruner)

    alone, study = fresh(), fresh()
    search(alone, ScriptedPool(epoch=in_order(0.3, 0.4)), folder_in(tmp_path / "alone"))
    folder, epoch = folder_in(tmp_path / "killed"), in_order(0.3, 0.4)
    pool = ScriptedPool(epoch=epoch, after=kill_at(poll))
    with pytest.raises(Killed):
        search(study, pool, folder)
    again = ScriptedPool(epoch=epoch, checkpoints=pool.checkpoints)
    assert search(reopened(study), again, folder) == "finished"
    assert parameters_of(study) == parameters_of(alone)
    assert states_of(study) == states_of(alone)
    assert len(study.rows()) < 30


def test_a_higher_patience_goes_on(folder: StudyFolder) -> None:
    study, epoch = new_study(trials=30, patience=PATIENCE), in_order(0.9)
    search(study, ScriptedPool(epoch=epoch), folder)
    more = reopened(study, patience=PATIENCE + 3)
    assert not more.complete
    search(more, ScriptedPool(epoch=epoch), folder)
    assert len(more.rows()) == 1 + PATIENCE + 3


@pytest.mark.parametrize(("last", "trials"), [(0.6, 11), (0.4, 10)])
def test_a_trial_that_waited_and_turns_out_best_gives_room(
    folder: StudyFolder, last: float, trials: int
) -> None:
    """Of the first eight trial 1 goes on. Trial 2, and those like it, wait until no more are begun."""
    scores = [(0.3, 0.1, 0.1, 0.1), (0.5, 0.5, 0.5, 0.5), (0.45, 0.5, 0.55, last)]
    study = new_study(trials=30, patience=8, pruner="promotion")
    assert search(study, ScriptedPool(epoch=in_order(*scores)), folder) == "finished"
    assert len(study.rows()) == trials
    assert states_of(study)[1:3] == ["complete", "complete"]
    assert {row.state for row in study.rows()} == {"complete", "pruned"}


def test_what_was_enqueued_is_begun_whatever_the_patience(folder: StudyFolder) -> None:
    study = new_study(trials=12, patience=1)
    for channels in range(2, 8):
        study.optuna.enqueue_trial({"channels1": channels})
    assert search(study, ScriptedPool(epoch=in_order(0.5)), folder) == "finished"
    assert states_of(study) == ["complete"] * 6
    assert reopened(study).complete


def test_there_are_never_more_trials_than_the_total(folder: StudyFolder) -> None:
    study, events = new_study(trials=4, patience=10), list[Event]()
    search(study, ScriptedPool(epoch=in_order(0.9)), folder, events=events)
    assert len(study.rows()) == 4
    assert notices(events) == []


def test_known_configurations_count_as_the_others_do(folder: StudyFolder) -> None:
    study = new_study(trials=30, patience=PATIENCE)
    enqueue_known(study)
    search(study, ScriptedPool(epoch=in_order(0.3, 0.9)), folder)
    assert [one.known for one in study.rows()] == [True, True, *[False] * PATIENCE]


def test_before_the_first_complete_trial_there_is_no_limit(folder: StudyFolder) -> None:
    def diverges(recipe: Recipe, number: int) -> Epoch:
        return replace(epoch_of(recipe, number), train_loss=float("nan"))

    study = new_study(trials=8, patience=2)
    search(study, ScriptedPool(epoch=diverges), folder)
    assert states_of(study) == ["pruned"] * 8


# --------------------------------------------------------------------------------- the last hour


def after(minutes: float, accuracy: float, state: State = "complete") -> TrialRow:
    """A trial that ended so long after noon."""
    return replace(row(0, state, accuracy), ended=NOON + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("rows", "gain"),
    [
        ([], None),
        ([after(0, 0.5)], None),
        ([after(0, 0.5), after(59, 0.6)], None),  # younger than an hour
        ([after(0, 0.5), after(60, 0.6)], 0.1),
        ([after(0, 0.5), after(61, 0.4)], 0.0),
        ([after(0, 0.5), after(30, 0.7), after(89, 0.6), after(90, 0.6)], 0.0),
        ([after(0, 0.5), after(31, 0.7), after(90, 0.6)], 0.2),
        ([after(0, 0.9, "pruned"), after(5, 0.5), after(70, 0.9, "pruned")], 0.0),
        ([after(0, 0.5, "pruned"), after(70, 0.9)], None),  # nothing to compare with
        # Stopped for a day: the hour is one of the clock.
        ([after(0, 0.5), after(50, 0.6), after(1440, 0.65), after(1450, 0.7)], 0.1),
        ([after(0, 0.5), after(70, 0.5), row(2, "running", 0.9), row(3, "paused", 0.9)], 0.0),
    ],
)
def test_what_the_last_hour_brought(rows: list[TrialRow], gain: float | None) -> None:
    found = recent_gain(rows)
    if gain is None:
        assert found is None
    else:
        assert found is not None
        assert found.gain == pytest.approx(gain)
        assert found.seconds == 3600.0


def test_another_stretch_than_an_hour() -> None:
    rows = [after(0, 0.5), after(10, 0.75)]
    assert recent_gain(rows, seconds=600.0) == RecentGain(600.0, 0.25)
    assert recent_gain(rows, seconds=601.0) is None

"""A session names the trials that start again."""

from pathlib import Path

import pytest

from search.events import Event, Notice
from search.service.known_configurations import enqueue_known
from search.service.session import _say_what_is_cut, _say_what_starts_again
from search.study import attributes
from search.study.trial_states import pause
from tests.search.scripted import DATA, folder_in, new_study, reopened


@pytest.mark.parametrize(
    ("known", "labels"), [("on", ["base", "best", "LR-range test, sgd"]), ("off", [])]
)
def test_known_configurations_come_first_or_not_at_all(known: str, labels: list[str]) -> None:
    study = new_study(known=known)
    bounds = {"parameter": "sgd_lr", "optimizer": "sgd", "low": 0.001, "high": 0.1}
    bounds |= {"suggested": 0.05, "conclusive": True, "how": "measured"}
    study.write(attributes.LR_BOUNDS, [bounds])
    enqueue_known(study, study.settings.space)
    resumed = reopened(study)
    enqueue_known(resumed, resumed.settings.space)
    assert [row.label for row in resumed.rows()] == labels


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({0, 1}, None),
        ({1}, "Trial 0 starts again at epoch 1: this home has no checkpoint of it."),
        (set(), "Trials 0, 1 start again at epoch 1: this home has no checkpoint of them."),
    ],
)
@pytest.mark.parametrize("paused", [False, True])
def test_trials_that_start_again_are_named(
    tmp_path: Path, there: set[int], words: str | None, paused: bool
) -> None:
    study, folder = new_study(), folder_in(tmp_path)
    trials = [study.optuna.ask() for _ in range(2)]
    for trial in trials:
        trial.report(0.5, 1)
    study.optuna.ask()  # it had no epoch to lose
    study.optuna.tell(study.optuna.ask(), 0.5)
    if paused:
        pause(trials[0])
    for number in there:
        folder.checkpoint(number).touch()
    study.optuna.enqueue_trial({})  # nor had this one
    told: list[Event] = []
    _say_what_starts_again(study, folder, told.append)
    assert told == ([] if words is None else [Notice(words)])


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (64, None),
        (63, "batch_size goes up to 64, but there are 63 training images"),
    ],
)
def test_a_batch_size_above_the_training_images_is_said(images: int, words: str | None) -> None:
    study = new_study(data=DATA.model_copy(update={"train": images}))
    told: list[Event] = []
    _say_what_is_cut(study, told.append)
    assert [one.text.partition(":")[0] for one in told if isinstance(one, Notice)] == (
        [] if words is None else [words]
    )

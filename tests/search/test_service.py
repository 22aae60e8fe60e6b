"""What the service says before trials begin."""

from pathlib import Path

import pytest

from search.events import Event, Notice
from search.service import _say_what_begins_anew
from tests.search.scripted import folder_in, new_study


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({0, 1}, None),
        ({1}, "Trial 0 begins again with epoch 1: this home has no checkpoint of it."),
        (set(), "Trials 0, 1 begin again with epoch 1: this home has no checkpoint of them."),
    ],
)
def test_trials_that_begin_again_are_named(
    tmp_path: Path, there: set[int], words: str | None
) -> None:
    study, folder = new_study(), folder_in(tmp_path)
    for _ in range(2):
        study.optuna.ask().report(0.5, 1)
    study.optuna.ask()  # it had no epoch to lose
    study.optuna.tell(study.optuna.ask(), 0.5)
    for number in there:
        folder.checkpoint(number).touch()
    told: list[Event] = []
    _say_what_begins_anew(study, folder, told.append)
    assert told == ([] if words is None else [Notice(words)])

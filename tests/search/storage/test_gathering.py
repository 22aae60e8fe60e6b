"""Gathered writes: done at once before anything relies on them, and refused where others were faster."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import Trial, TrialState
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from search.storage.gathering import GatheringStorage
from search.storage.opening import open_storage
from search.study.gathering import Gathering
from search.study.trial_states import LostTrialError, begin, pause, resume, snapshot


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[GatheringStorage]:
    made = open_storage(f"sqlite:///{tmp_path}/studies.db")
    yield made
    made.remove_session()
    made.engine.dispose()


@pytest.fixture
def study(storage: GatheringStorage) -> optuna.Study:
    return optuna.create_study(storage=storage, study_name="mine")


@pytest.fixture
def other(tmp_path: Path, study: optuna.Study) -> Iterator[optuna.Study]:
    """The study as another process has it."""
    theirs = RDBStorage(f"sqlite:///{tmp_path}/studies.db")
    yield optuna.load_study(study_name=study.study_name, storage=theirs)
    theirs.engine.dispose()


def train(trial: Trial, epoch: int) -> None:
    trial.report(0.1 * epoch, epoch)
    trial.set_user_attr("epochs", [epoch])
    pause(trial)
    resume(trial)


def test_writes_of_many_trials_are_one_transaction_and_are_there_then(
    storage: GatheringStorage, study: optuna.Study, other: optuna.Study
) -> None:
    trials = [study.ask() for _ in range(5)]
    commits: list[int] = []
    event.listen(storage.engine, "commit", lambda _connection: commits.append(1))
    with Gathering(study) as gathering:
        for trial in trials:
            train(trial, 1)
        assert all(not one.intermediate_values for one in other.trials)
        gathering.write()
        assert len(commits) == 1
        there = other.trials
        assert [one.intermediate_values for one in there] == [{1: 0.1}] * 5
        assert [one.user_attrs for one in there] == [{"epochs": [1]}] * 5
        assert {one.state for one in there} == {TrialState.RUNNING}
        trials[0].report(0.2, 2)
        assert study.trials[0].intermediate_values == {1: 0.1, 2: 0.2}  # a read writes first
        pause(trials[0])
    assert other.trials[0].state is TrialState.WAITING  # and so does the end


def test_a_trial_that_others_have_ended_is_named_and_left_as_it_is(
    study: optuna.Study, other: optuna.Study
) -> None:
    ended, mine, taken = (study.ask() for _ in range(3))
    pause(taken)
    with Gathering(study) as gathering:
        other.tell(0, state=TrialState.FAIL)
        other._storage.set_trial_state_values(taken._trial_id, TrialState.RUNNING)
        train(ended, 1)
        train(mine, 1)
        resume(taken)
        gathering.write()
        assert [gathering.has_lost(one) for one in (ended, mine, taken)] == [True, False, True]
        assert not gathering.has_lost(ended), "it is named twice"
    assert other.trials[0].state is TrialState.FAIL
    assert not other.trials[0].intermediate_values
    assert other.trials[1].intermediate_values == {1: 0.1}


@pytest.mark.parametrize("last", [TrialState.RUNNING, TrialState.PRUNED])
def test_what_was_committed_although_its_answer_was_lost_is_neither_lost_nor_done_twice(
    storage: GatheringStorage,
    study: optuna.Study,
    last: TrialState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial, tries = study.ask(), []
    storage.on_outage = tries.append
    write = storage._database.write_gathered

    def lose_the_answer(*args: Any, **options: Any) -> set[int]:
        lost = write(*args, **options)
        if not tries:
            raise OperationalError("COMMIT", {}, Exception("disk I/O error"))
        return lost

    monkeypatch.setattr(storage._database, "write_gathered", lose_the_answer)
    pause(trial)
    with Gathering(study) as gathering:
        resume(trial)
        trial.report(0.5, 1)
        if last is TrialState.PRUNED:
            storage.set_trial_state_values(trial._trial_id, last, [0.5])
        gathering.write()
        assert not gathering.has_lost(trial)
    assert len(tries) == 1
    assert study.trials[0].state is last
    assert study.trials[0].intermediate_values == {1: 0.5}


def test_a_new_trial_is_known_as_one_that_was_read(
    storage: GatheringStorage, study: optuna.Study
) -> None:
    drafts = optuna.create_study()
    draft = drafts.ask()
    draft.suggest_float("lr", 1e-4, 0.1, log=True)
    draft.suggest_categorical("optimizer", ["sgd", "adam"])
    made = begin(study, draft, {"recipe": {"sizes": (1, 2)}, "seed": 3})
    read = Trial(study, made._trial_id)
    assert snapshot(made) == snapshot(read)
    assert vars(made).keys() == vars(read).keys()
    assert made.user_attrs["recipe"] == {"sizes": [1, 2]}
    assert storage.get_trial(made._trial_id).params == draft.params


def test_a_storage_that_does_not_gather_says_at_once_what_is_lost() -> None:
    study = optuna.create_study()
    trial = study.ask()
    pause(trial)
    study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
    with Gathering(study) as gathering, pytest.raises(LostTrialError):
        resume(trial)
    assert not gathering.has_lost(trial)

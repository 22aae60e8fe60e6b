"""Transitions of trials in an Optuna study: started whole, paused, taken up again, given up.

A paused trial is a WAITING one. Optuna has no state of its own for it, and WAITING says what is the case:
nobody trains it, and somebody may. RUNNING would be wrong for hours, and finished trials are final, so
continuing one would need a second record of the same configuration: then neither trials nor epochs could
be counted. Its epochs stay with it, and having some tells it from a configuration that was enqueued and
never started.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from search.study import attributes

__all__ = [
    "LostTrialError",
    "attach",
    "begin",
    "check_unchanged",
    "enqueued_values",
    "enqueued_waiting",
    "forget_deleted",
    "give_up",
    "is_foreign",
    "is_paused",
    "is_queued",
    "pause",
    "resume",
    "snapshot",
    "stored_state",
    "take_up",
    "was_ended_outside",
    "writes",
]


class LostTrialError(Exception):
    """Another process has ended, removed or changed a trial that this process trains.

    Args:
        number: The trial.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"trial {number} was ended or changed by another process")
        self.number = number


@contextmanager
def writes(trial: Trial) -> Iterator[None]:
    """Write into a trial within this context.

    Raises:
        LostTrialError: The trial is not there any more, or not in the state in which this process has it.
    """
    try:
        yield
    except (UpdateFinishedTrialError, KeyError, ValueError) as error:
        # Optuna has several errors for it, and each of them for other causes too.
        state = stored_state(trial)
        if state is snapshot(trial).state and state in {TrialState.RUNNING, TrialState.WAITING}:
            raise
        raise LostTrialError(trial.number) from error


def stored_state(trial: Trial) -> TrialState | None:
    """Return the state that the study has of a trial; None if the trial is not there any more."""
    try:
        return trial.storage.get_trial(trial._trial_id).state  # noqa: SLF001
    except KeyError:
        return None


def check_unchanged(trial: Trial) -> None:
    """Make sure that the study has what this process has written about a running trial.

    Raises:
        LostTrialError: Its state, recipe, seed or scores are others.
    """
    with writes(trial):
        stored = trial.storage.get_trial(trial._trial_id)  # noqa: SLF001
    if _essence(stored) != _essence(snapshot(trial)):
        raise LostTrialError(trial.number)


def _essence(trial: FrozenTrial) -> tuple[Any, ...]:
    notes = trial.user_attrs
    scores = {
        epoch: repr(score) for epoch, score in trial.intermediate_values.items()
    }  # NaN is NaN
    return trial.state, notes.get(attributes.RECIPE), notes.get(attributes.SEED), scores


@runtime_checkable
class CreatesWhole(Protocol):
    """A storage that creates a trial without having to read it then."""

    def create_whole_trial(self, study_id: int, template: FrozenTrial) -> FrozenTrial:
        """Create a trial, and return it as the study has it."""


def begin(study: optuna.Study, draft: Trial, notes: Mapping[str, Any]) -> Trial:
    """Write a drafted trial, with its notes, as a running one: whole, or after a kill not at all."""
    storage, study_id = study._storage, study._study_id  # noqa: SLF001
    drafted = snapshot(draft)
    whole = create_trial(
        state=TrialState.RUNNING,
        params=drafted.params,
        distributions=drafted.distributions,
        user_attrs=json.loads(json.dumps(dict(notes))),  # as it will be read from the study
    )
    # `Study.add_trial` does this but does not return the trial.
    if not isinstance(storage, CreatesWhole):
        return Trial(study, storage.create_new_trial(study_id, whole))
    frozen = storage.create_whole_trial(study_id, whole)
    # All that `Trial.__init__` does, but for reading the trial, which takes as long as writing it.
    trial = Trial.__new__(Trial)
    trial.study, trial.storage, trial._trial_id = study, storage, frozen._trial_id  # noqa: SLF001
    trial._cached_frozen_trial, trial._fixed_params = frozen, {}  # noqa: SLF001
    trial.relative_search_space, trial._relative_params = None, None  # noqa: SLF001
    return trial


def pause(trial: Trial) -> None:
    """Let a running trial wait until it is taken up again."""
    trial.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)  # noqa: SLF001
    _note_state(trial, TrialState.WAITING)


def take_up(study: optuna.Study, number: int) -> Trial:
    """Return a waiting trial, which is running from now on.

    Raises:
        LostTrialError: It does not wait any more.
    """
    storage, study_id = study._storage, study._study_id  # noqa: SLF001
    try:
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
        _run(storage, trial_id, number)
        return Trial(study, trial_id)
    except KeyError as error:
        raise LostTrialError(number) from error


def resume(trial: Trial) -> None:
    """Let a waiting trial run that this process has paused or attached, without reading it once more.

    What its holder knows stays, except for its state; the time of its start is the one before.

    Raises:
        LostTrialError: It does not wait any more.
    """
    _run(trial.storage, trial._trial_id, trial.number)  # noqa: SLF001
    _note_state(trial, TrialState.RUNNING)


def _note_state(trial: Trial, state: TrialState) -> None:
    found = copy.copy(snapshot(trial))
    found.state = state
    trial._cached_frozen_trial = found  # noqa: SLF001


def _run(storage: BaseStorage, trial_id: int, number: int) -> None:
    try:
        taken = storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    except (UpdateFinishedTrialError, KeyError) as error:
        raise LostTrialError(number) from error
    if not taken:
        raise LostTrialError(number)


def give_up(trial: Trial) -> None:
    """End a waiting trial, in one step: at no moment does it seem to be trained."""
    scores = snapshot(trial).intermediate_values
    last = scores[max(scores)]
    trial.storage.set_trial_state_values(trial._trial_id, TrialState.PRUNED, [last])  # noqa: SLF001


def attach(study: optuna.Study, number: int) -> Trial:
    """Return a trial of the study to write into. Optuna has no public way to one that others started.

    Raises:
        LostTrialError: It is not there any more.
    """
    storage, study_id = study._storage, study._study_id  # noqa: SLF001
    try:
        return Trial(study, storage.get_trial_id_from_study_id_trial_number(study_id, number))
    except KeyError as error:
        raise LostTrialError(number) from error


def snapshot(trial: Trial) -> FrozenTrial:
    """Return a trial as its holder knows it, without a look into the study. To be read only.

    It is as it was when it was started, attached or taken up, with all that was written through `trial`
    since, which is everything where one process writes; only its end is not there.
    """
    return trial._cached_frozen_trial  # noqa: SLF001


def enqueued_values(trial: FrozenTrial) -> dict[str, Any]:
    """Return the parameters that an enqueued trial is to have; of any other trial those that it has."""
    fixed: dict[str, Any] = trial.system_attrs.get("fixed_params", trial.params)
    return fixed


@runtime_checkable
class KnowsEnqueued(Protocol):
    """A storage that need not read all unfinished trials to find those that are enqueued."""

    def enqueued_trials(self, study_id: int) -> list[int]:
        """Return the numbers of the trials that wait and have no score, as the study has them now."""


def enqueued_waiting(study: optuna.Study) -> list[int]:
    """Return the enqueued trials that wait to be started, by number, as the study has them now."""
    storage, study_id = study._storage, study._study_id  # noqa: SLF001
    if isinstance(storage, KnowsEnqueued):
        return storage.enqueued_trials(study_id)
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return [trial.number for trial in waiting if is_queued(trial)]


def forget_deleted(study: optuna.Study) -> None:
    """Have all trials of a study read again: Optuna's cache keeps one that another program has deleted."""
    storage = study._storage  # noqa: SLF001
    if isinstance(storage, _CachedStorage):
        with storage._lock:  # noqa: SLF001
            storage._studies.pop(study._study_id, None)  # noqa: SLF001
    study._thread_local.cached_all_trials = None  # noqa: SLF001


def is_foreign(trial: FrozenTrial) -> bool:
    """Return whether another program has put a finished trial into the study: it counts for nothing."""
    notes = trial.user_attrs
    return trial.state.is_finished() and not {attributes.RECIPE, attributes.REASON} & notes.keys()


def was_ended_outside(trial: FrozenTrial) -> bool:
    """Return whether another process has ended a trial of this service: its notes are not complete."""
    notes = trial.user_attrs
    recipe = notes.get(attributes.RECIPE)
    if not trial.state.is_finished() or not isinstance(recipe, dict):
        return False
    if trial.state is not TrialState.COMPLETE:
        return attributes.REASON not in notes
    last = max(trial.intermediate_values, default=0)
    return attributes.EPOCHS not in notes and last < recipe.get("epochs", 0)


def is_paused(trial: FrozenTrial) -> bool:
    """Return whether a trial was started and waits to continue."""
    return trial.state is TrialState.WAITING and bool(trial.intermediate_values)


def is_queued(trial: FrozenTrial) -> bool:
    """Return whether a trial was enqueued and waits to be started."""
    return trial.state is TrialState.WAITING and not trial.intermediate_values

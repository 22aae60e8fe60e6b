"""Drop one trial of a study from outside, as the dashboard's "Fail Trial" does."""

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from search.errors import UsageError
from search.study.trial_states import is_queued

__all__ = ["drop"]


def drop(study: optuna.Study, number: int) -> None:
    """Make a trial fail that runs or waits to continue; whoever runs the study goes on with others.

    Args:
        study: The study.
        number: The trial.

    Raises:
        UsageError: There is no such trial, or it is finished or not yet started.
    """
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    trial = trials.get(number)
    if trial is None:
        there = f"its trials are 0 to {max(trials)}" if trials else "it has none yet"
        raise UsageError(f"Study {study.study_name} has no trial {number}; {there}.")
    if is_queued(trial):
        raise UsageError(f"Trial {number} is not started yet, so there is nothing to drop.")
    finished = UsageError(f"Trial {number} is finished, so there is nothing to drop.")
    if trial.state.is_finished():
        raise finished
    storage = study._storage  # noqa: SLF001 - `Study.tell` takes only trials that run
    try:
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)  # noqa: SLF001
    except UpdateFinishedTrialError as error:  # just now
        raise finished from error

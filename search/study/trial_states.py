"""What becomes of trials, written into an Optuna study: begun whole, paused, taken up again.

A paused trial is a WAITING one. Optuna has no state of its own for it, and of those it has this one says
what is the case: nobody trains it, and somebody may. RUNNING would be a lie that lasts for hours, and
finished trials are final, so that going on would need a second record of the same configuration: then
neither trials nor epochs could be counted. Its epochs stay with it, and having some tells it from a
configuration that was enqueued and never begun.
"""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

__all__ = ["attach", "begin", "give_up", "is_paused", "is_queued", "known", "pause", "take_up"]


def begin(study: optuna.Study, draft: Trial, notes: Mapping[str, Any]) -> Trial:
    """Write a drafted trial, with its notes, as a running one: whole, or after a kill not at all."""
    whole = create_trial(
        state=TrialState.RUNNING,
        params=draft.params,
        distributions=draft.distributions,
        user_attrs=dict(notes),
    )
    # `Study.add_trial` does this and doesn't say which trial it has become.
    trial_id = study._storage.create_new_trial(study._study_id, whole)  # noqa: SLF001
    return Trial(study, trial_id)


def pause(trial: Trial) -> None:
    """Let a running trial wait until it is taken up again."""
    trial.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)  # noqa: SLF001


def take_up(study: optuna.Study, number: int) -> Trial:
    """Go on with a waiting trial."""
    storage, study_id = study._storage, study._study_id  # noqa: SLF001
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
    storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    return Trial(study, trial_id)


def give_up(trial: Trial) -> None:
    """End a waiting trial, in one step: at no moment does it seem to be trained."""
    scores = known(trial).intermediate_values
    last = scores[max(scores)]
    trial.storage.set_trial_state_values(trial._trial_id, TrialState.PRUNED, [last])  # noqa: SLF001


def attach(study: optuna.Study, number: int) -> Trial:
    """A trial of the study that may be changed. Optuna has no public way to one that others have begun."""
    storage, study_id = study._storage, study._study_id  # noqa: SLF001
    return Trial(study, storage.get_trial_id_from_study_id_trial_number(study_id, number))


def known(trial: Trial) -> FrozenTrial:
    """A trial as whoever holds it knows it, without a look into the study. To be read only.

    It is as it was when it was begun, attached or taken up, and has all that was written through `trial`
    since, which is everything where one process writes; only its state and its end are those of then.
    """
    return trial._cached_frozen_trial  # noqa: SLF001


def is_paused(trial: FrozenTrial) -> bool:
    """It was begun, and waits to go on."""
    return trial.state is TrialState.WAITING and bool(trial.intermediate_values)


def is_queued(trial: FrozenTrial) -> bool:
    """It was enqueued, and waits to be begun."""
    return trial.state is TrialState.WAITING and not trial.intermediate_values

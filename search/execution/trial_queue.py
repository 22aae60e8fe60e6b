"""The trials that are still to be trained: interrupted ones, paused ones, and new ones."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from optuna.trial import Trial

from cifar_core.seeds import derive
from search.execution.enqueued import check_enqueued, check_stored, recipe_of
from search.policy.base import InvalidParametersError, InvalidTrialError, Policy
from search.policy.factory import SEED, seeds_of
from search.study import attributes
from search.study.budget import enqueued_to, trials_in_all
from search.study.rows import best_rows
from search.study.study import SearchStudy
from search.study.trial_states import LostTrialError, attach, forget_deleted, snapshot, writes
from spaces.space import Space

__all__ = ["TrialQueue"]


class TrialQueue:
    """The trials of a search that are still to be trained, as many as its budget allows.

    With one writer, every trial that the study has as running was interrupted.

    Args:
        study: The study.
        space: Its space, with the learning-rate bounds it is searched in.
        policy: Decides which paused trials continue and which configurations are new.

    Attributes:
        started: Trials that were started, in all sessions.
        superfluous: Interrupted trials for which a lowered total leaves no room; not to be trained.
    """

    def __init__(self, study: SearchStudy, space: Space, policy: Policy) -> None:
        self._study = study
        self._space = space
        self._policy = policy
        rows = study.rows()
        finished = sum(row.finished for row in rows)
        unfinished = [attach(study.optuna, row.number) for row in rows if row.state == "running"]
        self.started = finished + len(unfinished) + len(policy.paused)
        room = max(0, study.budget.trials - finished)
        self._interrupted, self.superfluous = unfinished[:room], unfinished[room:]
        self._enqueued = enqueued_to(rows)
        best = next(iter(best_rows(rows)), None)
        self._best = None if best is None else (best.score, best.number)

    @property
    def _room(self) -> int:
        """Number of trials that may still be started, as things stand."""
        budget = self._study.budget
        best = None if self._best is None else self._best[1]
        most = trials_in_all(budget.trials, budget.patience, best, self._enqueued)
        return max(0, most - self.started)

    @property
    def to_come(self) -> int:
        """Number of trials that may still be handed out, besides the paused ones."""
        return self._room + len(self._interrupted)

    @property
    def ready(self) -> bool:
        """Return whether the next trial can be had at once, without a long thought of the policy."""
        return bool(self._interrupted) or not self._room or self._policy.ready()

    def __bool__(self) -> bool:
        """Return whether anything is left that may have to be trained."""
        return bool(self._interrupted) or bool(self._policy.paused) or self._room > 0

    def take(self) -> Trial | None:
        """Return the next trial to train, written and running; None if there is none for now.

        Raises:
            InvalidTrialError: The chosen parameters make no recipe, or the stored recipe is damaged; that
                trial is to be told as failed.
            LostTrialError: Another process has ended the trial that was next.
        """
        if self._interrupted:
            trial = self._interrupted.pop(0)
            if attributes.RECIPE in trial.user_attrs:
                return _checked(trial)
            with writes(trial):
                return self._policy.complete(trial, self._prepare)
        promoted = self._policy.promote(last=not self._room)
        if promoted is not None or not self._room:
            return None if promoted is None else _checked(promoted)
        self.started += 1
        while True:
            try:
                return self._policy.ask(self._prepare)
            except LostTrialError:  # another process has ended or removed it before it had a recipe
                forget_deleted(self._study.optuna)

    def put_back(self, trial: Trial, *, first: bool = False) -> None:
        """Take back a trial that has stopped before its end and is to continue."""
        self._interrupted.insert(0 if first else len(self._interrupted), trial)

    def completed(self, number: int, accuracy: float) -> None:
        """Take note of a complete trial: if it is the best so far, patience counts from it."""
        # Of equal ones the earlier, whichever was done first, as a later session finds it.
        if self._best is None or (accuracy, -number) > (self._best[0], -self._best[1]):
            self._best = (accuracy, number)

    def left(self) -> Iterator[Trial]:
        """Yield all trials that were started and are not finished: interrupted or paused."""
        yield from self._interrupted
        for number in self._policy.paused:
            with suppress(LostTrialError):
                yield attach(self._study.optuna, number)

    def _prepare(self, trial: Trial, number: int) -> dict[str, Any]:
        """Choose the trial's parameters, and return its recipe and seed as notes."""
        settings = self._study.settings
        check_enqueued(self._space, snapshot(trial))
        recipe = recipe_of(self._space, self._space.suggest(trial))
        if seeds := seeds_of(settings):
            # Every cell is trained from the same seeds: what differs between cells is the cell.
            seed = trial.suggest_int(SEED, seeds[0], seeds[-1])
        else:
            seed = derive(settings.seed, "trial", number)
        # The recipe comes last: a trial that has it can be trained.
        return {attributes.SEED: seed, attributes.RECIPE: recipe.to_dict()}


def _checked(trial: Trial) -> Trial:
    """Return a started trial that can be trained further; raises `InvalidTrialError`."""
    try:
        check_stored(snapshot(trial))
    except InvalidParametersError as error:
        raise InvalidTrialError(trial) from error
    return trial

"""A session of a study: workers, bounds, trials and confirmation, until all is done or a stop."""

from dataclasses import dataclass

from cifar_core.recipe import Recipe
from search.confirmation.confirmer import Confirmer
from search.confirmation.elimination import FIRST_SEEDS, expected_trainings, needed, runs_of
from search.confirmation.planning import (
    chosen,
    conclusion_of,
    is_pending,
    plan_for,
    read_runs,
)
from search.events import Notice, Observer, SearchStarted
from search.execution import warm_start
from search.execution.best_checkpoints import BestCheckpoints
from search.execution.coordinator import Coordinator, Outcome
from search.execution.experience import note_experience
from search.execution.outlook import planned_epochs
from search.execution.prior_knowledge import described, knowledge_of
from search.execution.stopwatch import Stopwatch
from search.formatting import counted, duration, words_for_foreign
from search.home import Home, StudyFolder
from search.lr_range.plots import keep_plots
from search.lr_range.study_bounds import bounded_space
from search.lr_range.sweeps import StopBeforeTrials
from search.policy.beside.thinking_process import ThinkingProcess
from search.request import ConfirmRequest, ResumeRequest, StartRequest
from search.service.effort import after_test_of, say_what_the_test_costs
from search.service.known_configurations import enqueue_known
from search.signals import StopSwitch
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import StudyLock
from search.storage.urls import where_flags
from search.study import attributes
from search.study.study import SearchStudy
from search.study.trial_states import is_foreign
from search.workers.engine import Engine
from search.workers.pool import Pool
from search.workers.shared_images import pixel_statistics
from spaces.space import Space

__all__ = ["Session"]


@dataclass(frozen=True)
class Session:
    """A search of one study by this process, which holds the study's lock.

    Attributes:
        study: The study.
        storage: The storage that has it.
        lock: Its lock.
        home: The home of its files.
        engine: Where the workers run.
        request: What the user asked for: how trials are trained here.
        observe: Told what happens.
    """

    study: SearchStudy
    storage: RetryingStorage
    lock: StudyLock
    home: Home
    engine: Engine
    request: StartRequest | ResumeRequest | ConfirmRequest
    observe: Observer

    @property
    def folder(self) -> StudyFolder:
        """The study's files."""
        return self.lock.folder

    def run(self) -> Outcome:
        """Search, confirm, and return whether nothing is left to do.

        Raises:
            ServiceError: Nothing works: workers keep dying, or trial after trial fails.
            StudyHeldError: Another process has taken the study over.
        """
        _say_what_is_foreign(self.study, self.observe)
        self.storage.hides = is_foreign  # so that no sampler learns from such a trial either
        try:
            searches = not self.study.complete or any(row.unfinished for row in self.study.rows())
            outcome: Outcome = "finished"
            if searches or is_pending(self.study):
                confirms = self.study.budget.confirm is not None
                outcome = self._work(searches=searches, confirms=confirms)
        finally:
            self.storage.hides = None
        self._tidy(outcome)
        return outcome

    def confirm(self) -> Outcome:
        """Confirm what the study has found so far, without a limit of time and without further trials.

        Raises:
            ServiceError: Nothing works: workers keep dying.
            StudyHeldError: Another process has taken the study over.
            UsageError: No trial is complete.
        """
        outcome: Outcome = "finished"
        self.storage.hides = is_foreign
        try:
            plan = plan_for(self.study)
            if is_pending(self.study) or needed(plan, runs_of(plan, read_runs(self.study))):
                outcome = self._work(searches=False, confirms=True, limited=False)
        finally:
            self.storage.hides = None
        if self.study.complete:
            self._tidy(outcome)
        return outcome

    def _tidy(self, outcome: Outcome) -> None:
        rows = self.study.rows()
        # A paused trial that waits for a larger total still needs its checkpoint.
        if outcome == "finished" and not any(row.unfinished for row in rows):
            found = conclusion_of(self.study)
            self.folder.tidy(
                BestCheckpoints(rows, self.study.budget.keep).numbers,
                None if found is None else found.winner,
            )

    def _work(self, *, searches: bool, confirms: bool, limited: bool = True) -> Outcome:
        """Start the workers, and let them search, confirm, or both.

        Args:
            searches: Train trials.
            confirms: Confirm what was found once no trial is left to train.
            limited: The confirmation ends when the study's time is used up.
        """
        folder, request = self.folder, self.request
        with (
            StopSwitch(folder.stop_request, self.lock.stop_requested) as stop,
            self.engine.pool(
                folder.images,
                folder.logs,
                compile_networks=request.compile_networks,
                hang_after=request.hang_after,
                say=lambda text: self.observe(Notice(text)),
            ) as pool,
            self.storage.waiting(self.observe, stop),
            Stopwatch(self.study).running() as stopwatch,
        ):
            self.study.write(attributes.PIXELS, pixel_statistics(folder.images))
            outcome = self._search(pool, stop, stopwatch) if searches else "finished"
            if outcome == "stopped" or not confirms or not chosen(self.study, 1):
                return outcome
            return Confirmer(
                self.study,
                pool,
                folder,
                self.observe,
                stop,
                seconds_left=stopwatch.seconds_left_in_all if limited else lambda: None,
                clock=stopwatch.clock,
                note_time=stopwatch.note_now_and_then,
            ).run()

    def _search(self, pool: Pool, stop: StopSwitch, stopwatch: Stopwatch) -> Outcome:
        folder = self.folder
        _say_what_starts_again(self.study, folder, self.observe)
        _say_what_is_cut(self.study, self.observe)
        _say_what_will_be_confirmed(self.study, self.observe)
        note_experience(self.study, self.storage)
        try:
            say_what_the_test_costs(self.study, self.observe)
            after = after_test_of(self.study)
            space = bounded_space(self.study, pool, folder, self.observe, stop, after)
        except StopBeforeTrials:
            return "stopped"
        _keep_plots(self.study, self.home, self.observe)
        enqueue_known(self.study, space)
        warm_start.enqueue(self.study, space, self.observe)
        _say_what_is_known(self.study, space, self.observe)
        self.observe(self._started(space, stopwatch.seconds_left()))
        with ThinkingProcess() as beside:
            return Coordinator(
                self.study, space, pool, folder, self.observe, stop, stopwatch, beside
            ).run()

    def _started(self, space: Space, seconds_left: float | None) -> SearchStarted:
        rows = tuple(self.study.rows())
        return SearchStarted(
            study=self.study.name,
            data=self.study.data.described(),
            trials=self.study.budget.trials,
            epochs=space.epochs,
            workers=self.engine.described(),
            rows=rows,
            timeout=seconds_left,
            where=where_flags(self.home, self.storage.url),
            planned_epochs=planned_epochs(self.study, sum(row.known for row in rows)),
            confirming=expected_trainings(
                self.study.budget, has_known=any(one.known for one in rows)
            ),
        )


def _keep_plots(study: SearchStudy, home: Home, observe: Observer) -> None:
    """Show the LR-range test in the dashboard; a search does not end because that fails."""
    try:
        keep_plots(study, home.artifacts)
    except OSError as error:
        observe(Notice(f"The plot of the LR-range test cannot be kept: {error}."))


def _say_what_starts_again(study: SearchStudy, folder: StudyFolder, observe: Observer) -> None:
    """Name the trials that cannot continue, as this home has no checkpoint of them."""
    there = folder.checkpoints()
    lost = [
        str(row.number)
        for row in study.rows()
        if row.unfinished and row.epochs and row.number not in there
    ]
    if lost:
        many = len(lost) > 1
        observe(
            Notice(
                f"{'Trials' if many else 'Trial'} {', '.join(lost)} {'start' if many else 'starts'} again "
                f"at epoch 1: this home has no checkpoint of {'them' if many else 'it'}."
            )
        )


def _say_what_is_cut(study: SearchStudy, observe: Observer) -> None:
    """Say that batches cannot be larger than the training images."""
    space, images = study.settings.space, study.data.train
    found = {
        name: max(sizes)
        for name, parameter in space.parameters.items()
        if parameter.sets == "batch_size"
        and (sizes := [one for one in parameter.extremes() if isinstance(one, int)])
    }
    fixed = space.recipe.get("batch_size", Recipe.model_fields["batch_size"].default)
    name, largest = next(iter(found.items()), ("batch_size", fixed))
    if largest > images:
        observe(
            Notice(
                f"{name} goes up to {largest}, but there are {images} training images: larger batches are "
                "cut to all of them. Narrow it in the space, or raise --train-images."
            )
        )


def _say_what_is_foreign(study: SearchStudy, observe: Observer) -> None:
    """Name the finished trials that another program has added to the study."""
    if foreign := study.foreign():
        observe(Notice(words_for_foreign(foreign)))


def _say_what_is_known(study: SearchStudy, space: Space, observe: Observer) -> None:
    """Say what the policy knows before the first trial; only the model has a use for it."""
    words = described(knowledge_of(study, space))
    if words is not None and study.settings.pruner == "freeze-thaw":
        observe(Notice(words))


def _say_what_will_be_confirmed(study: SearchStudy, observe: Observer) -> None:
    """Say what follows the trials, and what part of the time is kept for it."""
    budget, epochs = study.budget, study.settings.space.epochs
    if budget.confirm is None:
        return
    best = "its best trial" if budget.confirm == 1 else f"its {budget.confirm} best trials"
    known = " and the best known configurations" if study.settings.space.known else ""
    each = f"{min(FIRST_SEEDS, budget.confirm_seeds)} to {budget.confirm_seeds} trainings"
    each += f" of {counted(epochs, 'epoch')} each"
    words = f"After the search, {best}{known} are confirmed: {each}, fresh seeds"
    if study.data.confirming:
        words += f", {study.data.confirming:,} images of their own"
    if budget.timeout is not None and budget.search_timeout is not None:
        rest = budget.timeout - budget.search_timeout
        words += f"; {duration(rest)} of the {duration(budget.timeout)} are kept for that"
    observe(Notice(f"{words}. Without: --confirm off"))

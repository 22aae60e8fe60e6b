"""Check the service's notes in a study when it is opened: other programs can write there too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from cifar_core.errors import RecipeError
from cifar_core.recipe import Recipe
from cifar_core.records import explain, no_control
from cifar_core.text_files import one_line
from search.errors import ServiceError
from search.study import attributes
from search.study.confirmation import ConfirmationPlan, ConfirmationRun, run_key
from search.study.settings import Budget, Settings
from search.study.trial_states import is_foreign, was_ended_outside
from spaces.checks import problems_of

__all__ = ["check_notes", "readable"]

RUNS = f"{attributes.CONFIRMATION}:"
Shown = Annotated[str, AfterValidator(no_control)]


def check_notes(study: optuna.Study, settings: Settings) -> None:
    """Refuse a study whose notes or trials were changed into something that the service cannot use.

    Args:
        study: A study of the service.
        settings: Its settings.

    Raises:
        ServiceError: A note is not as the service writes it; the text says which.
    """
    problem = _problem_of_study(study.user_attrs)
    if problem is None:
        problem = next(problems_of(settings.space), None)
    for trial in study.get_trials(deepcopy=False) if problem is None else ():
        if not is_foreign(trial) and (problem := _problem_of_trial(trial)) is not None:
            problem = f"trial {trial.number}: {problem}"
            break
    if problem is not None:
        raise ServiceError(
            f"Study {study.study_name} cannot be used: it was changed by hand, or made by another version "
            f"of cifar-search ({problem}). Other studies are not affected; start another with --study NAME."
        )


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Report damaged contents that Optuna cannot read within this context as one sentence.

    Args:
        what: The thing that is read, as the sentence's subject.

    Raises:
        ServiceError: Optuna cannot read it.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        cause = one_line(str(error))[:200].rstrip(".") or type(error).__name__
        raise ServiceError(
            f"{what} cannot be read: the database holds what Optuna does not understand ({cause}). "
            "If you have a copy of the database, put it back; or name another with --storage or --home."
        ) from error


class _Notes(BaseModel):
    """The notes that the service reads; their names are those in `search.study.attributes`."""

    model_config = ConfigDict(strict=True)


class _Range(_Notes):
    parameter: Shown
    optimizer: Shown
    low: float = Field(gt=0.0, allow_inf_nan=False)
    high: float = Field(gt=0.0, allow_inf_nan=False)
    suggested: float | None
    conclusive: bool
    how: Shown
    spread: float | None = Field(None, gt=1.0, allow_inf_nan=False)

    model_config = ConfigDict(strict=True, extra="forbid")


class _Curves(_Notes):
    epochs: float = 0.0


class _CurveModel(_Notes):
    rows: int = Field(ge=0)
    logs: list[float]


class _Forecast(_Notes):
    until: int = Field(ge=0)
    low: float | None = None
    expected: float | None = None
    high: float | None = None


class _OlderTrial(_Notes):
    task: Shown
    values: dict[Shown, bool | int | float | Shown]
    scores: dict[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}$")], float] = Field(min_length=1)
    epochs: int = Field(ge=1)

    @model_validator(mode="after")
    def _has_these_epochs(self) -> "_OlderTrial":
        if max(int(epoch) for epoch in self.scores) > self.epochs:
            raise ValueError(f"has a score beyond its {self.epochs} epochs")
        return self


class _StudyNotes(_Notes):
    budget: Budget
    confirmation: ConfirmationPlan | None = None
    curve_model: _CurveModel | None = None
    experience: int | None = Field(None, ge=0, le=1_000)
    lr_bounds: list[_Range] | None = None
    lr_range_curves: _Curves | None = None
    seconds: float = Field(0.0, ge=0.0, allow_inf_nan=False)
    versions: dict[str, str] | None = None
    warm_start: dict[Shown, dict[Shown, dict[str, Any]]] | None = None


class _Epoch(_Notes):
    validation_accuracy: float | None
    train_loss: float | None = None
    train_accuracy: float | None = None


class _TrialNotes(_Notes):
    ending: str | None = None
    epochs: list[_Epoch] = []
    forecast: _Forecast | None = None
    interruptions: int = 0
    known: Shown | None = None
    reason: str | None = None
    recipe: dict[str, Any] | None = None
    seconds: float = 0.0
    seed: int | None = None
    suggested: Shown | None = None
    warm_start: Shown | None = None


def _problem_of_study(notes: dict[str, Any]) -> str | None:
    try:
        found = _StudyNotes.model_validate(notes)
        for part in range(1, (found.experience or 0) + 1):
            key = attributes.experience_part(part)
            if key not in notes:
                return f"{key} is missing"
            TypeAdapter(dict[str, list[_OlderTrial]]).validate_python({key: notes[key]})
        runs = {key: note for key, note in notes.items() if key.startswith(RUNS)}
        for key, run in TypeAdapter(dict[str, ConfirmationRun]).validate_python(runs).items():
            if key != run_key(run.trial, run.repeat):
                return f"{key} belongs to trial {run.trial}, repeat {run.repeat}"
    except ValidationError as error:
        return explain(error)[0].rstrip(".")
    return None


def _problem_of_trial(trial: FrozenTrial) -> str | None:
    try:
        notes = _TrialNotes.model_validate(trial.user_attrs)
    except ValidationError as error:
        return explain(error)[0].rstrip(".")
    if not all(isinstance(one, float) for one in trial.intermediate_values.values()):
        return "the accuracy of an epoch is not a number"
    complete = trial.state is TrialState.COMPLETE
    if complete and not trial.intermediate_values and not was_ended_outside(trial):
        return "it is complete without an epoch"
    if notes.recipe is not None and notes.seed is None:
        return f"it has no {attributes.SEED}"
    if notes.recipe is not None and not trial.state.is_finished():  # it will continue
        try:
            Recipe.read(notes.recipe)
        except RecipeError as error:
            return f"{attributes.RECIPE}: {str(error).splitlines()[1].strip().rstrip('.')}"
    return None

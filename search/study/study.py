"""A study of this service in Optuna's storage: created once, opened again, its notes read and written."""

import platform
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from pydantic import ValidationError

from search.errors import UsageError
from search.home import Home, StudyFolder
from search.study import attributes
from search.study.bounds import Bounds
from search.study.budget import best_position, enqueued_to, trials_in_all
from search.study.rows import TrialRow, rows_of
from search.study.settings import Budget, DataIdentity, Settings, differences
from search.study.trial_states import is_foreign
from search.study.validation import check_notes, readable

__all__ = [
    "SearchStudy",
    "create_or_open",
    "existing_identity",
    "newest_name",
    "open_study",
    "summaries",
    "versions",
    "was_never_finished",
]


METRIC_NAMES = ["validation accuracy"]


@dataclass(frozen=True)
class SearchStudy:
    """An Optuna study with the service's notes.

    Attributes:
        optuna: The study as Optuna has it.
        settings: Its settings, which never change.
        budget: Its cost limits.
    """

    optuna: optuna.Study
    settings: Settings
    budget: Budget

    @property
    def name(self) -> str:
        """Its name."""
        return self.optuna.study_name

    def folder(self, home: Home) -> StudyFolder:
        """Return the folder of its own files in a home."""
        identity = self.note(attributes.IDENTITY)
        return home.study(self.name, identity if isinstance(identity, str) else None)

    def note(self, key: str) -> Any:
        """Return one of the service's notes, or None."""
        return self.optuna.user_attrs.get(key)

    def write(self, key: str, value: Any) -> None:
        """Keep a note; `value` is plain JSON."""
        self.optuna.set_user_attr(key, value)

    def rows(self) -> list[TrialRow]:
        """Return its trials, by number."""
        return rows_of(self.optuna, self.settings.space)

    def foreign(self) -> list[int]:
        """Return the numbers of the finished trials that another program has added."""
        trials = self.optuna.get_trials(deepcopy=False)
        return [trial.number for trial in trials if is_foreign(trial)]

    @property
    def data(self) -> DataIdentity:
        """The images that its figures are measured on."""
        return self.settings.data

    def lr_bounds(self) -> list[Bounds] | None:
        """Return its learning-rate ranges; None before they are measured or set."""
        stored = self.note(attributes.LR_BOUNDS)
        return None if stored is None else [Bounds.from_dict(one) for one in stored]

    @property
    def seconds(self) -> float:
        """Time that it has been running, over all sessions."""
        return float(self.note(attributes.SECONDS) or 0.0)

    @property
    def complete(self) -> bool:
        """Return whether its budget of trials and of time for them is used up."""
        rows = self.rows()
        budget = self.budget
        most = trials_in_all(budget.trials, budget.patience, best_position(rows), enqueued_to(rows))
        finished = sum(row.finished for row in rows)
        timeout = budget.search_timeout
        return finished >= most or (timeout is not None and self.seconds >= timeout)


def create_or_open(
    storage: BaseStorage, name: str, settings: Settings, budget: Budget
) -> tuple[SearchStudy, bool]:
    """Return the study of this name with these settings, and whether it is new.

    An existing study gets the new budget.

    Raises:
        UsageError: A study of this name has other settings; the text says which.
        ServiceError: Another program has changed its notes.
    """
    if name not in optuna.get_all_study_names(storage):
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(METRIC_NAMES)  # name of the value in a dashboard
        found = SearchStudy(study, settings, budget)
        found.write(attributes.STORED_AT, datetime.now(UTC).isoformat(timespec="seconds"))
        found.write(attributes.VERSIONS, versions())
        found.write(attributes.BUDGET, budget.model_dump(mode="json"))
        # The settings come last: a study that has them is whole.
        found.write(attributes.SETTINGS, settings.model_dump(mode="json"))
        return found, True
    study = _loaded(storage, name)
    if was_never_finished(study):
        optuna.delete_study(storage=storage, study_name=name)
        return create_or_open(storage, name, settings, budget)
    stored = _settings_of(study)
    if found_differences := differences(stored, settings):
        listed = "\n".join(f"  {line}" for line in found_differences)
        raise UsageError(
            f"Study {name} exists with other settings:\n{listed}\n"
            "Continue it as it is with cifar-search resume, or start another with --study NAME."
        )
    found = SearchStudy(study, stored, budget)
    found.write(attributes.BUDGET, budget.model_dump(mode="json"))
    return found, False


def existing_identity(storage: BaseStorage, name: str) -> DataIdentity | None:
    """Return the images of the study of this name; None if there is none that can be continued."""
    found = next((one for one in summaries(storage) if one.study_name == name), None)
    if found is None:
        return None
    try:
        return Settings.model_validate(found.user_attrs[attributes.SETTINGS]).data
    except ValidationError:  # which is told when the study is opened
        return None


def open_study(storage: BaseStorage, name: str | None) -> SearchStudy:
    """Return an existing study.

    Args:
        storage: The storage that has it.
        name: Its name; None for the newest.

    Raises:
        UsageError: There is no such study, or it was not created by this service.
        ServiceError: Another program has changed its notes.
    """
    name = name or newest_name(storage)
    if name not in optuna.get_all_study_names(storage):
        names = ", ".join(one.study_name for one in summaries(storage)) or "none yet"
        raise UsageError(f"There is no study named {name!r} here. Studies: {names}.")
    study = _loaded(storage, name)
    settings = _settings_of(study)
    budget = Budget.model_validate(study.user_attrs[attributes.BUDGET])
    return SearchStudy(study, settings, budget)


def summaries(storage: BaseStorage) -> list[FrozenStudy]:
    """Return the service's studies in a storage, the newest last.

    Raises:
        ServiceError: The storage holds something that Optuna cannot read.
    """
    with readable("The storage"):
        found = storage.get_all_studies()  # without their trials, which may be many
    ours = [one for one in found if attributes.SETTINGS in one.user_attrs]
    return sorted(ours, key=lambda one: str(one.user_attrs.get(attributes.STORED_AT, "")))


def was_never_finished(study: optuna.Study) -> bool:
    """Return whether the process that made a study was killed before the study was whole.

    It may be deleted: a new one holds nothing, and a copy, which says that it is one, has its original.
    """
    notes = study.user_attrs
    first_notes = {attributes.STORED_AT, attributes.VERSIONS, attributes.BUDGET}
    new = notes.keys() <= first_notes and not study.get_trials(deepcopy=False)
    return (
        study.directions == [StudyDirection.MAXIMIZE]
        and study.metric_names in (None, METRIC_NAMES)
        and (new or _is_half_copy(notes))
    )


def newest_name(storage: BaseStorage) -> str:
    """Return the name of the newest study.

    Raises:
        UsageError: There is none.
    """
    found = summaries(storage)
    if not found:
        raise UsageError(
            "There is no study here yet. Start one with: "
            "cifar-search start --space baseline_constrained"
        )
    return found[-1].study_name


def versions() -> Mapping[str, str]:
    """Return the versions that a figure depends on."""
    names = ("cifar-search", "torch", "torchvision", "optuna", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _loaded(storage: BaseStorage, name: str) -> optuna.Study:
    """Return a study all of whose contents can be read."""
    with readable(f"Study {name}"):
        study = optuna.load_study(storage=storage, study_name=name)
        study.get_trials(deepcopy=False)
    return study


def _is_half_copy(notes: Mapping[str, Any]) -> bool:
    origin = notes.get(attributes.COPY_OF)
    named = isinstance(origin, dict) and origin.keys() == {"study", "host", "to", "begun"}
    return named and attributes.SETTINGS not in notes


def _settings_of(study: optuna.Study) -> Settings:
    note = study.user_attrs.get(attributes.SETTINGS)
    if _is_half_copy(study.user_attrs):
        raise UsageError(
            f"Study {study.study_name} is a copy that was interrupted. Run the same "
            "cifar-search copy again, or choose another name."
        )
    if note is None or study.directions != [StudyDirection.MAXIMIZE]:
        raise UsageError(
            f"Study {study.study_name} was not created by cifar-search, and is left alone. "
            "Choose another name with --study."
        )
    try:
        settings = Settings.model_validate(note)
    except ValidationError as error:
        raise UsageError(
            f"Study {study.study_name} was created by another version of cifar-search with other kinds of "
            "settings. Start a new one with --study NAME."
        ) from error
    check_notes(study, settings)
    return settings

"""Warm start: the best configurations of older studies and of files, tried early in another study."""

from collections.abc import Iterable
from math import isclose
from pathlib import Path
from typing import Any

from cifar_core.errors import RecipeError
from cifar_core.recipe import Recipe
from cifar_core.text_files import last_line, one_line
from search.errors import UsageError
from search.events import Notice, Observer
from search.home import Home
from search.recipe_files import ENDINGS, read_configuration
from search.storage.opening import existing_storage
from search.storage.retrying import RetryingStorage
from search.study import attributes
from search.study.rows import TrialRow, best_rows
from search.study.study import SearchStudy, open_study, summaries
from search.study.trial_states import enqueued_values
from spaces.errors import MisfitError
from spaces.fitting import fitted
from spaces.parameter import Value
from spaces.space import Space, Values

__all__ = ["BEST_OF_A_STUDY", "Sources", "enqueue", "note_sources", "read_sources"]

BEST_OF_A_STUDY = 5
"""Number of configurations taken from each older study."""
CANDIDATES = 2 * BEST_OF_A_STUDY
"""Number of configurations read, as some may be tried anyway: known ones are often among the best."""

Configurations = dict[str, dict[str, Any]]
"""Recipes as plain values, by name, such as ``from study old, trial 12``."""
Sources = dict[str, Configurations]
"""The configurations of each source, by the study or file as the user named it."""


def read_sources(home: Home, url: str, study: str, space: Space, wanted: Iterable[str]) -> Sources:
    """Read the best of older studies, and configuration files; nothing is changed anywhere.

    Args:
        home: The home of the study that is started.
        url: The storage of that study and the older ones.
        study: Its name.
        space: Its space.
        wanted: Names of studies, and files. Those that the study has taken already are not read again.

    Raises:
        UsageError: One of them does not exist, is no study, or is the study itself; or the space is a grid.
        RecipeError: A file holds no valid recipe.
        ServiceError: A study cannot be read.
    """
    names = {one_line(one): one for one in wanted}  # as it can be stored and shown
    if not names:
        return {}
    if space.grid is not None:
        raise UsageError(
            f"Space {space.name} is a grid: all its cells are trained, so leave --warm-start out."
        )
    storage = _storage_if_there(home, url)
    taken = _taken(storage, study)
    found: Sources = {}
    for name, given in names.items():
        if _is_file(given):
            if name not in taken:
                found[name] = {f"from {name}": read_configuration(Path(given)).to_dict()}
            continue
        if name in {"", study}:
            what = f"the study itself, {name}" if name else "''"
            raise UsageError(
                f"--warm-start must name an older study, or a file that ends in {', '.join(ENDINGS)}, "
                f"but got {what}."
            )
        if name not in taken:
            found[name] = _best_of(storage, given)
    return found


def note_sources(study: SearchStudy, sources: Sources, observe: Observer) -> None:
    """Keep with a study what it is to try, so that it does even if it is stopped before.

    Args:
        study: The study, which this process holds.
        sources: The result of `read_sources`.
        observe: Told of the sources that have nothing yet.
    """
    for name in (name for name, configurations in sources.items() if not configurations):
        observe(
            Notice(f"Warm start: study {name} has no complete trial yet; nothing is taken from it.")
        )
    new = {name: configurations for name, configurations in sources.items() if configurations}
    if new:
        study.write(attributes.WARM_SOURCES, {**_noted(study), **new})


def enqueue(study: SearchStudy, space: Space, observe: Observer) -> None:
    """Enqueue what is kept with a study, after all that waits in it, as far as it fits and there is room.

    Each configuration is enqueued once, and of an older study at most `BEST_OF_A_STUDY` that are new here;
    of a source that is done, only the name stays in the note.

    Args:
        study: The study, which this process holds.
        space: Its space, with the learning-rate bounds it is searched in.
        observe: Told what was changed and what was left out, and why.
    """
    there = {row.label for row in study.rows()}
    trials = _Configurations(study, space)
    said: dict[str, list[str]] = {}
    left: Sources = {}
    for source, configurations in _noted(study).items():
        left[source] = {}
        taken = len(there & configurations.keys())  # a killed search has left the note as it was
        for label, recipe in configurations.items():
            if label in there or taken == BEST_OF_A_STUDY:
                continue
            # What the budget has no room for would wait in the study forever.
            if trials.count >= study.budget.trials:
                left[source][label] = recipe
                new, words = True, ["waits for a larger total of trials (resume --trials N)."]
            else:
                new, words = _enqueue(trials, space, label, recipe)
            taken += new
            for one in words:
                said.setdefault(one, []).append(label)
    for one, labels in said.items():
        observe(Notice(f"Warm start {'; '.join(labels)}: {one}"))
    if left != _noted(study):
        study.write(attributes.WARM_SOURCES, left)


class _Configurations:
    """The configurations of a study's trials, read once, to which others are added.

    Args:
        study: The study.
        space: Its space.
    """

    def __init__(self, study: SearchStudy, space: Space) -> None:
        self._study, self._space = study, space
        trials = study.optuna.get_trials(deepcopy=False)
        self._there = [space.values_of(enqueued_values(one)) for one in trials]

    @property
    def count(self) -> int:
        """Number of trials, enqueued ones included."""
        return len(self._there)

    def add(self, values: Values, label: str) -> bool:
        """Enqueue a configuration, and return whether it is new."""
        if any(_is_same(values, one) for one in self._there):
            return False
        self._study.optuna.enqueue_trial(self._space.stored(values), {attributes.WARM: label})
        self._there.append(values)
        return True


def _is_same(one: Values, other: Values) -> bool:
    return one.keys() == other.keys() and all(_is_equal(one[name], other[name]) for name in one)


def _is_equal(one: Value, other: Value) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=1e-5)  # a database may round
    return one == other


def _enqueue(
    trials: _Configurations, space: Space, label: str, recipe: dict[str, Any]
) -> tuple[bool, list[str]]:
    """Enqueue a configuration if it fits and is new; return whether it was, and what to tell the user."""
    try:
        fit = fitted(space, Recipe.read(recipe))
    except (MisfitError, RecipeError) as error:
        return False, [f"left out, it does not fit this space: {last_line(error)}"]
    if not trials.add(fit.values, label):
        return False, ["left out, this study has a trial of the same configuration."]
    kinds = {"moved into this space's ranges:": fit.moved, "trained here with": fit.differs}
    return True, [f"{words} {', '.join(changes)}." for words, changes in kinds.items() if changes]


def _best_of(storage: RetryingStorage | None, name: str) -> Configurations:
    """Return the best configurations of a study, each once, whatever state the study is in."""
    if storage is None:
        raise UsageError(f"--warm-start names study {name!r}, but there are no studies here yet.")
    older = open_study(storage, name)
    rows = older.rows()
    best: list[TrialRow] = []
    for row in best_rows(rows, len(rows)):
        if all(row.recipe != one.recipe for one in best):
            best.append(row)
    return {f"from study {name}, trial {row.number}": row.recipe or {} for row in best[:CANDIDATES]}


def _is_file(source: str) -> bool:
    """Return whether a file is meant, which may not exist."""
    return "/" in source or source.endswith(ENDINGS)


def _storage_if_there(home: Home, url: str) -> RetryingStorage | None:
    try:
        return existing_storage(home, url)
    except UsageError:
        return None


def _taken(storage: RetryingStorage | None, study: str) -> set[str]:
    """Return the sources whose configurations a study, if it exists, has."""
    found = summaries(storage) if storage is not None else []
    notes = (
        one.user_attrs.get(attributes.WARM_SOURCES) for one in found if one.study_name == study
    )
    return {name for note in notes if isinstance(note, dict) for name in note}


def _noted(study: SearchStudy) -> Sources:
    return study.note(attributes.WARM_SOURCES) or {}

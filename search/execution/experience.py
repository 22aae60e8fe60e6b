"""Experience: trials of older studies, noted with a study at its start for the policy to learn from."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from optuna.storages import BaseStorage

from cifar_core.errors import CifarSearchError, RecipeError
from cifar_core.recipe import Recipe
from search.policy.knowledge import ExperienceRecord
from search.study import attributes
from search.study.rows import TrialRow
from search.study.settings import LARGEST_LR, Settings
from search.study.study import SearchStudy, open_study, summaries
from spaces.errors import MisfitError
from spaces.fitting import fitted
from spaces.parameter import Value
from spaces.reading import with_ranges
from spaces.space import Space

__all__ = ["note_experience", "noted_experience"]

MOST_RECORDS = 100
"""Trials that are taken in all: what a model of that size gains by more is little, and each costs time."""
MOST_STUDIES = 5
FEWEST_RECORDS = 5
"""Trials that a study must have to be taken unasked: the order of fewer says next to nothing."""
ALIKE = 0.75
"""Share of the searched fields of two studies that both must search for the older to be taken unasked."""
MOST_SCORES = 12
"""Epochs of a training of which all scores are noted."""
LARGEST_NOTE = 30_000
"""Bytes of an attribute, all of which are read with every look at the study."""
SMALLEST_LR = 1e-12

Scores = Mapping[int, float]
"""Validation accuracy by epoch, of at least one."""


def note_experience(study: SearchStudy, storage: BaseStorage) -> None:
    """Keep with a study what it may learn from others, once: at its start, before its first trial.

    So a search that is resumed decides as one that was not stopped, whatever has become of the other
    studies. Those that were named for a warm start are taken whatever they have searched, as far as their
    trials fit.

    Args:
        study: The study, which this process holds.
        storage: Where it and the others are.
    """
    settings = study.settings
    wanted = settings.experience == "on" and settings.pruner == "freeze-thaw"
    if wanted and study.note(attributes.EXPERIENCE) is None and not study.rows():
        _note(study, _shares(list(_found(study, storage))))


def noted_experience(study: SearchStudy) -> tuple[ExperienceRecord, ...]:
    """The trials of other studies that were noted at the start of this one."""
    parts = study.note(attributes.EXPERIENCE) or 0
    return tuple(
        ExperienceRecord(
            task=one["task"],
            values=one["values"],
            scores={int(epoch): score for epoch, score in one["scores"].items()},
            epochs=one["epochs"],
        )
        for part in range(1, parts + 1)
        for one in study.note(attributes.experience_part(part)) or []
    )


def _note(study: SearchStudy, records: Iterable[ExperienceRecord]) -> None:
    """Write records into as many attributes as they need, and how many these are last."""
    parts: list[list[dict[str, Any]]] = []
    room = 0
    for record in records:
        plain = {
            "task": record.task,
            "values": dict(record.values),
            "scores": {str(epoch): score for epoch, score in record.scores.items()},
            "epochs": record.epochs,
        }
        size = len(json.dumps(plain)) + 2  # with what separates it from the next
        if size > room:
            parts.append([])
            room = LARGEST_NOTE
        parts[-1].append(plain)
        room -= size
    for number, part in enumerate(parts, start=1):
        study.write(attributes.experience_part(number), part)
    study.write(attributes.EXPERIENCE, len(parts))


def _found(study: SearchStudy, storage: BaseStorage) -> Iterator[list[ExperienceRecord]]:
    """The records of each study that is named, and of the newest that are alike."""
    names: list[str] = list(study.note(attributes.WARM_SOURCES) or {})
    others = [one.study_name for one in reversed(summaries(storage))]
    space = _with_any_rate(study.settings.space)
    count = 0
    for name in dict.fromkeys([*names, *others]):
        if name == study.name:
            continue
        try:
            older = open_study(storage, name)
        except CifarSearchError:
            continue  # a file, or a study that cannot be read any more: the search does not need it
        if name not in names and not _alike(study.settings, older.settings):
            continue
        rows = [(row, scores) for row in older.rows() if (scores := _scores(row))]
        # No more than may be needed are read closely: a study may have thousands.
        few = _best_and_spread([scores for _, scores in rows], 2 * MOST_RECORDS)
        found = (_record(space, name, *rows[index]) for index in few)
        records = [one for one in found if one is not None]
        if len(records) >= (1 if name in names else FEWEST_RECORDS):
            yield records
            count += 1
        if count == MOST_STUDIES:
            return


def _alike(own: Settings, other: Settings) -> bool:
    """The other study searches much the same on images of the same kind."""
    kinds = [(one.data.name, one.data.classes) for one in (own, other)]
    if other.seeds is not None or kinds[0] != kinds[1]:
        return False
    mine, theirs = _searched(own.space), _searched(other.space)
    return len(mine & theirs) >= ALIKE * len(mine | theirs)


def _searched(space: Space) -> set[str]:
    return {field for parameter in space.parameters.values() for field in parameter.fields()}


def _with_any_rate(space: Space) -> Space:
    """The space with measured rates open to both sides: what is measured may differ between studies."""
    anything = {"low": SMALLEST_LR, "high": LARGEST_LR}
    return with_ranges(space, dict.fromkeys(space.measured(), anything))


def _scores(row: TrialRow) -> Scores:
    """The scores of a trial that is worth reading; none of another."""
    if row.recipe is None or row.state == "failed":
        return {}
    return {epoch: score for epoch, score in row.scores.items() if epoch > 0 and isfinite(score)}


def _record(space: Space, task: str, row: TrialRow, scores: Scores) -> ExperienceRecord | None:
    """Return a trial's record in the terms of a space; None if it does not fit."""
    try:
        recipe = Recipe.read(row.recipe)
        values = fitted(space, recipe).values
    except (MisfitError, RecipeError):
        return None
    looks = {epoch: round(scores[epoch], 5) for epoch in _looks(scores, recipe.epochs)}
    if not looks:
        return None
    rounded = {name: _rounded(value) for name, value in values.items()}
    return ExperienceRecord(task, rounded, looks, recipe.epochs)


def _looks(scores: Scores, epochs: int) -> list[int]:
    """Epochs to note: all of a short training, else the end's halves, where policies compare trials."""
    there = [epoch for epoch in sorted(scores) if epoch <= epochs]
    if len(there) <= MOST_SCORES:
        return there
    halves = {(2 * epochs + share) // (2 * share) for share in (2**n for n in range(MOST_SCORES))}
    return [epoch for epoch in there if epoch in halves or epoch in {there[0], there[-1]}]


def _shares(studies: list[list[ExperienceRecord]]) -> Iterator[ExperienceRecord]:
    """As many records of each study, and more of the larger ones where the smaller ones have fewer."""
    room = MOST_RECORDS
    counts = {}
    for left, index in enumerate(sorted(range(len(studies)), key=lambda one: len(studies[one]))):
        counts[index] = min(len(studies[index]), room // (len(studies) - left))
        room -= counts[index]
    for index, records in enumerate(studies):
        for chosen in _best_and_spread([one.scores for one in records], counts[index]):
            yield records[chosen]


def _best_and_spread(trials: Sequence[Scores], count: int) -> list[int]:
    """Which of these trials to take, the best half of `count` and the others spread over all the rest."""
    # Whoever has come further is better, and among those that have come as far the more accurate.
    places = [(-max(scores), -scores[max(scores)], index) for index, scores in enumerate(trials)]
    ranked = [index for _, _, index in sorted(places)]
    best, rest = ranked[: count // 2], ranked[count // 2 :]
    few = count - len(best)
    if len(rest) > few:
        rest = [rest[(2 * step + 1) * len(rest) // (2 * few)] for step in range(few)]
    return sorted([*best, *rest])


def _rounded(value: Value) -> Value:
    return float(f"{value:.6g}") if isinstance(value, float) else value

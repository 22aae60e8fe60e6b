"""Trials as files: configurations, the origin of their scores, and networks in several forms."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_core.files import write_atomically
from cifar_core.recipe import Recipe
from search.command_lines import command_line
from search.confirmation.planning import conclusion_of
from search.errors import ServiceError, UsageError
from search.home import StudyFolder
from search.results.export.formats import ENDINGS, NETWORKS, TEXTS, Format
from search.results.export.networks import write_onnx, write_safetensors, write_weights
from search.results.export.program import program_of
from search.study import attributes
from search.study.confirmation import Confirmation
from search.study.rows import TrialRow, best_rows
from search.study.study import SearchStudy

__all__ = ["Exported", "export_best", "export_trial", "exported_file"]


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        paths: The written files.
        notes: What was not written, and why, in sentences.
    """

    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def export_best(
    study: SearchStudy,
    own: StudyFolder,
    folder: Path,
    count: int = 1,
    format_: Format = "toml",
) -> Exported:
    """Write the best complete trials of a study, named by rank.

    The winner of a confirmation is the first; the others follow by their score in the search. The trained
    network is written beside a configuration if the study has kept it: that of the trial, or else that of
    the winner's first confirming training.

    Args:
        study: The study.
        own: Its own files.
        folder: Folder for the files; created if missing.
        count: Number of trials; fewer if the study has fewer.
        format_: Format of the files.

    Raises:
        UsageError: No trial is complete, or the format holds a network and none was kept.
        ServiceError: A file cannot be written.
    """
    confirmation = _ended_confirmation(study)
    every = _ranked(study, confirmation)
    if not every:
        raise UsageError(
            f"Study {study.name} has no complete trial yet, so there is nothing to export."
        )
    paths, lacking = list[Path](), list[int]()
    for rank, row in enumerate(every[:count], start=1):
        document = _document(study, row, rank, confirmation)
        written = _write(study, own, row, document, exported_file(folder, rank, format_), format_)
        paths += written
        if len(written) < (1 if format_ in NETWORKS else 2):
            lacking.append(row.number)
    if not paths:
        raise UsageError(
            f"{_trials(lacking)} of study {study.name} no trained network: the search kept those of its "
            f"{study.budget.keep} best. Train {_them(lacking)} anew: "
            f"{command_line('export', study.name, top=count)}, then cifar-search train FILE"
        )
    notes = list[str]()
    if len(every) < count:
        notes.append(
            f"{_files(len(every))} written, and not {count}: study {study.name} has "
            f"{_complete(len(every))}. Trials that were stopped early are exported by number: "
            f"{command_line('export', study.name, trial='N')}"
        )
    if lacking and count > 1:
        there = "only configurations were written" if format_ in TEXTS else "nothing was written"
        there = "programs were written without weights" if format_ == "python" else there
        notes.append(
            f"{_trials(lacking)} no kept network, so {there} of {_them(lacking)}. A search keeps more with "
            f"--keep {count}; cifar-search train FILE trains one anew."
        )
    return Exported(tuple(paths), tuple(notes))


def export_trial(
    study: SearchStudy, own: StudyFolder, folder: Path, number: int, format_: Format = "toml"
) -> Exported:
    """Write any trial of a study that was started, whether or not it is complete.

    Args:
        study: The study.
        own: Its own files.
        folder: Folder for the files; created if missing.
        number: The trial.
        format_: Format of the files.

    Raises:
        UsageError: There is no such trial, it was never started, or the format holds a network and none was
            kept.
        ServiceError: A file cannot be written.
    """
    rows = {row.number: row for row in study.rows()}
    row = rows.get(number)
    if row is None or row.recipe is None:
        started = [one.number for one in rows.values() if one.recipe is not None]
        known = f"it has {len(started)} that were started" if started else "none was started yet"
        raise UsageError(f"Study {study.name} has no trial {number} with a recipe; {known}.")
    path = folder / f"trial-{number}{ENDINGS[format_]}"
    document = _document(study, row, None, _ended_confirmation(study))
    paths = _write(study, own, row, document, path, format_)
    recipe = path.with_suffix(".toml")
    if not paths:
        again = command_line("export", study.name, trial=number)
        raise UsageError(
            f"Trial {number} of study {study.name} has no kept network, so there is no {path.name}. For "
            f"its recipe: {again}. To train it: {command_line('train', recipe)}"
        )
    notes = list[str]()
    if len(paths) == 1 and format_ in TEXTS:
        notes.append(
            f"Trial {number} has no kept network, so this is its recipe alone. To train it: "
            f"{command_line('train', path)}"
        )
    elif len(paths) == 1 and format_ == "python":
        notes.append(f"Trial {number} has no kept network; to train it, run the program.")
    return Exported(tuple(paths), tuple(notes))


def exported_file(folder: Path, rank: int = 1, format_: Format = "toml") -> Path:
    """Return the file of the configuration with this rank."""
    return folder / f"best-{rank}{ENDINGS[format_]}"


def _write(
    study: SearchStudy,
    own: StudyFolder,
    row: TrialRow,
    document: dict[str, Any],
    path: Path,
    format_: Format,
) -> list[Path]:
    """Write one trial; return its file and that of its weights, as far as they could be written."""
    kept = next(
        (
            one
            for one in (own.checkpoint(row.number), own.confirmation(row.number, 1))
            if one.exists()
        ),
        None,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if format_ in NETWORKS:
            if kept is None:
                path.unlink(missing_ok=True)  # of another trial, which had this rank before
                return []
            (write_onnx if format_ == "onnx" else write_safetensors)(kept, path, document)
            return [path]
        weights = path.with_suffix(".pt")
        if format_ == "python":
            text = program_of(document, path.name, None if kept is None else weights.name)
        else:
            text = TEXTS[format_](document)
        write_atomically(path, text.encode())
        if kept is None:
            weights.unlink(missing_ok=True)
            return [path]
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}.") from error
    write_weights(kept, weights)
    return [path, weights]


def _trials(numbers: list[int]) -> str:
    listed = ", ".join(map(str, sorted(numbers)))
    return f"Trial {listed} has" if len(numbers) == 1 else f"Trials {listed} have"


def _them(numbers: list[int]) -> str:
    return "it" if len(numbers) == 1 else "them"


def _files(count: int) -> str:
    return "1 configuration was" if count == 1 else f"{count} configurations were"


def _complete(count: int) -> str:
    return "1 complete trial" if count == 1 else f"{count} complete trials"


def _ended_confirmation(study: SearchStudy) -> Confirmation | None:
    found = conclusion_of(study)
    return found if found is not None and found.ended else None


def _ranked(study: SearchStudy, confirmation: Confirmation | None) -> list[TrialRow]:
    rows = study.rows()
    best = best_rows(rows, len(rows))
    winner = None if confirmation is None else confirmation.winner
    return sorted(best, key=lambda row: row.number != winner)


def _confirmed(confirmation: Confirmation, number: int) -> dict[str, Any]:
    """Return a confirmation's conclusion about a trial, for the origin of its score; empty for most."""
    found = confirmation.of(number)
    if found is None:
        return {}
    return {
        "confirmed": {
            "winner": number == confirmation.winner,
            "validation_accuracy": found.mean,
            "half_width": found.half_width,
            "level": confirmation.level,
            "seeds": found.seeds,
            "images": confirmation.images.described(),
            "verdict": confirmation.verdict,
        }
    }


def _document(
    study: SearchStudy, row: TrialRow, rank: int | None, confirmation: Confirmation | None
) -> dict[str, Any]:
    """Return a trial's configuration; without its origin if it was not trained for an epoch."""
    settings, code = study.settings, study.note(attributes.OWN_CODE)
    recipe = Recipe.read(row.recipe, f"the recipe of trial {row.number}")
    document = {"recipe": row.recipe, "preprocessing": _preprocessing(study, recipe)}
    if row.validation_accuracy is None:
        return document
    when = (
        "the last epoch"
        if row.epochs == recipe.epochs
        else f"epoch {row.epochs} of {recipe.epochs}"
    )
    return document | {
        "provenance": {
            "study": study.name,
            "space": settings.space.name,
            "scale": settings.scale,
            "trial": row.number,
            **({} if rank is None else {"rank": rank}),
            "seed": row.seed,
            "validation_accuracy": row.validation_accuracy,
            "epochs": row.epochs,
            "score": f"validation accuracy after {when}, one run; the test split was not opened",
            **({} if confirmation is None else _confirmed(confirmation, row.number)),
            "recipe_digest": recipe.digest,
            "data": settings.data.model_dump(mode="json"),
            "versions": study.note(attributes.VERSIONS) or {},
            **({} if code is None else {"own_code": code}),
        },
    }


def _preprocessing(study: SearchStudy, recipe: Recipe) -> dict[str, Any]:
    """The network's input and output: ``(pixels - mean) / std`` for pixels from 0 to 1, and the classes."""
    statistics = study.note(attributes.PIXELS) or {}  # older studies have none
    if recipe.normalization == "symmetric":
        statistics = {"mean": [0.5] * 3, "std": [0.5] * 3}
    return {
        "normalization": recipe.normalization,
        **statistics,
        "classes": list(study.data.class_names),
    }

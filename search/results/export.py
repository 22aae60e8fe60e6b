"""Files of the best configurations: recipes, and the origin of their scores."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tomli_w
import yaml

from cifar_core.data import cifar10, synthetic
from cifar_core.data.dataset import SYNTHETIC
from cifar_core.files import write_atomically
from cifar_core.recipe import Recipe
from search.confirmation.planning import conclusion_of
from search.errors import ServiceError, UsageError
from search.home import StudyFolder
from search.study import attributes
from search.study.confirmation import Confirmation
from search.study.rows import TrialRow, best_rows
from search.study.study import SearchStudy

__all__ = ["FORMATS", "Format", "export_best", "export_weights", "exported_file"]

Format = Literal["toml", "json", "yaml"]

FORMATS: dict[Format, Callable[[dict[str, Any]], str]] = {
    "toml": tomli_w.dumps,
    "json": lambda document: json.dumps(document, indent=2) + "\n",
    "yaml": lambda document: yaml.safe_dump(document, sort_keys=False),
}


def export_best(
    study: SearchStudy,
    own: StudyFolder,
    folder: Path,
    count: int = 1,
    format_: Format = "toml",
) -> list[Path]:
    """Write the best complete trials of a study, a file each, named by rank.

    The winner of a confirmation is the first; the others follow by their score in the search. The trained
    network is written beside it if the study has kept it: that of the trial, or else that of the winner's
    first confirming training.

    Args:
        study: The study.
        own: Its own files.
        folder: Folder for the files; created if missing.
        count: Number of trials; fewer if the study has fewer.
        format_: Format of the files.

    Returns:
        The written files.

    Raises:
        UsageError: No trial is complete.
        ServiceError: A file cannot be written.
    """
    confirmation = conclusion_of(study)
    if confirmation is not None and not confirmation.ended:
        confirmation = None
    best = _ranked(study, confirmation)[:count]
    if not best:
        raise UsageError(
            f"Study {study.name} has no complete trial yet, so there is nothing to export."
        )
    paths = []
    for rank, row in enumerate(best, start=1):
        path = exported_file(folder, rank, format_)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            document = _document(study, row, rank, confirmation)
            write_atomically(path, FORMATS[format_](document).encode())
        except OSError as error:
            raise ServiceError(f"{path} cannot be written: {error.strerror}.") from error
        kept = own.checkpoint(row.number)
        if not kept.exists():
            kept = own.confirmation(row.number, 1)
        weights = export_weights(kept, path.with_suffix(".pt"))
        paths += [path] if weights is None else [path, weights]
    return paths


def exported_file(folder: Path, rank: int = 1, format_: Format = "toml") -> Path:
    """Return the file of the configuration with this rank."""
    return folder / f"best-{rank}.{format_}"


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
    study: SearchStudy, row: TrialRow, rank: int, confirmation: Confirmation | None
) -> dict[str, Any]:
    settings = study.settings
    recipe = Recipe.read(row.recipe, f"the recipe of trial {row.number}")
    return {
        "recipe": row.recipe,
        "preprocessing": _preprocessing(study, recipe),
        "provenance": {
            "study": study.name,
            "space": settings.space.name,
            "scale": settings.scale,
            "trial": row.number,
            "rank": rank,
            "seed": row.seed,
            "validation_accuracy": row.validation_accuracy,
            "epochs": row.epochs,
            "score": "validation accuracy after the last epoch, one run; the test split was not opened",
            **({} if confirmation is None else _confirmed(confirmation, row.number)),
            "recipe_digest": recipe.digest,
            "data": settings.data.model_dump(mode="json"),
            "versions": study.note(attributes.VERSIONS) or {},
        },
    }


def _preprocessing(study: SearchStudy, recipe: Recipe) -> dict[str, Any]:
    """The network's input and output: ``(pixels - mean) / std`` for pixels from 0 to 1, and the classes."""
    classes = synthetic.CLASSES if study.data.name == SYNTHETIC else cifar10.CLASSES
    statistics = study.note(attributes.PIXELS) or {}  # older studies have none
    if recipe.normalization == "symmetric":
        statistics = {"mean": [0.5] * 3, "std": [0.5] * 3}
    return {"normalization": recipe.normalization, **statistics, "classes": list(classes)}


def export_weights(checkpoint: Path, path: Path) -> Path | None:
    """Write the network of a trial to its own file, if its checkpoint was kept.

    Args:
        checkpoint: The trial's checkpoint.
        path: The file to write: a dictionary of tensors, as `Module.load_state_dict` takes it.

    Returns:
        `path`, or None if there is no checkpoint; an older file, of another trial, is then removed.

    Raises:
        ServiceError: The file cannot be written, or the checkpoint is damaged.
    """
    if not checkpoint.exists():
        path.unlink(missing_ok=True)
        return None
    from cifar_core.checkpoint import load_state, save_state  # which import PyTorch
    from cifar_core.errors import CheckpointError

    try:
        save_state(load_state(checkpoint)["network"], path)
    except (CheckpointError, KeyError) as error:
        raise ServiceError(f"The trained network cannot be exported: {error}") from error
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}.") from error
    return path

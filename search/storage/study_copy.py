"""Copy a study into another home or storage, completely or not at all."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import FrozenTrial, TrialState

from cifar_core.files import write_atomically
from search.errors import ServiceError, UsageError
from search.home import Home, StudyFolder
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import StudyLock
from search.study import attributes
from search.study.study import SearchStudy, open_study, was_never_finished
from search.study.trial_states import is_paused

__all__ = ["Copied", "copy_study"]

NOT_COPIED = {
    attributes.SETTINGS,
    attributes.COPY_OF,
    attributes.HOLDER,
    attributes.IDENTITY,
    attributes.STOP_REQUEST,
}
"""Notes that are not copied with the others: they belong to one study, or are written first or last."""
ARTIFACT = "artifacts:"
"""The prefix of the names under which Optuna lists artifacts."""


@dataclass(frozen=True)
class Copied:
    """The result of copying a study.

    Attributes:
        study: The copy.
        trials: The number of its trials.
        unfinished: The number of its trials that can continue from their checkpoint.
        lacking: A sentence for each thing that could not be copied because it was missing.
    """

    study: SearchStudy
    trials: int
    unfinished: int
    lacking: tuple[str, ...]


def copy_study(
    home: Home,
    storage: RetryingStorage,
    study: str | None,
    to_home: Home,
    to_storage: RetryingStorage,
    name: str | None,
) -> Copied:
    """Copy a study with its trials, notes, checkpoints and artifacts.

    Neither the study nor its copy can run meanwhile. The copy's settings are written last: without them it
    is not yet a study of the service, and the next copy of this name removes what there is of it.

    Args:
        home: The home of the study's files.
        storage: The storage of the study.
        study: The study's name; None for the newest.
        to_home: The home of the copy's files; it must exist.
        to_storage: The storage of the copy.
        name: The copy's name; by default the study's.

    Raises:
        UsageError: There is no such study, or the copy cannot have this name.
        ServiceError: One of the two is running, or something cannot be read or written.
    """
    source = open_study(storage, study)
    name = name or source.name
    _check(source, name, to_storage)
    lock = StudyLock(home, storage, source.name)
    with ExitStack() as locked:
        if storage.read_only:
            lock.check_free()
        else:
            locked.enter_context(lock)
        to = locked.enter_context(StudyLock(to_home, to_storage, name))
        own, other = lock.folder, to.folder
        source = open_study(storage, source.name)  # as it is now that nobody runs it
        trials = source.optuna.get_trials(deepcopy=False)
        _make_room(to_home, other, to_storage, name)
        try:
            made = _begin(source, to_home, to_storage, name, to.identity)
            for trial in trials:
                _add(trial, made, to_storage)
            unfinished = [
                trial for trial in trials if trial.state is TrialState.RUNNING or is_paused(trial)
            ]
            lacking = [*_copy_files(own, other, unfinished)]
            lacking += _copy_artifacts(source.optuna, trials, home, to_home)
        except OSError as error:
            raise ServiceError(
                f"{error.filename or to_home.root} cannot be copied: {error.strerror}. "
                "Run the same command again to copy it from the start."
            ) from error
        for key, value in source.optuna.user_attrs.items():
            if key not in NOT_COPIED:
                made.set_user_attr(key, value)
        made.set_user_attr(attributes.SETTINGS, source.note(attributes.SETTINGS))
        resumable = sum(trial.number in other.checkpoints() for trial in unfinished)
        return Copied(open_study(to_storage, name), len(trials), resumable, tuple(lacking))


def _check(source: SearchStudy, name: str, to_storage: RetryingStorage) -> None:
    if source.settings.pruner == "hyperband" and name != source.name:
        raise UsageError(
            f"The hyperband pruner of study {source.name} decides by the study's name, so a copy must keep "
            "it. Give --to-home without --name."
        )
    _half(to_storage, name)


def _half(storage: RetryingStorage, name: str) -> optuna.Study | None:
    """Return the incomplete study of this name that an interrupted copy or start left, or None.

    Raises:
        UsageError: There is a complete study of this name.
    """
    if name not in optuna.get_all_study_names(storage):
        return None
    there = optuna.load_study(storage=storage, study_name=name)
    if not was_never_finished(there):
        raise UsageError(
            f"The destination already has a study named {name}. Give another --name, or --to-home."
        )
    return there


def _make_room(home: Home, folder: StudyFolder, storage: RetryingStorage, name: str) -> None:
    """Remove the remains of an interrupted copy, and nothing else."""
    half = _half(storage, name)
    files = [*_files(folder)]
    if half is not None:
        note = half.user_attrs.get(attributes.COPY_OF)
        if note is not None and note["to"] == str(home.root.resolve()):
            for file in files:
                file.unlink()
            files = []
    if files:
        raise UsageError(
            f"The home {home.root} has checkpoints of another study named {name}. Give another --name or "
            "--to-home."
        )
    if half is not None:
        optuna.delete_study(storage=storage, study_name=name)


def _begin(
    source: SearchStudy, to_home: Home, to_storage: RetryingStorage, name: str, identity: str
) -> optuna.Study:
    made = optuna.create_study(storage=to_storage, study_name=name, direction="maximize")
    note = {
        "study": source.name,
        "host": socket.gethostname(),
        "to": str(to_home.root.resolve()),
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    made.set_user_attr(attributes.COPY_OF, note)  # first: it marks what may be removed
    made.set_user_attr(attributes.IDENTITY, identity)
    for key, value in _system_attributes(source.optuna).items():
        to_storage.set_study_system_attr(made._study_id, key, value)  # noqa: SLF001 - as optuna.copy_study does
    return made


def _add(trial: FrozenTrial, made: optuna.Study, storage: RetryingStorage) -> None:
    number = storage.create_new_trial(made._study_id, template_trial=trial)  # noqa: SLF001 - see above
    if storage.get_trial(number).number != trial.number:
        raise ServiceError(
            f"Trials before number {trial.number} were removed from the study. Checkpoints are found by "
            "number, so it cannot be copied."
        )


def _files(folder: StudyFolder) -> Iterator[Path]:
    """Yield the files needed to continue: checkpoints, and what is done of an LR-range test that is not."""
    for number in sorted(folder.checkpoints()):
        yield folder.checkpoint(number)
    yield from sorted(folder.sweeps.rglob("*.json"))
    yield from folder.confirmations()


def _copy_files(
    own: StudyFolder, other: StudyFolder, unfinished: list[FrozenTrial]
) -> Iterator[str]:
    for file in _files(own):
        target = other.root / file.relative_to(own.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, file.read_bytes())
    there = own.checkpoints()
    for trial in unfinished:
        if trial.intermediate_values and trial.number not in there:
            yield f"Trial {trial.number} restarts from epoch 1: it has no checkpoint."


def _copy_artifacts(
    study: optuna.Study, trials: list[FrozenTrial], home: Home, to_home: Home
) -> Iterator[str]:
    if home.artifacts.resolve() == to_home.artifacts.resolve():
        return  # both studies refer to the same files
    every = chain(
        _system_attributes(study).items(), *(trial.system_attrs.items() for trial in trials)
    )
    entries = [json.loads(value) for key, value in every if key.startswith(ARTIFACT)]
    if not entries:
        return
    to_home.artifacts.mkdir(parents=True, exist_ok=True)
    kept, copied = (FileSystemArtifactStore(one.artifacts) for one in (home, to_home))
    for entry in entries:
        try:
            with kept.open_reader(entry["artifact_id"]) as file:
                copied.write(entry["artifact_id"], file)
        except (ArtifactNotFound, ValueError):
            yield f"The artifact {entry['filename']} is not in the home {home.root}."


def _system_attributes(study: optuna.Study) -> dict[str, Any]:
    return study._storage.get_study_system_attrs(study._study_id)  # noqa: SLF001 - as optuna.copy_study does

"""A study copied into another home or storage, whole or not at all."""

import json
import socket
from collections.abc import Iterator
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
from search.storage.study_lock import held
from search.study import attributes
from search.study.study import SearchStudy, open_study, was_never_finished
from search.study.trial_states import is_paused

__all__ = ["Copied", "copy_study"]

OF_THE_PLACE = {attributes.SETTINGS, attributes.COPY_OF, attributes.HOLDER, attributes.STOP_REQUEST}
"""Notes that are not copied with the others: who runs a study, and what comes first or last in a copy."""
ARTIFACT = "artifacts:"
"""What the names of Optuna's entries of artifacts begin with."""


@dataclass(frozen=True)
class Copied:
    """What has become of a copy.

    Attributes:
        study: The copy.
        trials: Trials in it.
        unfinished: Those of them that go on from their checkpoint.
        lacking: What could not be copied because it was not there, a sentence each.
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

    Neither the study nor its copy can be run meanwhile. The copy's settings are written last: without
    them it is no study of ours, and the next copy of this name removes what there is of it.

    Args:
        home: Where the study's files are.
        storage: Where the study is.
        study: Its name; None for the newest.
        to_home: Where the copy's files shall be; it must have been made.
        to_storage: Where the copy shall be.
        name: The copy's name; the study's by default.

    Raises:
        UsageError: There is no such study, or there can be no such copy.
        ServiceError: One of the two is running, or something cannot be read or written.
    """
    source = open_study(storage, study)
    name = name or source.name
    own, other = home.study(source.name), to_home.study(name)
    _check(source, own, other, to_storage)
    other.create()
    with held(home, storage, source.name), held(to_home, to_storage, name):
        source = open_study(storage, source.name)  # as it stands now that nobody runs it
        trials = source.optuna.get_trials(deepcopy=False)
        _make_room(to_home, other, to_storage, name)
        try:
            made = _begin(source, to_home, to_storage, name)
            for trial in trials:
                _add(trial, made, to_storage)
            unfinished = [
                trial for trial in trials if trial.state is TrialState.RUNNING or is_paused(trial)
            ]
            lacking = [*_copy_states(own, other, unfinished)]
            lacking += _copy_artifacts(source.optuna, trials, home, to_home)
        except OSError as error:
            raise ServiceError(
                f"{error.filename or to_home.root} cannot be copied: {error.strerror}. "
                "The same command makes the copy anew."
            ) from error
        for key, value in source.optuna.user_attrs.items():
            if key not in OF_THE_PLACE:
                made.set_user_attr(key, value)
        made.set_user_attr(attributes.SETTINGS, source.note(attributes.SETTINGS))
        going_on = sum(trial.number in other.checkpoints() for trial in unfinished)
        return Copied(open_study(to_storage, name), len(trials), going_on, tuple(lacking))


def _check(
    source: SearchStudy, own: StudyFolder, other: StudyFolder, to_storage: RetryingStorage
) -> None:
    name = other.root.name
    if own.root.resolve() == other.root.resolve():
        raise UsageError(
            f"A home keeps the files of one study named {name}. Give --to-home or --name."
        )
    if source.settings.pruner == "hyperband" and name != source.name:
        raise UsageError(
            f"The hyperband pruner of study {source.name} decides by the study's name too: "
            "a copy keeps it. Give --to-home without --name."
        )
    _half(to_storage, name)


def _half(storage: RetryingStorage, name: str) -> optuna.Study | None:
    """What an interrupted copy, or start, has left behind under this name.

    Raises:
        UsageError: It is a study.
    """
    if name not in optuna.get_all_study_names(storage):
        return None
    there = optuna.load_study(storage=storage, study_name=name)
    if not was_never_finished(there):
        raise UsageError(
            f"There is a study named {name} already where the copy shall be. Give another --name."
        )
    return there


def _make_room(home: Home, folder: StudyFolder, storage: RetryingStorage, name: str) -> None:
    """Remove what there is of an interrupted copy, and nothing else."""
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
            f"The home {home.root} has states of another study named {name}. Give another --name, "
            "or another --to-home."
        )
    if half is not None:
        optuna.delete_study(storage=storage, study_name=name)


def _begin(
    source: SearchStudy, to_home: Home, to_storage: RetryingStorage, name: str
) -> optuna.Study:
    made = optuna.create_study(storage=to_storage, study_name=name, direction="maximize")
    note = {
        "study": source.name,
        "host": socket.gethostname(),
        "to": str(to_home.root.resolve()),
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    made.set_user_attr(attributes.COPY_OF, note)  # first: it tells what is ours to remove
    for key, value in _system_attributes(source.optuna).items():
        to_storage.set_study_system_attr(made._study_id, key, value)  # noqa: SLF001 - as optuna.copy_study does
    return made


def _add(trial: FrozenTrial, made: optuna.Study, storage: RetryingStorage) -> None:
    number = storage.create_new_trial(made._study_id, template_trial=trial)  # noqa: SLF001 - see above
    if storage.get_trial(number).number != trial.number:
        raise ServiceError(
            f"Trials before number {trial.number} are missing in the study: somebody has removed them. "
            "Checkpoints are found by number, so it cannot be copied."
        )


def _files(folder: StudyFolder) -> Iterator[Path]:
    """What is needed to go on: checkpoints, and the sweeps of an LR-range test that is not over."""
    for number in sorted(folder.checkpoints()):
        yield folder.checkpoint(number)
    yield from sorted(folder.sweeps.rglob("*.json"))


def _copy_states(
    own: StudyFolder, other: StudyFolder, unfinished: list[FrozenTrial]
) -> Iterator[str]:
    for file in _files(own):
        target = other.root / file.relative_to(own.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, file.read_bytes())
    there = own.checkpoints()
    for trial in unfinished:
        if trial.intermediate_values and trial.number not in there:
            yield f"Trial {trial.number} begins again with epoch 1: there is no checkpoint of it."


def _copy_artifacts(
    study: optuna.Study, trials: list[FrozenTrial], home: Home, to_home: Home
) -> Iterator[str]:
    if home.artifacts.resolve() == to_home.artifacts.resolve():
        return  # both studies name the same files
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

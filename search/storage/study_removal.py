"""Delete a study with its files, or give it another name."""

import shutil
from collections.abc import Iterator

import optuna
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta
from sqlalchemy import column, table, update
from sqlalchemy.exc import IntegrityError

from search.errors import ServiceError, UsageError
from search.home import Home
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import StudyLock
from search.study.study import open_study

__all__ = ["delete_study", "rename_study"]

_STUDIES = table("studies", column("study_name"))


def delete_study(home: Home, storage: RetryingStorage, name: str) -> int:
    """Delete a study that is not running, with its checkpoints, logs and artifacts.

    Exported files stay. The study goes first, so what is left after a kill belongs to no study.

    Args:
        home: The home of its files.
        storage: Where it is.
        name: Its name.

    Returns:
        The number of its trials.

    Raises:
        UsageError: There is no such study.
        ServiceError: It is running, or a file cannot be removed.
    """
    study = open_study(storage, name).optuna
    with StudyLock(home, storage, name) as lock:
        trials = len(study.get_trials(deepcopy=False))
        others = [one for one in optuna.get_all_study_names(storage) if one != name]
        shared = {one for other in others for one in _artifacts(storage, other)}
        artifacts = set(_artifacts(storage, name)) - shared  # a copy refers to the same files
        optuna.delete_study(study_name=name, storage=storage)
        lock.forget()
        try:
            store = FileSystemArtifactStore(home.artifacts)
            for artifact in artifacts:
                if (home.artifacts / artifact).is_file():
                    store.remove(artifact)
            shutil.rmtree(lock.folder.root)
        except OSError as error:
            raise ServiceError(
                f"The study is deleted, but {error.filename} could not be removed: {error.strerror}."
            ) from error
    return trials


def rename_study(home: Home, storage: RetryingStorage, name: str, new: str) -> None:
    """Give a study that is not running another name; its own files are found by its identity.

    Args:
        home: The home of its files.
        storage: Where it is.
        name: Its name.
        new: The new name.

    Raises:
        UsageError: There is no such study, another has the new name, or the study's choices depend on its
            name.
        ServiceError: It is running.
    """
    study = open_study(storage, name)
    home.study(new)  # refuses what cannot be the name of a study
    if study.settings.pruner == "hyperband":
        raise UsageError(
            f"The hyperband pruner of study {name} decides by the study's name, so it must keep it."
        )
    with StudyLock(home, storage, name) as lock:
        change = update(_STUDIES).where(_STUDIES.c.study_name == name).values(study_name=new)
        try:
            with storage.engine.begin() as connection:
                connection.execute(change)
        except IntegrityError as error:
            raise UsageError(
                f"There is already a study named {new}. Choose another name."
            ) from error
        lock.forget()


def _artifacts(storage: RetryingStorage, name: str) -> Iterator[str]:
    """Yield the identifiers of a study's artifacts, and of its trials'."""
    study = optuna.load_study(study_name=name, storage=storage)
    found = get_all_artifact_meta(study)
    for trial in study.get_trials(deepcopy=False):
        found += get_all_artifact_meta(trial, storage=storage)
    yield from (one.artifact_id for one in found)

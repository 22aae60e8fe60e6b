"""The folder of a study's own files in a home: found by the study's identity, whatever its name.

A study gets its identity when it is first run; both the study and its folder note it. So a study that was
renamed keeps its checkpoints, and studies of one name in two storages have a folder each.
"""

import secrets
from typing import Any

from optuna.storages import BaseStorage

from search.errors import UsageError
from search.home import Home, StudyFolder
from search.storage.retrying import RetryingStorage
from search.storage.urls import place_of
from search.study.attributes import IDENTITY

__all__ = ["folder_of", "folder_to_run_in", "identity_to_run_with", "notes_of"]


def folder_of(home: Home, storage: BaseStorage, study: str) -> StudyFolder:
    """Return the folder of a study. Neither the study nor the folder need exist.

    Raises:
        UsageError: No study can have this name.
    """
    identity = notes_of(storage, study).get(IDENTITY)
    return home.study(study, identity if isinstance(identity, str) else None)


def identity_to_run_with(home: Home, storage: RetryingStorage, study: str) -> str:
    """Return the identity of a study, or one for a study that has none yet.

    `optuna.copy_study` copies the identity along with the other notes. Of two studies with one identity,
    the one that the folder's note names keeps it; if that one was renamed, the first that is run.
    """
    own = notes_of(storage, study).get(IDENTITY)
    studies = storage.get_all_studies()
    others = {one.study_name: one.user_attrs.get(IDENTITY) for one in studies}
    others.pop(study, None)
    if isinstance(own, str):
        sharing = {name for name, identity in others.items() if identity == own}
        noted = home.study(study, own).read_note().get("study")
        if not sharing or (isinstance(noted, str) and noted not in sharing):
            return own
        return secrets.token_hex(8)
    left = home.study(study)  # perhaps by a process that was killed before it had made the study
    if left.identity is None or left.identity in others.values() or not _is_of(left, home, storage):
        return secrets.token_hex(8)
    return left.identity


def folder_to_run_in(
    home: Home, storage: RetryingStorage, study: str, identity: str
) -> StudyFolder:
    """Return the folder in which a study is to be run.

    Raises:
        UsageError: It has checkpoints of the same study in another storage, so this one is a copy of it.
    """
    folder = home.study(study, identity)
    if _is_of(folder, home, storage) or not folder.checkpoints():
        return folder
    if folder.identity is None:  # it was made by an earlier version, for a study of the same name
        return StudyFolder(folder.root.with_name(f"{folder.root.name}-{identity[:8]}"))
    raise UsageError(
        f"{folder.root} belongs to study {study} in {folder.read_note()['storage']}, of which the one in "
        f"{place_of(home, storage.url)} is a copy. Run the copy in another --home, or remove that folder."
    )


def _is_of(folder: StudyFolder, home: Home, storage: RetryingStorage) -> bool:
    """Return whether a folder belongs to this storage, or to one whose file is no longer there."""
    place = place_of(home, storage.url)
    before = folder.read_note().get("storage", place)
    if not isinstance(before, str):
        return True  # a damaged note says nothing
    return before == place or ("://" not in before and not (home.root / before).exists())


def notes_of(storage: BaseStorage, study: str) -> dict[str, Any]:
    """Return a study's notes; none if there is no such study."""
    try:
        return storage.get_study_user_attrs(storage.get_study_id_from_name(study))
    except KeyError:
        return {}

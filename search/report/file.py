"""The report as a file, and among the artifacts of its study."""

import json
from pathlib import Path

from optuna.artifacts import FileSystemArtifactStore, upload_artifact

from cifar_core.files import write_atomically
from search.errors import ServiceError
from search.home import REPORT
from search.report.page import page_of
from search.report.record import ReportRecord
from search.study.study import SearchStudy

__all__ = ["keep_as_artifact", "write_report"]

ARTIFACT = "artifacts:"
"""The prefix of the names under which Optuna lists artifacts."""


def write_report(record: ReportRecord, path: Path) -> None:
    """Write a report.

    Raises:
        ServiceError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page_of(record).encode())
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}.") from error


def keep_as_artifact(study: SearchStudy, artifacts: Path, path: Path) -> None:
    """Put a written report among the artifacts of its study, in the place of an older one.

    Args:
        study: The study.
        artifacts: The folder of all artifacts; created if missing.
        path: The report.

    Raises:
        ServiceError: The file cannot be written.
    """
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        older = _older(study)
        if older is not None and (artifacts / older).is_file():
            write_atomically(artifacts / older, path.read_bytes())
            return
        upload_artifact(
            artifact_store=FileSystemArtifactStore(artifacts),
            file_path=str(path),
            study_or_trial=study.optuna,
            mimetype="text/html",
        )
    except OSError as error:
        raise ServiceError(
            f"The report cannot be kept in {artifacts}: {error.strerror}."
        ) from error


def _older(study: SearchStudy) -> str | None:
    """Return the identity of the report among the study's artifacts; None without one.

    Optuna's own list of artifacts fails at one that was deleted in the dashboard: its entry is null.
    """
    own = study.optuna
    every = own._storage.get_study_system_attrs(own._study_id)  # noqa: SLF001 - as optuna.copy_study does
    entries = [json.loads(value) for key, value in every.items() if key.startswith(ARTIFACT)]
    found = [one["artifact_id"] for one in entries if one is not None and one["filename"] == REPORT]
    return str(found[-1]) if found else None

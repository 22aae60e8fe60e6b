"""The report as a file, and among the artifacts of its study."""

from pathlib import Path

from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact

from cifar_core.files import write_atomically
from search.errors import ServiceError
from search.home import Home
from search.report.page import page_of
from search.report.record import ReportRecord
from search.study.study import SearchStudy

__all__ = ["keep_as_artifact", "report_file", "write_report"]

NAME = "report.html"


def report_file(home: Home, study: str) -> Path:
    """Return the file of a study's report, beside its exported configurations."""
    return home.exports(study) / NAME


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
        there = [one for one in get_all_artifact_meta(study.optuna) if one.filename == NAME]
        if there and (artifacts / there[-1].artifact_id).is_file():
            write_atomically(artifacts / there[-1].artifact_id, path.read_bytes())
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

"""The report as a file and as an artifact of its study."""

import json
from pathlib import Path

import pytest
from optuna.artifacts import get_all_artifact_meta

from search.errors import ServiceError
from search.report.file import keep_as_artifact, write_report
from tests.search.report.records import record, trial
from tests.search.scripted import new_study


def test_a_newer_report_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    study, file, artifacts = new_study(), tmp_path / "out" / "report.html", tmp_path / "artifacts"
    for name in ("first", "second"):
        write_report(record([trial(0, 0.5)], name), file)
        keep_as_artifact(study, artifacts, file)
        (one,) = get_all_artifact_meta(study.optuna)
        assert (one.filename, one.mimetype) == ("report.html", "text/html")
        assert f"<h1>{name}</h1>" in (artifacts / one.artifact_id).read_text(encoding="utf-8")
    assert [path.name for path in artifacts.iterdir()] == [one.artifact_id]


def test_a_report_that_was_deleted_in_the_dashboard_is_kept_anew(tmp_path: Path) -> None:
    study, file, artifacts = new_study(), tmp_path / "report.html", tmp_path / "artifacts"
    write_report(record([trial(0, 0.5)]), file)
    keep_as_artifact(study, artifacts, file)
    (one,) = get_all_artifact_meta(study.optuna)
    (artifacts / one.artifact_id).unlink()
    own = study.optuna
    own._storage.set_study_system_attr(
        own._study_id, f"artifacts:{one.artifact_id}", json.dumps(None)
    )
    keep_as_artifact(study, artifacts, file)
    (newer,) = (path for path in artifacts.iterdir())
    assert newer.name != one.artifact_id
    assert newer.read_bytes() == file.read_bytes()


def test_a_file_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match="cannot be written"):
        write_report(record([trial(0, 0.5)]), tmp_path / "file" / "report.html")

"""Studies that are deleted or renamed from the command line."""

import io
from pathlib import Path

import pytest
from optuna.artifacts import FileSystemArtifactStore, upload_artifact

from search.cli import run
from search.home import Home
from search.storage.opening import open_storage
from search.storage.study_copy import copy_study
from search.storage.study_lock import StudyLock
from search.study.study import open_study
from tests.search.commands.test_cli import make_study, printed, said


def keep_artifact(home: Path, name: str, file: Path) -> Path:
    """Keep a file among a study's artifacts; return where."""
    file.write_text(name)
    study = open_study(open_storage(Home(home).storage_url()), name).optuna
    (home / "artifacts").mkdir(exist_ok=True)
    store = FileSystemArtifactStore(home / "artifacts")
    return (
        home
        / "artifacts"
        / upload_artifact(artifact_store=store, file_path=str(file), study_or_trial=study)
    )


def test_a_study_is_deleted_with_its_files_and_no_other_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    make_study(home, "one")
    make_study(home, "two")
    own, other = (keep_artifact(home, name, tmp_path / "plot.png") for name in ("one", "two"))
    place, storage = Home(home), open_storage(Home(home).storage_url())
    copy_study(place, storage, "two", place, storage, "three")
    (home / "exports" / "one").mkdir(parents=True)
    out = printed(capsys, "studies", "--delete", "one", "--yes", "--home", str(home))
    assert out == (
        f"Deleted: study one with 3 trials. Its exported files are still in {home}/exports/one.\n"
    )
    assert not own.exists()
    assert sorted(path.name for path in (home / "studies").iterdir() if path.is_dir()) == [
        "three",
        "two",
    ]
    # A copy refers to the same artifacts.
    printed(capsys, "studies", "--delete", "two", "--yes", "--home", str(home))
    assert other.exists()
    printed(capsys, "studies", "--delete", "three", "--yes", "--home", str(home))
    assert not other.exists()
    assert "no study" in said(capsys, "status", "one", "--home", str(home), code=2).lower()


def test_nothing_is_deleted_without_a_yes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    home = tmp_path / "home"
    make_study(home)
    assert run(["studies", "--delete", "mine", "--home", str(home)]) == 130
    assert "Delete study mine with 3 trials and its checkpoints" in capsys.readouterr().err
    assert "mine" in printed(capsys, "studies", "--home", str(home))


def test_a_renamed_study_keeps_its_trials_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    before = make_study(home).rows()
    with StudyLock(Home(home), open_storage(Home(home).storage_url()), "mine") as lock:
        folder = lock.folder.root
    out = printed(capsys, "studies", "--rename", "mine", "a name / v2", "--home", str(home))
    assert "Renamed: study mine is now a name / v2." in out
    storage = open_storage(Home(home).storage_url())
    assert open_study(storage, "a name / v2").rows() == before
    with StudyLock(Home(home), storage, "a name / v2") as lock:
        assert lock.folder.root == folder


@pytest.mark.usefixtures("impatient")
def test_a_study_that_runs_or_whose_name_is_taken_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    make_study(home, "one")
    make_study(home, "two")
    where = ("--home", str(home))
    taken = said(capsys, "studies", "--rename", "one", "two", *where, code=2)
    assert "There is already a study named two." in taken
    with StudyLock(Home(home), open_storage(Home(home).storage_url()), "one"):
        for words in (("--delete", "one", "--yes"), ("--rename", "one", "three")):
            assert "already running" in said(capsys, "studies", *words, *where, code=1)
    assert "only one of" in said(
        capsys, "studies", "--delete", "one", "--rename", "one", "x", *where, code=2
    )
    out = printed(capsys, "studies", *where)
    assert "one" in out
    assert "two" in out

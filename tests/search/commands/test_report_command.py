"""The report from the command line, and the trials that `status` prints."""

import csv
import io
import json
from pathlib import Path

import pytest

from search.commands.study_log import StudyLog
from search.events import SessionStarted, SweepsProgress
from search.home import Home
from search.storage.opening import open_storage
from search.storage.study_lock import StudyLock
from tests.search.commands.test_cli import make_study
from tests.search.conftest import Here, Undisturbed
from tests.search.report.records import Page


def artifacts(home: Path) -> list[str]:
    return [path.name for path in (home / "artifacts").glob("*")]


def test_a_report_is_written_beside_the_exports_and_kept_among_the_artifacts(
    here: Here, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    make_study(home)
    for _ in range(2):
        ended = here("report", "--home", home)
        assert (ended.code, ended.err) == (0, "")
        file = Path(ended.out.strip())
        assert file == home / "exports" / "mine" / "report.html"
        (kept,) = artifacts(home)
        assert (home / "artifacts" / kept).read_bytes() == file.read_bytes()
    text = " ".join(Page(file.read_text(encoding="utf-8")).text.split())
    assert "leads with" in text
    assert "at least 10 are needed" in text  # trials, for what mattered
    assert "The trained network of trial" in text  # is not there
    assert f"cifar-search status mine --home {home}" in text
    assert f"Report: {file}" in here("status", "--home", home).out


def test_a_running_study_has_a_report_too_and_nothing_is_written_into_it(
    here: Here, tmp_path: Path
) -> None:
    home, out = tmp_path / "home", tmp_path / "so far.html"
    make_study(home)
    with StudyLock(Home(home), open_storage(Home(home).storage_url()), "mine"):
        ended = here("report", "mine", "--home", home, "--out", out)
    assert ended.out.strip() == str(out)
    assert "Still running" in out.read_text(encoding="utf-8")
    assert artifacts(home) == []


def test_a_search_writes_its_report_at_its_end_and_names_it(undisturbed: Undisturbed) -> None:
    file = undisturbed.home / "exports" / "tiny" / "report.html"
    assert f"Report: {file}" in undisturbed.ended.out
    assert undisturbed.ended.out.count("mattered") == 1
    page = Page(file.read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    assert "Learning-rate ranges" in text
    assert "One parameter at a time" in text
    assert "Most often confused: " in text  # the winner was measured on its validation images
    assert page.all("img")
    names = [one.filename for one in undisturbed.database.artifacts()]
    assert names.count("report.html") == 1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a study of three trials, which no test changes."""
    home = tmp_path_factory.mktemp("made")
    make_study(home)
    return home


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "--out", "it.pdf"), "--out must end in .html, but got it.pdf."),
        (("status", "--csv", "--json"), "Give only one of --csv, --json and --watch."),
        (("status", "--trial", "1", "--top", "2"), "leave out --top, --sort and --watch."),
        (("status", "--trial", "9"), "Study mine has no trial 9; its trials are 0 to 2."),
        (("stop", "--trial", "9"), "Study mine has no trial 9; its trials are 0 to 2."),
        (("stop", "--trial", "1"), "Trial 1 is finished, so there is nothing to drop."),
        (("status", "--sort", "lr"), "--sort takes one of number, accuracy,"),
    ],
)
def test_wrong_options_are_answered_in_words(
    here: Here, made: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = here(*arguments, "--home", made)
    assert ended.code == 2
    assert words in " ".join(ended.err.split())


def test_status_prints_trials_as_csv_and_json_and_one_alone(here: Here, tmp_path: Path) -> None:
    study = make_study(tmp_path)
    best = study.optuna.best_trial
    (one,) = csv.DictReader(
        io.StringIO(here("status", "--home", tmp_path, "--csv", "--top", 1).out)
    )
    assert int(one["number"]) == best.number
    assert float(one["validation_accuracy"]) == best.value
    assert one["channels1"] == str(best.params["channels1"])
    found = json.loads(here("status", "--home", tmp_path, "--json").out)
    assert [row["number"] for row in found["trial_list"]] == [0, 1, 2]
    assert found["trials"]["total"] == 3
    alone = json.loads(here("status", "--home", tmp_path, "--json", "--trial", best.number).out)
    assert alone["scores"]["4"] == best.value
    assert f"trial {best.number}" in here("status", "--home", tmp_path, "--trial", best.number).out


def test_status_shows_the_progress_of_the_process_that_runs_the_study(
    here: Here, tmp_path: Path
) -> None:
    make_study(tmp_path)
    log = Home(tmp_path).study("mine").log
    with StudyLog() as ended:  # of an earlier session
        ended(SessionStarted("mine", log))
    lock = StudyLock(Home(tmp_path), open_storage(Home(tmp_path).storage_url()), "mine")
    with lock:
        assert json.loads(here("status", "--home", tmp_path, "--json").out)["progress"] is None
        with StudyLog() as running:
            running(SessionStarted("mine", log))
            running(SweepsProgress(3, 8, 0.5, 1.0))
            page = here("status", "--home", tmp_path).out
            found = json.loads(here("status", "--home", tmp_path, "--json").out)["progress"]
    assert "LR-range test: 0 s elapsed" in page
    assert page.splitlines()[2].endswith("  3/8 sweeps")
    assert (found["stage"], found["done"], found["total"]) == ("LR-range test", 3, 8)
    assert "elapsed" not in here("status", "--home", tmp_path).out

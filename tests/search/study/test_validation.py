"""Studies that somebody has changed by hand: one sentence for each, and the others stay in sight."""

import copy
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import InMemoryStorage

from cifar_core.errors import CifarSearchError
from search.cli import run
from search.errors import ServiceError, UsageError
from search.home import Home
from search.results.summary import summarize
from search.service import resume
from search.storage.opening import open_storage
from search.study import attributes
from search.study import validation as notes
from search.study.bounds import Bounds
from search.study.study import SearchStudy, create_or_open, open_study
from tests.search.confirmation.made_up import contender
from tests.search.confirmation.made_up import run as trained
from tests.search.scripted import NAME, ScriptedPool, enqueue_known, new_study, search

TRAINED = trained(contender(2), 1, 0.5).model_dump(mode="json")
BOUNDS = Bounds("sgd_lr", "sgd", 0.004, 0.4, 0.05, True, "measured").to_dict()


def finished_study(home: Path, storage: Any = None, name: str = NAME) -> SearchStudy:
    study = new_study(storage, trials=3, name=name)
    study.write(attributes.LR_BOUNDS, [BOUNDS])
    study.write(attributes.LR_CURVES, {"epochs": 1.5, "corners": []})
    enqueue_known(study)
    folder = Home(home).study(name)
    folder.create()
    search(study, ScriptedPool(), folder)
    return study


@pytest.fixture
def study(tmp_path: Path) -> SearchStudy:
    """A finished study in memory."""
    return finished_study(tmp_path)


def change_trial(study: SearchStudy, key: str, value: object, number: int = 1) -> None:
    """Write a note of a finished trial, which Optuna itself refuses to do."""
    storage: Any = study.optuna._storage
    assert isinstance(storage, InMemoryStorage)
    trial = storage._get_trial(study.optuna.trials[number]._trial_id)
    trial.user_attrs = {**trial.user_attrs, key: value}


def refusal(study: SearchStudy) -> str:
    """What is said when the study is opened, by name or by the same search again."""
    storage = study.optuna._storage
    with pytest.raises(ServiceError) as caught:
        open_study(storage, study.name)
    with pytest.raises(ServiceError) as again:
        create_or_open(storage, study.name, study.settings, study.budget)
    text = str(caught.value)
    assert str(again.value) == text
    assert text.startswith(f"Study {study.name} cannot be used: it was changed by hand")
    assert text.isprintable()
    assert len(text) < 800
    return text


def test_a_study_as_the_service_leaves_it_is_opened(study: SearchStudy) -> None:
    assert open_study(study.optuna._storage, NAME).settings == study.settings


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("budget", None, "budget: input should be"),
        ("budget", {"trials": "many"}, "budget.trials: input should be a valid integer"),
        ("budget", {"trials": 0}, "budget.trials: must be at least 1"),
        ("budget", {"trials": 3, "\x1b[31m": 0}, "no such key"),
        ("confirmation", {"top": 0}, "confirmation.top: must be at least 1"),
        ("confirmation:1:1", {"trial": 1}, "is missing"),
        ("confirmation:1:1", TRAINED, "belongs to trial 2, repeat 1"),
        (
            "confirmation:2:1",
            {**TRAINED, "correct": "oA=="},
            "the answers are 8 bits, but there are 2000 images",
        ),
        ("lr_bounds", "wide", "lr_bounds: input should be"),
        ("lr_bounds", [{**BOUNDS, "low": 0.0}], "lr_bounds.0.low: must be above 0"),
        ("lr_bounds", [{**BOUNDS, "high": "0.4"}], "lr_bounds.0.high: input should be"),
        ("lr_bounds", [{**BOUNDS, "how": "\x1b[31m"}], "lr_bounds.0.how: must have no control"),
        ("lr_bounds", [{"low": 0.1}], "is missing"),
        ("lr_range_curves", [1], "lr_range_curves: input should be"),
        ("lr_range_curves", {"epochs": "x"}, "lr_range_curves.epochs: input should be"),
        ("seconds", "long", "seconds: input should be a valid number"),
        ("seconds", -1.0, "seconds: must be at least 0"),
        ("versions", {"torch": None}, "versions.torch: input should be a valid string"),
        ("warm_start", ["old"], "warm_start: input should be a valid dictionary"),
        ("warm_start", {"old": ["it"]}, "warm_start.old: input should be a valid dictionary"),
        ("warm_start", {"\x1b[31m": {}}, "must have no control characters"),
    ],
)
def test_a_note_of_the_study_that_is_nonsense_is_named(
    study: SearchStudy, key: str, value: object, words: str
) -> None:
    study.write(key, value)
    assert words in refusal(study)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("recipe", "none", "trial 1: recipe: input should be"),
        ("seed", None, "trial 1: it has no seed"),
        ("seed", "0", "trial 1: seed: input should be a valid integer"),
        ("epochs", "all", "trial 1: epochs: input should be"),
        ("epochs", [{"train_loss": 1.0}], "epochs.0.validation_accuracy: is missing"),
        ("epochs", [{"validation_accuracy": "high"}], "validation_accuracy: input should be"),
        ("seconds", "long", "trial 1: seconds: input should be"),
        ("known", ["base"], "trial 1: known: input should be"),
        ("known", "\x1b[31mbase", "trial 1: known: must have no control characters"),
        ("warm_start", "\x1b[31mold", "trial 1: warm_start: must have no control characters"),
    ],
)
def test_a_note_of_a_trial_that_is_nonsense_is_named_with_the_trial(
    study: SearchStudy, key: str, value: object, words: str
) -> None:
    change_trial(study, key, value)
    assert words in refusal(study)


def test_a_complete_trial_of_another_program_counts_for_nothing(study: SearchStudy) -> None:
    study.optuna.add_trial(optuna.create_trial(value=0.99))
    found = open_study(study.optuna._storage, NAME)
    assert [row.number for row in found.rows()] == [0, 1, 2]
    assert found.complete


def test_an_unfinished_trial_whose_recipe_is_none_is_not_gone_on_with(study: SearchStudy) -> None:
    trial = study.optuna.ask()
    trial.set_user_attr("seed", 0)
    trial.set_user_attr("recipe", {"epochs": 0})
    assert "trial 3: recipe: epochs: must be at least 1, but got 0" in refusal(study)


def test_a_space_that_does_not_fit_itself_any_more_is_named(study: SearchStudy) -> None:
    plain = copy.deepcopy(study.note("settings"))
    plain["space"]["lr_range"]["base"] = "nobody"
    study.write("settings", plain)
    with pytest.raises(ServiceError, match=r"lr_range\.base: must name a known configuration"):
        open_study(study.optuna._storage, NAME)


def test_the_notes_that_are_checked_are_those_that_the_service_writes() -> None:
    names = {value for key, value in vars(attributes).items() if key.isupper()}
    for record in (notes._StudyNotes, notes._TrialNotes):
        assert record.model_fields.keys() <= names


# ------------------------------------------------------------------------- whatever stands there

NONSENSE: list[Any] = [None, True, "x", -1, 10**30, float("nan"), [], {}, [1], {"a": 1}, "\x1b[31m"]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values within a value, itself included, and two of each list."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    if isinstance(value, list):
        for index in range(min(len(value), 2)):
            yield from leaves(value[index], (*path, index))


def replaced(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    if not path:
        return new
    whole = copy.deepcopy(value)
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return whole


def test_whatever_stands_in_a_note_the_study_is_summed_up_or_refused(study: SearchStudy) -> None:
    storage = study.optuna._storage
    before = dict(study.optuna.user_attrs)
    count = refused = longest = 0
    for key, note in before.items():
        for number, path in enumerate(leaves(note)):
            value = NONSENSE[number % len(NONSENSE)]
            study.write(key, replaced(note, path, value))
            count += 1
            try:
                found = open_study(storage, NAME)
                json.dumps(summarize(found, "sqlite:///x.db", "stopped", None).to_dict())
            except CifarSearchError as error:
                refused += 1
                longest = max(longest, len(str(error)))
            except Exception as error:
                raise AssertionError(f"{key} {path} as {value!r}") from error
            finally:
                study.write(key, note)
    assert count > 100
    assert refused > count / 2
    assert longest < 1_000


# --------------------------------------------------------------------------------- on the command line


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a study, and a newer one whose budget is nonsense; they are only read."""
    home = tmp_path_factory.mktemp("changed") / "home"
    storage = open_storage(Home(home).storage_url())
    finished_study(home, storage, "good")
    finished_study(home, storage, "rotten").write(attributes.BUDGET, {"trials": "\x1b[31mmany"})
    return home


@pytest.fixture
def home(changed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That home as the one that commands look at, which open no images."""
    monkeypatch.setenv("CIFAR_SEARCH_HOME", str(changed))

    def never(*_: object) -> None:
        raise UsageError("the images were opened")

    monkeypatch.setattr(resume, "open_data", never)
    return changed


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", ["status", "export", "resume", "stop"])
def test_every_command_says_in_a_line_what_is_wrong_with_a_study(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run([command, "rotten"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("Error: Study rotten cannot be used: ")
    assert line.isprintable()


@pytest.mark.usefixtures("home")
def test_one_rotten_study_does_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["studies"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["good", "cifar10", "finished", "3/3"] in [line[:4] for line in lines]
    assert ["rotten", "-", "unreadable"] in lines
    assert run(["studies", "--json"]) == 0
    good, rotten = json.loads(capsys.readouterr().out)
    assert (good["study"], good["state"]) == ("good", "finished")
    assert rotten.keys() == {"study", "state", "problem"}
    assert rotten["problem"].startswith("Study rotten cannot be used: ")
    assert run(["status", "good"]) == 0


# ----------------------------------------------------------------------------------- in the database


def damaged(home: Path, statement: str) -> None:
    """Change the database behind Optuna's back."""
    connection = sqlite3.connect(Home(home).database)
    with closing(connection), connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trial_user_attributes SET value_json = '{' WHERE trial_id > 3",
        "UPDATE trials SET state = 'BORED' WHERE study_id = 2",
        "UPDATE trials SET datetime_start = 'yesterday' WHERE study_id = 2",
        "UPDATE trial_params SET distribution_json = '{}' WHERE trial_id > 3",
        "UPDATE trial_params SET param_value = 1e9 WHERE trial_id > 3",
        "UPDATE trial_intermediate_values SET intermediate_value = 'x' WHERE trial_id > 3",
    ],
)
def test_what_optuna_cannot_read_of_a_study_is_told_and_hides_no_other(
    capsys: pytest.CaptureFixture[str],
    changed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
) -> None:
    home = tmp_path / "home"
    shutil.copytree(changed, home)
    damaged(home, "DELETE FROM study_user_attributes WHERE study_id = 2 AND key = 'budget'")
    damaged(
        home,
        "INSERT INTO study_user_attributes (study_id, key, value_json) "
        """VALUES (2, 'budget', '{"trials": 3}')""",
    )
    damaged(home, statement)
    monkeypatch.setenv("CIFAR_SEARCH_HOME", str(home))
    for command in ("status", "export"):  # of the newest, which is the damaged one
        assert run([command]) in {1, 2}
        out, err = capsys.readouterr()
        (line,) = err.splitlines()
        assert line.startswith("Error: ")
        assert line.isprintable()
        assert (out, len(line) < 1_000) == ("", True)
    assert run(["status", "good"]) == 0
    capsys.readouterr()
    assert run(["studies", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["state"] for one in found] == ["finished", "unreadable"]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE study_user_attributes SET value_json = '{'", "what Optuna does not understand"),
        ("UPDATE study_directions SET direction = 'UP'", "what Optuna does not understand"),
        ("UPDATE alembic_version SET version_num = 'v99.0.0.a'", "no longer compatible"),
    ],
)
def test_a_database_that_optuna_cannot_read_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str],
    changed: Path,
    tmp_path: Path,
    statement: str,
    words: str,
) -> None:
    home = tmp_path / "home"
    shutil.copytree(changed, home)
    damaged(home, statement)
    for command in ("status", "studies", "export", "stop", "resume"):
        assert run([command, "--home", str(home)]) == 1
        out, err = capsys.readouterr()
        (line,) = err.splitlines()
        assert words in line
        assert out == ""


@pytest.mark.parametrize("kind", ["empty", "of something else"])
@pytest.mark.parametrize("command", ["status", "studies", "export", "stop", "resume"])
def test_looking_makes_no_studies_database_of_another_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, command: str
) -> None:
    home = Home(tmp_path / "home")
    home.create()
    home.database.touch()
    if kind != "empty":
        damaged(home.root, "CREATE TABLE recipes (name)")
    before = home.database.read_bytes()
    assert run([command, "--home", str(home.root)]) == 2
    assert "There are no studies yet in sqlite:///" in capsys.readouterr().err
    assert home.database.read_bytes() == before
    assert [file.name for file in home.root.iterdir()] == ["studies.db"]


@pytest.mark.parametrize("content", [b"a text\n" * 400, b"\x00" * 8_192, b"SQLite format 3\x00"])
@pytest.mark.parametrize("command", ["status", "studies", "export", "stop", "resume"])
def test_a_file_that_is_no_database_is_left_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, command: str
) -> None:
    home = Home(tmp_path / "home")
    home.create()
    home.database.write_bytes(content)
    assert run([command, "--home", str(home.root)]) in {1, 2}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert home.database.read_bytes() == content

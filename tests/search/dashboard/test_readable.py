"""Studies and trials as the dashboard shows them: short attributes, notes, and nothing lost."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from cifar_core.recipe import Recipe
from search.dashboard.access import Access
from search.dashboard.app import dashboard_of
from search.dashboard.public_url import PublicUrl
from search.dashboard.wsgi import Handler
from search.home import Home
from search.storage.opening import open_storage
from search.storage.retrying import RetryingStorage
from search.study import attributes
from search.study.settings import Budget, DataIdentity, Settings
from search.study.study import create_or_open
from spaces.files import load_space
from tests.search.asking import asked

DATA = DataIdentity(name="cifar10", official=True, train=45000, validation=5000, split="abc")
REASON = "ran out of [memory](http://evil.example) at *epoch* 3 | 4"


def finished(
    state: TrialState, accuracies: list[float], **notes: object
) -> optuna.trial.FrozenTrial:
    """Return a trial as the service leaves it."""
    epochs = [
        {
            "number": number,
            "train_accuracy": accuracy + 0.1,
            "train_loss": 1.5,
            "validation_loss": 1.25,
        }
        for number, accuracy in enumerate(accuracies, start=1)
    ]
    return create_trial(
        state=state,
        value=accuracies[-1] if state is not TrialState.FAIL else None,
        params={"optimizer": "adam", "adam_lr": 0.0021},
        distributions={
            "optimizer": CategoricalDistribution(["sgd", "adam"]),
            "adam_lr": FloatDistribution(1e-4, 1e-2, log=True),
        },
        intermediate_values=dict(enumerate(accuracies, start=1)),
        user_attrs={
            attributes.RECIPE: Recipe().model_dump(mode="json"),
            attributes.EPOCHS: epochs,
            attributes.SEED: 7,
            attributes.TRIAL_SECONDS: 61.25,
            **notes,
        },
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home of (mine) & co"))


@pytest.fixture(scope="module")
def storage(home: Home) -> Iterator[RetryingStorage]:
    """A study of the service's, and one of somebody else's."""
    made = open_storage(home.storage_url())
    space = load_space("baseline_constrained")
    settings = Settings(
        space=space,
        scale="full",
        data=DATA,
        seed=0,
        sampler="random",
        pruner="none",
        lr_bounds="off",
    )
    study, _ = create_or_open(made, "mine", settings, Budget(trials=5))
    study.optuna.add_trial(finished(TrialState.COMPLETE, [0.5, 0.625], known="reference base"))
    study.optuna.add_trial(finished(TrialState.PRUNED, [0.25], mood="good", temperature=36.6))
    study.optuna.add_trial(finished(TrialState.FAIL, [0.125], reason=REASON))
    study.optuna.ask()
    other = optuna.create_study(storage=made, study_name="theirs", direction="minimize")
    other.set_user_attr("recipe", {"a": 1})
    yield made
    made.engine.dispose()


@pytest.fixture(scope="module")
def handle(storage: RetryingStorage, home: Home) -> Handler:
    return dashboard_of(storage, home, Access())


def detail(handle: Handler, number: int = 1, **headers: str) -> dict[str, Any]:
    """Return a study as the page gets it."""
    found = handle(asked(f"/api/studies/{number}", **headers))
    content = found.read()
    assert found.header("Content-Length") == str(len(content))
    document: dict[str, Any] = json.loads(content)
    return document


def of(shown: dict[str, Any]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in shown["user_attrs"]}


def test_a_trials_attributes_are_short_and_its_numbers_sort(handle: Handler) -> None:
    document = detail(handle)
    first = document["trials"][0]
    assert of(first) == {
        "status": "complete",
        "name": "reference base",
        "epochs": "2",
        "seconds": "61.2",
        "accuracy": "0.625",
        "train accuracy": "0.725",
        "validation loss": "1.25",
    }
    sortable = {one["key"]: one["sortable"] for one in document["union_user_attrs"]}
    assert sortable["seconds"]
    assert sortable["accuracy"]
    assert not sortable["status"]
    assert "recipe" not in sortable
    assert all(len(value) < 100 for trial in document["trials"] for value in of(trial).values())
    assert document["best_trials"][0]["user_attrs"] == first["user_attrs"]


def test_attributes_of_the_users_own_stay(handle: Handler) -> None:
    document = detail(handle)
    assert of(document["trials"][1])["mood"] == "good"
    assert {"key": "temperature", "sortable": True} in document["union_user_attrs"]


def test_a_trials_note_says_how_it_ended_and_what_it_was(handle: Handler) -> None:
    complete, _, failed, running = (one["note"]["body"] for one in detail(handle)["trials"])
    assert complete.startswith("**Complete** after epoch 2 of 12, 1 min 1 s of training.")
    for words in ("62.5 % validation accuracy", "reference base", "adam lr 0.0021", "Seed: 7."):
        assert words in complete
    assert "ran out of \\[memory\\](http://evil.example) at \\*epoch\\* 3 \\| 4" in failed
    assert running.startswith("**Running**")


def test_a_studys_note_says_what_is_searched_how_it_stands_and_how_to_continue(
    handle: Handler, home: Home
) -> None:
    document = detail(handle)
    note = document["note"]["body"]
    assert "The tutorial network" in note
    assert "`sgd_lr`" in note
    assert "3 of 5 trials are finished" in note
    assert "trial 0 (reference base) with 62.5 %" in note
    for command in ("status", "resume", "export"):
        assert f"cifar-search {command} mine --home '{home.root}'" in note
    assert of(document)["trials"] == "3 of 5 finished"
    assert attributes.SETTINGS not in of(document)


def test_plots_of_the_lr_range_test_are_linked_where_browsers_find_them(
    storage: RetryingStorage, home: Home
) -> None:
    meta = {"artifact_id": "0-1", "filename": "lr-range-sgd_lr.png", "mimetype": "image/png"}
    storage.set_study_system_attr(1, "artifacts:0-1", json.dumps({**meta, "encoding": None}))
    link = "[lr-range-sgd\\_lr.png]({}/artifacts/1/0-1)"
    public = PublicUrl.parse("https://tuning.example/cifar")
    assert link.format("") in detail(dashboard_of(storage, home, Access()))["note"]["body"]
    behind_proxy = dashboard_of(storage, home, Access(public=public))
    assert link.format("/cifar") in detail(behind_proxy)["note"]["body"]


def test_a_note_of_the_users_own_is_kept(handle: Handler) -> None:
    for path, shown in (("/api/studies/1/3/note", ["trials", 2]), ("/api/studies/1/note", [])):
        assert handle(asked(path, "PUT", b'{"body": "mine", "version": 1}')).code == 204
        assert handle(asked(path, "PUT", b'{"body": "", "version": 2}')).code == 204
        found: Any = detail(handle)
        for key in shown:
            found = found[key]
        assert found["note"] == {"version": 2, "body": ""}  # emptied on purpose


def test_nothing_of_it_is_written_and_the_table_is_complete(home: Home, handle: Handler) -> None:
    with closing(sqlite3.connect(home.database)) as database:
        before = list(database.iterdump())
        detail(handle)
        assert list(database.iterdump()) == before
    table = handle(asked("/csv/1")).read().decode()
    assert "UserAttribute recipe" in table
    assert '"weight_decay' in table or "'weight_decay" in table


def test_other_peoples_studies_are_shown_as_they_are(handle: Handler) -> None:
    document = detail(handle, 2)
    assert of(document) == {"recipe": '{"a": 1}'}
    assert document["note"]["body"] == ""


@pytest.mark.parametrize("damage", ['{"space": 3}', "[]"])
def test_a_study_with_damaged_notes_is_shown_as_it_is(damage: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    storage = open_storage(home.storage_url())
    study = optuna.create_study(storage=storage, study_name="damaged", direction="maximize")
    study.set_user_attr(attributes.SETTINGS, json.loads(damage))
    document = detail(dashboard_of(storage, home, Access()))
    assert of(document) == {attributes.SETTINGS: damage}
    storage.engine.dispose()


def test_the_list_of_studies_leaves_records_out(handle: Handler) -> None:
    content = handle(asked("/api/studies")).read()
    assert b"parameters" not in content
    assert re.findall(rb'"study_name":"(\w+)"', content) == [b"mine", b"theirs"]

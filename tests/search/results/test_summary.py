"""A study as one JSON document: what `status --json` promises."""

import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console

from cifar_core.epoch import Epoch
from cifar_core.recipe import Recipe
from search.results.summary import State, Summary, summarize
from search.study import attributes
from search.study.bounds import Bounds
from search.study.rows import TrialRow
from search.study.study import SearchStudy
from search.views.closing import closing_words
from search.views.study_pages import study_page
from search.workers.messages import Failed, WorkerMessage
from tests.search.script import row
from tests.search.scripted import (
    DATA,
    ScriptedPool,
    enqueue_known,
    epoch_of,
    folder_in,
    new_study,
    reopened,
    search,
)

URL = "postgresql://me:secret@host/db"


def fails(trial: int, _epoch: int) -> WorkerMessage | None:
    return Failed("out of memory") if trial == 3 else None


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SearchStudy:
    """Of twelve trials, one diverged, one failed, three are complete, two were interrupted."""
    asked, begun = [False], list[str]()

    def after(polls: int) -> None:
        asked[0] = polls >= 12

    def epoch(recipe: Recipe, number: int) -> Epoch:
        if recipe.digest not in begun:
            begun.append(recipe.digest)
        diverges = begun.index(recipe.digest) == 2 and number == 4
        found = epoch_of(recipe, number)
        return replace(found, train_loss=float("nan")) if diverges else found

    made = new_study(trials=12, timeout=900.0)
    enqueue_known(made)
    bounds = Bounds("sgd_lr", "sgd", 0.004, 0.4, 0.05, True, "measured")
    made.write(attributes.LR_BOUNDS, [bounds.to_dict()])
    made.write(attributes.LR_CURVES, {"epochs": 2.346, "corners": []})
    folder = folder_in(tmp_path_factory.mktemp("home"))
    pool = ScriptedPool(2, trouble=fails, epoch=epoch, after=after)
    assert search(made, pool, folder, stop=lambda: asked[0]) == "stopped"
    return reopened(made)


def printed(text: Any) -> str:
    console = Console(file=io.StringIO(), width=300)
    with console.capture() as capture:
        console.print(text)
    return capture.get()


def summary_of(study: SearchStudy, state: State = "stopped") -> Summary:
    return summarize(study, URL, state, None)


def document(study: SearchStudy, state: State = "stopped") -> dict[str, Any]:
    text = json.dumps(summary_of(study, state).to_dict(), allow_nan=False)
    found: dict[str, Any] = json.loads(text)
    return found


def test_every_key_of_the_contract_is_there(study: SearchStudy) -> None:
    found = document(study)
    assert found.keys() >= {
        "study",
        "space",
        "storage",
        "state",
        "data",
        "trials",
        "epochs",
        "seconds",
        "last_hour",
        "baseline",
        "best",
        "lr_bounds",
    }
    assert (
        found["data"]
        == DATA.model_dump()
        == {
            "name": "cifar10",
            "official": True,
            "train": 45_000,
            "validation": 5_000,
            "split": "0123456789abcdef",
            "confirming": 0,
            "classes": [],
        }
    )
    counts = {"total", "finished", "complete", "pruned", "failed", "running", "paused"}
    assert found["trials"].keys() == counts
    assert found["epochs"].keys() >= {"trained", "full_cost"}
    assert found["baseline"].keys() >= {"number", "validation_accuracy"}
    expected = {"number", "validation_accuracy", "epoch", "recipe", "exported", "at_edge"}
    assert found["best"].keys() >= expected
    bounds = {"low", "high", "suggested", "conclusive", "how"}
    assert found["lr_bounds"]["sgd"].keys() == bounds
    assert (found["study"], found["space"], found["state"]) == ("mine", "small", "stopped")


def test_counts_add_up(study: SearchStudy) -> None:
    trials = document(study)["trials"]
    assert trials["finished"] == trials["complete"] + trials["pruned"] + trials["failed"]
    assert trials["finished"] + trials["paused"] == len(study.rows()) == 7
    assert trials == {
        "total": 12,
        "finished": 5,
        "complete": 3,
        "pruned": 1,
        "failed": 1,
        "running": 0,
        "paused": 2,
    }


def test_unfinished_trials_run_while_a_process_runs_them_and_else_are_paused(
    study: SearchStudy,
) -> None:
    running, stopped = document(study, "running")["trials"], document(study)["trials"]
    assert (running["running"], running["paused"]) == (2, 0)
    assert (stopped["running"], stopped["paused"]) == (0, 2)


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_trials_that_wait_are_paused_whether_a_process_runs_or_not(
    state: State, tmp_path: Path
) -> None:
    made = new_study(trials=30, pruner="promotion")

    def states() -> list[str]:
        return [one.state for one in made.rows()]

    asked = search(
        made, ScriptedPool(), folder_in(tmp_path), stop=lambda: states().count("paused") >= 3
    )
    assert asked == "stopped"
    waiting, interrupted = states().count("paused"), states().count("running")
    assert waiting >= 2
    trials = document(made, state)["trials"]
    now = {"running": (interrupted, waiting), "stopped": (0, waiting + interrupted)}
    assert (trials["running"], trials["paused"]) == now[state]
    words = printed(closing_words(summary_of(made)))
    epochs = sum(one.epochs for one in made.rows())
    begun = len(made.rows())
    assert f"{epochs} epochs trained, instead of {4 * begun} without early stopping." in words
    assert f"\n{waiting + interrupted} more trials are paused; " in words
    page = printed(study_page(summary_of(made, state)))
    assert f"{now[state][0]} running, {now[state][1]} paused" in page
    lines = [line.split() for line in page.splitlines()]
    assert sum("paused" in line for line in lines) == now[state][1]
    assert sum("running" in line for line in lines) == now[state][0]


@pytest.mark.parametrize(
    ("state", "paused", "said"),
    [
        ("stopped", 2, ["2 more trials are paused; resume continues them."]),
        ("stopped", 1, ["1 more trial is paused; resume continues it."]),
        ("stopped", 0, []),
        ("finished", 2, []),  # a grid's whose total was lowered
    ],
)
def test_a_stopped_search_says_at_last_how_many_trials_are_paused(
    study: SearchStudy, state: State, paused: int, said: list[str]
) -> None:
    found = summary_of(study, state)
    unfinished = [one for one in found.rows if one.state == "running"]
    assert len(unfinished) == 2
    left = [one for one in found.rows if one not in unfinished[paused:]]
    words = printed(closing_words(replace(found, rows=left)))
    assert [line for line in words.splitlines() if "paused" in line] == said


@pytest.mark.parametrize(
    ("minutes", "accuracy", "told", "words"),
    [
        (59, 0.625, None, None),
        (61, 0.625, {"gain": 0.125}, "+12.5 points"),
        (61, 0.4, {"gain": 0.0}, "nothing"),
    ],
)
def test_what_the_last_hour_brought_is_told(
    minutes: float, accuracy: float, told: dict[str, float] | None, words: str | None
) -> None:
    made, noon = new_study(), datetime.fromisoformat("2026-05-01T12:00")
    for after, value in ((0.0, 0.5), (minutes, accuracy)):
        trial = optuna.trial.create_trial(
            value=value,
            intermediate_values={4: value},
            user_attrs={attributes.RECIPE: {"epochs": 4}},
        )
        trial.datetime_complete = noon + timedelta(minutes=after)
        made.optuna.add_trial(trial)
    found = document(made)
    assert found["last_hour"] == told
    summary = summary_of(made)
    for text in (closing_words(summary), study_page(summary)):
        lines = [line.strip().lower() for line in printed(text).splitlines()]
        said = [line.removesuffix(".") for line in lines if "the last hour" in line]
        assert said == ([] if words is None else [f"the last hour brought {words}"])


def test_epochs_are_those_trained_and_those_of_a_search_without_pruning(
    study: SearchStudy,
) -> None:
    epochs = document(study)["epochs"]
    assert epochs["trained"] == sum(one.epochs for one in study.rows())
    assert epochs["full_cost"] == 12 * 4
    assert epochs["lr_range"] == 2.35


def test_the_best_is_told_with_its_recipe_and_the_first_known_one_as_baseline(
    study: SearchStudy,
) -> None:
    found = document(study)
    best = study.optuna.best_trial
    assert found["best"]["number"] == best.number
    assert found["best"]["validation_accuracy"] == best.value
    assert found["best"]["epoch"] == 4
    assert found["best"]["recipe"] == study.settings.space.recipe_of(best.params).to_dict()
    base = study.optuna.trials[0]
    assert found["baseline"]["name"] == "base"
    assert (found["baseline"]["number"], found["baseline"]["validation_accuracy"]) == (
        0,
        base.value,
    )
    assert [one["name"] for one in found["references"]] == ["base", "best"]


def test_failures_are_told_with_their_reasons(study: SearchStudy) -> None:
    assert document(study)["failures"] == {"3": "out of memory"}


def test_the_export_is_named_where_there_is_one(study: SearchStudy) -> None:
    assert document(study)["best"]["exported"] is None
    assert summarize(study, URL, "stopped", "a/b.toml").to_dict()["best"]["exported"] == "a/b.toml"


def test_a_password_is_not_told(study: SearchStudy) -> None:
    assert "secret" not in json.dumps(document(study))
    assert document(study)["storage"] == "postgresql://me:***@host/db"


def test_a_study_that_has_not_begun_is_told_too() -> None:
    found = document(new_study(trials=5))
    assert found["trials"] == {
        "total": 5,
        "finished": 0,
        "complete": 0,
        "pruned": 0,
        "failed": 0,
        "running": 0,
        "paused": 0,
    }
    assert (found["best"], found["baseline"], found["lr_bounds"]) == (None, None, {})
    assert (found["seconds"], found["epochs"]["trained"]) == (0.0, 0.0)


def test_a_study_of_diverged_trials_is_still_json(tmp_path: Path) -> None:
    study = new_study(trials=2)
    pool = ScriptedPool(epoch=lambda r, n: replace(epoch_of(r, n), validation_loss=float("nan")))
    search(study, pool, folder_in(tmp_path))
    found = document(study, "finished")
    assert found["trials"]["pruned"] == 2
    assert found["best"] is None
    json.dumps(study.optuna.trials[0].user_attrs, allow_nan=False)


def test_the_best_is_compared_with_each_reference_in_words(study: SearchStudy) -> None:
    rows = [row(0, accuracy=0.5, known="base"), row(1, accuracy=0.625, known="better")]

    def compared(*rows: TrialRow) -> list[str]:
        return replace(summary_of(study), rows=list(rows)).comparisons

    assert compared(*rows, row(2, accuracy=0.75)) == [
        "+25.0 points over base",
        "+12.5 points over better",
    ]
    assert compared(*rows) == ["this is better itself", "+12.5 points over base"]
    assert compared() == []


def test_references_are_mentioned_only_where_there_are_some(study: SearchStudy) -> None:
    rows = [row(0, accuracy=0.5)]
    alone = replace(summary_of(study), rows=rows)
    assert "references measured in this study" not in printed(closing_words(alone))
    assert "references measured in this study" in printed(closing_words(summary_of(study)))

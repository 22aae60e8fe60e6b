"""The commands that a search proposes at its end: each is accepted, and means the same experiment."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from search.cli import cli
from search.home import Home
from search.lr_range.bounds import Bounds
from search.plan import plan_of
from search.request import StartRequest
from search.results.summary import Summary
from search.storage.urls import where_flags
from search.study.settings import Budget, DataIdentity, Settings
from search.views.next_steps import next_steps
from spaces.files import load_space
from tests.search.script import row
from tests.search.scripted import DATA

ODD = "Eigene Läufe (Test) #1 & co's"
AT_AN_END = Bounds("sgd_lr", "sgd", 1e-4, 0.012, None, False, "given")


def summary_of(request: StartRequest, **changes: Any) -> Summary:
    """A finished search of `request` on a CPU, whose best learning rate is at the end of its range."""
    plan = plan_of(request, load_space(request.space), [])
    images = plan.train_images or 45_000
    settings = Settings(
        space=plan.space,
        scale=plan.scale,
        data=DataIdentity(**{**DATA.model_dump(), "train": images}),
        seed=request.seed,
        seeds=plan.seeds,
        sampler=plan.sampler,
        pruner=plan.pruner,
        lr_bounds="auto",
        known=request.known,
        experience=request.experience,
        beliefs=request.beliefs,
    )
    best = replace(row(3, accuracy=0.6), values={"optimizer": "sgd", "sgd_lr": 0.01})
    summary = Summary(
        study=request.study or request.space,
        settings=settings,
        budget=plan.budget,
        storage="",
        state="finished",
        rows=[best],
        seconds=60.0,
        sweep_epochs=0.0,
        bounds=[AT_AN_END],
        exported=f"runs/{ODD}/best-1.toml",
    )
    return replace(summary, **changes)


def parsed(command: str) -> tuple[str, dict[str, Any]]:
    """A command's name and what it understands of its words, after a shell has read them."""
    program, name, *words = shlex.split(command)
    assert program == "cifar-search"
    with cli.load(name).make_context(name, words) as context:
        return name, context.params


def steps_of(summary: Summary, **options: Any) -> dict[str, dict[str, Any]]:
    """All proposed commands as they are understood, by their purpose."""
    found = {}
    for step in next_steps(summary, **options):
        name, values = parsed(step.command)
        found[step.purpose] = {"command": name, **values}
    return found


def test_every_command_finds_study_home_storage_and_images_whatever_their_names() -> None:
    home = Home(Path(ODD))
    url = f"sqlite:///{ODD}/other.db"
    stopped = replace(summary_of(StartRequest("baseline_constrained")), study=ODD, state="stopped")
    found = steps_of(stopped, where=where_flags(home, url), data=ODD)
    assert [one["command"] for one in found.values()] == [
        *("resume", "status", "dashboard", "export", "train", "start"),
    ]
    for purpose, values in found.items():
        if "home" in values:
            assert values["home"] == home, purpose
            assert make_url(values["storage"]) == make_url(url), purpose
        if "data" in values:
            assert values["data"] == ODD, purpose
        if values["command"] in {"resume", "status", "export"}:
            assert values["study"] == ODD
    assert found["retrain the best"]["configs"] == (Path(f"runs/{ODD}/best-1.toml"),)
    assert found["search further"]["study"] == f"{ODD}-wider"


@pytest.mark.parametrize("images", [45_000, 10_000, 2_000])
def test_the_best_is_retrained_on_as_many_images_as_it_was_chosen_on(images: int) -> None:
    request = StartRequest("baseline_constrained", train_images=images)
    retrain = steps_of(summary_of(request))["retrain the best"]
    # The file says on how many: see `test_the_number_of_images_is_that_of_the_search`.
    assert (retrain["train_images"], retrain["seeds"]) == (None, 3)


@pytest.mark.parametrize(
    "request_",
    [
        StartRequest("baseline_constrained"),
        StartRequest(
            "baseline_constrained", scale="full", known="off", experience="off", beliefs="off"
        ),
        StartRequest("speed", trials=7, epochs=3, train_images=500, timeout=90.0, patience=4),
        StartRequest("baseline_constrained", sampler="random", pruner="median", seed=3, keep=5),
    ],
)
def test_a_search_further_is_the_same_search_with_wider_bounds(request_: StartRequest) -> None:
    found = steps_of(summary_of(request_))["search further"]
    assert found.pop("lr_bounds") == "0.0001:0.12"
    names = StartRequest.__dataclass_fields__.keys() & found.keys()
    again = StartRequest(**{name: found[name] for name in names})
    space = load_space(request_.space)
    assert replace(plan_of(again, space, []), notice=None) == replace(
        plan_of(request_, space, []), notice=None
    )
    same = ("seed", "known", "experience", "beliefs")
    assert [getattr(again, one) for one in same] == [getattr(request_, one) for one in same]


def test_a_space_of_ones_own_is_named_by_its_file_or_not_at_all(tmp_path: Path) -> None:
    own = tmp_path / "my space.toml"
    shipped = Path(load_space.__code__.co_filename).parent / "shipped" / "speed.toml"
    own.write_text(shipped.read_text().replace('name = "speed"', 'name = "mine"', 1))
    summary = summary_of(StartRequest(str(own)))
    assert steps_of(summary, space=str(own))["search further"]["space"] == str(own)
    assert "search further" not in steps_of(summary)
    own.write_text(own.read_text().replace("high = ", "high = 1"))  # it is another space now
    assert "search further" not in steps_of(summary, space=str(own))


def test_a_study_whose_time_is_used_up_is_continued_with_more() -> None:
    budget = Budget(trials=5, timeout=60.0)
    stopped = summary_of(StartRequest("speed"), state="stopped", budget=budget)
    assert steps_of(stopped)["continue"]["timeout"] == 120.0
    assert steps_of(replace(stopped, seconds=59.0))["continue"]["timeout"] is None


def test_without_an_export_nothing_is_retrained() -> None:
    found = steps_of(summary_of(StartRequest("speed"), exported=None, rows=[], bounds=[]))
    assert list(found) == ["all trials", "plots in a browser"]

"""What makes a study the study it is."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from search.study.settings import Budget, DataIdentity, Settings, differences
from spaces.reading import read_space
from tests.search.scripted import DATA, settings_of
from tests.spaces.making import one_parameter, plain_space, small_space

LR_RANGE = plain_space()["lr_range"]


def test_settings_survive_the_way_through_json() -> None:
    space = small_space(title="Größe é 漢字 🙂", about="a\nb \"c\" 'd'")
    settings = settings_of(space, lr_bounds="1e-4:0.1", seed=2**70)
    text = json.dumps(settings.model_dump(mode="json"), allow_nan=False)
    assert Settings.model_validate(json.loads(text)) == settings


def test_equal_settings_do_not_differ() -> None:
    stored = Settings.model_validate(json.loads(settings_of().model_dump_json()))
    assert differences(stored, settings_of()) == []


def test_settings_of_before_there_were_switches_are_those_of_a_command_without_them() -> None:
    stored = settings_of().model_dump(mode="json")
    del stored["known"], stored["experience"]
    assert differences(Settings.model_validate(stored), settings_of()) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seed": 1}, "seed: the study has 0, this command asks for 1"),
        ({"sampler": "tpe"}, "sampler: the study has 'random', this command asks for 'tpe'"),
        ({"pruner": "median"}, "pruner: the study has 'none', this command asks for 'median'"),
        ({"scale": "quick"}, "scale: the study has 'full', this command asks for 'quick'"),
        ({"known": "off"}, "known: the study has 'on', this command asks for 'off'"),
        ({"experience": "off"}, "experience: the study has 'on', this command asks for 'off'"),
        ({"lr_bounds": "off"}, "lr_bounds: the study has 'auto', this command asks for 'off'"),
        (
            {"data": DATA.model_copy(update={"split": "f"})},
            f"data.split: the study has '{DATA.split}', this command asks for 'f'",
        ),
        (
            {"space": small_space().with_epochs(9)},
            "space.recipe.epochs: the study has 4, this command asks for 9",
        ),
        (
            {"space": small_space(lr_range={**LR_RANGE, "high": 1.0})},
            "space.lr_range.high: the study has 10.0, this command asks for 1.0",
        ),
        (
            {"space": small_space(title="Another")},
            "space.title: the study has 'A small space', this command asks for 'Another'",
        ),
    ],
)
def test_a_difference_names_key_old_and_new(changes: dict[str, Any], line: str) -> None:
    assert differences(settings_of(), settings_of(**changes)) == [line]


def test_every_differing_key_is_listed() -> None:
    data = DataIdentity(name="synthetic", official=False, train=100, validation=50, split="s")
    lines = differences(settings_of(), settings_of(seed=1, pruner="median", data=data))
    assert [line.partition(":")[0] for line in lines] == [
        "data.name",
        "data.official",
        "data.split",
        "data.train",
        "data.validation",
        "pruner",
        "seed",
    ]


def test_a_parameter_that_only_one_of_two_spaces_has_is_a_difference() -> None:
    plain = one_parameter(sets="batch_size", choices=[32])
    more = {"cutout": {"sets": "augmentation.cutout", "low": 0, "high": 8}}
    lines = differences(
        read_space(plain, "here"),
        read_space({**plain, "parameters": plain["parameters"] | more}, "here"),
    )
    assert "parameters.cutout.high: the study has None, this command asks for 8" in lines
    assert all(line.startswith("parameters.cutout") for line in lines)


@pytest.mark.parametrize(
    "wish", ["", "x", "1e-4", ":", "1e-4:", "on", "auto ", "1e-4:0.1:1", "1 :2", "AUTO"]
)
def test_bounds_are_auto_off_or_two_numbers(wish: str) -> None:
    with pytest.raises(ValidationError, match="lr_bounds"):
        settings_of(lr_bounds=wish)


@pytest.mark.parametrize(
    "values", [{"trials": 0}, {"trials": -1}, {"trials": 1, "timeout": 0.0}, {"trials": 1.0}, {}]
)
def test_a_budget_is_of_something(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Budget(**values)


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (DATA, "CIFAR-10, 45,000 training / 5,000 validation, split 0123456789abcdef"),
        (DATA.model_copy(update={"official": False}), "CIFAR-10 (not the official files), 45,000"),
        (
            DATA.model_copy(update={"name": "synthetic", "official": False}),
            "SYNTHETIC images, not CIFAR-10, 45,000",
        ),
    ],
)
def test_a_figure_says_what_it_was_measured_on(identity: DataIdentity, words: str) -> None:
    assert identity.described().startswith(words)

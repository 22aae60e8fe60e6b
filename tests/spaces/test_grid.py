"""Variants and grids: named changes to a recipe, and every combination of choices."""

from typing import Any

import pytest

from cifar_core.recipe import Adam, Cosine, Net, Recipe, ResNet9, Sgd, Step
from spaces.errors import SpaceError
from spaces.reading import quicker, read_space
from spaces.space import Space
from tests.spaces.making import ORIGIN


def plain_grid(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": "grid",
        "title": "A grid",
        "recipe": {"epochs": 4, "network": {"name": "net", "channels1": 9}},
        "parameters": {
            "network": {
                "variants": {
                    "plain": {},
                    "normed": {"network": {"batch_norm": True}},
                    "residual": {"network": {"name": "resnet9", "width": 8}},
                }
            },
            "batch_size": {"sets": "batch_size", "choices": [16, 32]},
        },
        "grid": {
            "seeds": 3,
            "published": [{"values": {"network": "plain", "batch_size": 16}, "accuracy": 0.5}],
        },
    }
    plain |= changes
    return {key: value for key, value in plain.items() if value is not None}


PLAIN_16 = {"network": "plain", "batch_size": 16}


def grid(**changes: Any) -> Space:
    return read_space(plain_grid(**changes), ORIGIN)


def problems(plain: object) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        read_space(plain, ORIGIN)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{ORIGIN} is not a valid space:"
    return [line.strip() for line in lines]


def variants(**named: Any) -> dict[str, Any]:
    """A space that is searched, of one parameter with these variants."""
    return {"name": "one", "title": "One", "parameters": {"it": {"variants": named}}}


# Variants


def test_a_variant_changes_what_it_names_and_leaves_the_rest() -> None:
    assert grid().recipe_of({"network": "plain", "batch_size": 16}) == Recipe(
        epochs=4, batch_size=16, network=Net(channels1=9)
    )
    normed = grid().recipe_of({"network": "normed", "batch_size": 16})
    assert normed.network == Net(channels1=9, batch_norm=True)


def test_a_variant_of_another_kind_takes_nothing_over_from_the_old_kind() -> None:
    assert grid().recipe_of({"network": "residual", "batch_size": 16}).network == ResNet9(width=8)


def test_a_variant_that_names_the_kind_there_is_by_default_keeps_the_rest() -> None:
    changes = {"a": {"optimizer": {"name": "sgd", "lr": 0.5}}}
    space = read_space(variants(**changes) | {"recipe": {"optimizer": {"momentum": 0.5}}}, ORIGIN)
    assert space.recipe_of({"it": "a"}).optimizer == Sgd(lr=0.5, momentum=0.5)


def test_a_variant_changes_several_sections_at_once() -> None:
    both = {"schedule": {"name": "step", "epochs": 2}, "optimizer": {"name": "adam", "lr": 0.02}}
    recipe = read_space(variants(both=both), ORIGIN).recipe_of({"it": "both"})
    assert (recipe.schedule, recipe.optimizer) == (Step(epochs=2), Adam(lr=0.02))


def test_a_parameter_that_sets_a_single_field_has_its_way_within_any_variant() -> None:
    """Whichever stands first in the file."""
    plain = variants(adam={"optimizer": {"name": "adam"}}, sgd={"optimizer": {"name": "sgd"}})
    lr = {"sets": "optimizer.lr", "choices": [0.1, 0.2]}
    plain["parameters"] = {"lr": lr, **plain["parameters"]}
    recipe = read_space(plain, ORIGIN).recipe_of({"lr": 0.2, "it": "adam"})
    assert recipe.optimizer == Adam(lr=0.2)


@pytest.mark.parametrize("order", [("reg", "net"), ("net", "reg")])
def test_two_variants_of_one_section_both_count_whichever_stands_first(
    order: tuple[str, str],
) -> None:
    variants = {
        "reg": {"variants": {"none": {}, "drop": {"network": {"dropout": 0.3}}}},
        "net": {"variants": {"res": {"network": {"name": "resnet9", "width": 8}}}},
    }
    space = grid(parameters={name: variants[name] for name in order}, grid={})
    dropped = space.recipe_of({name: {"reg": "drop", "net": "res"}[name] for name in order})
    assert dropped.network == ResNet9(width=8, dropout=0.3)


def test_making_a_recipe_leaves_the_variants_as_they_are() -> None:
    space = grid()
    before = space.model_dump()
    for cell in space.cells():
        space.recipe_of(cell)
    assert space.model_dump() == before


def test_a_variant_is_recognised_by_its_name() -> None:
    parameter = grid().parameters["network"]
    assert parameter.contains("plain")
    assert not parameter.contains("absent")
    assert parameter.extremes() == ["plain", "normed", "residual"]
    assert parameter.described() == "plain, normed, residual"


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (variants(), "parameters.it.variants: "),
        (variants(a={"nonsense": 1}), "recipe field nonsense: no such key"),
        (variants(a={"network": {"channels1": 0}}), "must be at least 1, but got 0"),
        (variants(a={}, b={"network": 5}), "parameters.it.variants.b.network: must be a table"),
        (variants(a=5), "parameters.it.variants.a: "),
        (variants(a={"schedule": {"name": "sawtooth"}}), "'sawtooth'"),
        (variants(a={"epochs": 3}), "parameters.it.sets: epochs are what trials are compared by"),
        (variants(**{"": {}}), "parameters.it.variants"),
    ],
)
def test_a_variant_that_makes_no_recipe_is_refused(plain: dict[str, Any], words: str) -> None:
    assert any(words in line for line in problems(plain))


@pytest.mark.parametrize(
    "beside", [{"sets": "batch_size"}, {"choices": [1]}, {"low": 1, "high": 2}, {"log": True}]
)
def test_variants_stand_alone(beside: dict[str, Any]) -> None:
    plain = variants(a={})
    plain["parameters"]["it"] |= beside
    assert problems(plain) == [
        "parameters.it: `variants` cannot be combined with `sets`, `choices` or a range."
    ]


def test_a_parameter_may_not_set_what_a_variant_sets_as_well() -> None:
    plain = variants(a={"optimizer": {"lr": 0.1}})
    plain["parameters"]["lr"] = {"sets": "optimizer.lr", "choices": [0.1, 0.2]}
    assert problems(plain) == [
        "parameters: optimizer.lr is set by two parameters at once, it and lr."
    ]


# Grids


def test_the_cells_of_a_grid_are_all_combinations_in_the_order_of_the_file() -> None:
    assert [tuple(cell.values()) for cell in grid().cells()] == [
        ("plain", 16),
        ("plain", 32),
        ("normed", 16),
        ("normed", 32),
        ("residual", 16),
        ("residual", 32),
    ]


def test_a_grid_may_vary_the_epochs_and_counts_the_most() -> None:
    sets = {"epochs": {"sets": "epochs", "choices": [2, 7, 3]}}
    published = {"seeds": 1}
    assert grid(parameters=sets, grid=published).epochs == 7
    named = {"it": {"variants": {"short": {"epochs": 1}, "long": {"epochs": 9}}}}
    assert grid(parameters=named, grid=published).epochs == 9
    assert grid().epochs == 4


def test_a_grid_survives_the_way_into_a_study_and_back() -> None:
    assert Space.model_validate(grid().model_dump(mode="json")) == grid()


def test_a_quick_grid_may_have_fewer_choices() -> None:
    """What was published about the others is left out then."""
    quick = {
        "epochs": 1,
        "train_images": 100,
        "trials": 1,
        "ranges": {"batch_size": {"choices": [32]}},
    }
    narrow = quicker(grid(quick=quick))
    assert len(narrow.cells()) == narrow.cell_count == 3
    assert narrow.grid is not None
    assert narrow.grid.published == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"parameters": {"lr": {"sets": "optimizer.lr", "low": 0.1, "high": 0.2}}},
            "parameters.lr: a grid needs `choices` or `variants`, not a range.",
        ),
        (
            {"parameters": {"seed": {"sets": "batch_size", "choices": [16]}}},
            "parameters.seed: this name is taken: a grid is run over several seeds.",
        ),
        (
            {
                "parameters": {
                    "flip": {"sets": "augmentation.flip", "choices": [0.0, 0.5]},
                    "batch_size": {
                        "sets": "batch_size",
                        "choices": [16],
                        "when": {"flip": [0.5]},
                    },
                }
            },
            "parameters.batch_size.when: a grid has every combination; it has no conditions.",
        ),
        (
            {"known": [{"name": "base", "values": {"network": "plain", "batch_size": 16}}]},
            "grid: cannot be combined with `known` or `lr_range`: all its cells are given.",
        ),
        ({"grid": {"seeds": 0}}, "grid.seeds: must be at least 1, but got 0."),
        (
            {"grid": {"published": [{"values": {"network": "plain"}}]}},
            "grid.published.0.values.batch_size: is missing.",
        ),
        (
            {"grid": {"published": [{"values": {"network": "absent", "batch_size": 16}}]}},
            "grid.published.0.values.network: must be among plain, normed, residual, but got 'absent'.",
        ),
        (
            {"grid": {"published": [{"values": {"depth": 3}}]}},
            "grid.published.0.values.depth: there is no such parameter.",
        ),
        (
            {"grid": {"published": [{"values": {}, "accuracy": 56}]}},
            "grid.published.0.accuracy",
        ),
        (
            {"grid": {"published": [{"values": PLAIN_16}, {"values": PLAIN_16}]}},
            "grid.published.1.values: this cell is listed twice.",
        ),
        (
            {"grid": {"published": [{"values": PLAIN_16, "accuracy": [0.9, 0.8]}]}},
            "grid.published.0.accuracy: the lower end of a range must come first.",
        ),
        (
            {
                "parameters": {
                    "batch_size": {"sets": "batch_size", "choices": [16, 1]},
                    "batch_norm": {"sets": "network.batch_norm", "choices": [False, True]},
                },
                "grid": {},
            },
            "in the cell batch_size = 1, batch_norm = True, recipe field batch_size must",
        ),
        (
            {
                "parameters": {
                    f"p{n}": {"variants": {str(m): {} for m in range(100)}} for n in range(20)
                },
                "grid": {},
            },
            "grid: has 10,000,000,000,000,000,000,000,000,000,000,000,000,000 cells; at most 10,000",
        ),
        (
            {
                "parameters": {"epochs": {"sets": "epochs", "choices": [2, 3]}},
                "grid": {},
                "quick": {"epochs": 1, "train_images": 100, "trials": 1},
            },
            "quick.epochs: this grid sets the epochs of its cells itself.",
        ),
    ],
)
def test_what_makes_no_grid_is_refused(changes: dict[str, Any], words: str) -> None:
    assert any(line.startswith(words) for line in problems(plain_grid(**changes)))


def test_published_figures_may_be_a_range() -> None:
    published = [{"values": {"network": "plain", "batch_size": 16}, "accuracy": [0.88, 0.9]}]
    space = grid(grid={"published": published})
    assert space.grid is not None
    assert space.grid.published[0].accuracy == [0.88, 0.9]


def test_a_cosine_is_a_variant_like_any_other() -> None:
    space = read_space(variants(cosine={"schedule": {"name": "cosine"}}, none={}), ORIGIN)
    assert space.recipe_of({"it": "cosine"}).schedule == Cosine()

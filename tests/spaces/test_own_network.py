"""Spaces whose network is made by code of the user's."""

from typing import Any

import pytest

from cifar_core.networks import OwnNetwork
from cifar_core.recipe import Recipe
from spaces.checks import tried_recipes
from spaces.errors import MisfitError, SpaceError
from spaces.fitting import fitted
from spaces.reading import read_space
from spaces.space import Space
from tests.spaces.making import ORIGIN


def space_of(recipe: dict[str, Any] | None = None, **parameters: Any) -> Space:
    plain = {
        "name": "own",
        "title": "An own network",
        "recipe": {"network": {"builder": "nets:make", "depth": 2}, **(recipe or {})},
        "parameters": {
            "width": {"sets": "network.width", "low": 4, "high": 8},
            "norm": {"sets": "network.norm", "choices": [True, False]},
            **parameters,
        },
    }
    return read_space(plain, ORIGIN)


def test_its_arguments_are_searched_as_any_field() -> None:
    space = space_of()
    assert space.builders == {"nets:make"}
    recipe = space.recipe_of({"width": 8, "norm": False})
    assert recipe.network == OwnNetwork(builder="nets:make", depth=2, width=8, norm=False)
    assert isinstance(fitted(space, recipe).values["width"], int)
    assert fitted(space, recipe).values == {"width": 8, "norm": False}
    made = {one.network.model_dump_json() for one in tried_recipes(space)}
    assert len(made) == 3  # both widths and both norms


def test_a_recipe_of_another_builder_or_network_does_not_fit() -> None:
    other = Recipe.read(
        {"network": {"builder": "nets:other", "depth": 2, "width": 4, "norm": True}}
    )
    with pytest.raises(
        MisfitError, match=r"network\.builder is nets:other; this space has nets:make"
    ):
        fitted(space_of(), other)
    with pytest.raises(MisfitError, match=r"network\.name is net; this space has own"):
        fitted(space_of(), Recipe())


def test_a_variant_can_be_a_network_of_another_builder_or_of_none() -> None:
    variants = {
        "mine": {"network": {"depth": 3}},
        "hers": {"network": {"builder": "nets:hers"}},
        "theirs": {"network": {"name": "net", "channels1": 4}},
    }
    plain = {
        "name": "own",
        "title": "Several networks",
        "recipe": {"network": {"builder": "nets:make", "depth": 2}},
        "parameters": {"which": {"variants": variants}},
    }
    space = read_space(plain, ORIGIN)
    assert space.builders == {"nets:make", "nets:hers"}
    mine, hers, theirs = (space.recipe_of({"which": one}).network for one in variants)
    assert mine == OwnNetwork(builder="nets:make", depth=3)
    assert hers == OwnNetwork(builder="nets:hers")
    assert theirs.name == "net"
    for which in variants:
        assert fitted(space, space.recipe_of({"which": which})).values == {"which": which}


def test_builders_can_be_choices() -> None:
    choices = {"sets": "network.builder", "choices": ["nets:a", "nets:b"]}
    assert space_of(which=choices).builders == {"nets:a", "nets:b", "nets:make"}


def test_an_argument_that_is_none_is_reported_with_its_key() -> None:
    with pytest.raises(
        SpaceError, match=r"recipe field network: `?'classes' cannot be an argument"
    ):
        space_of(classes={"sets": "network.classes", "low": 2, "high": 3})

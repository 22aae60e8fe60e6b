"""The recipe: the tutorial's defaults, errors that name everything, a hash, a life in files."""

import json
import subprocess
import sys
import tomllib
from contextlib import suppress
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cifar_core.errors import RecipeError
from cifar_core.recipe import (
    Adam,
    AdamW,
    Augmentation,
    Constant,
    Cosine,
    Linear,
    Net,
    OneCycle,
    Plateau,
    PreActResNet18,
    Recipe,
    ResNet9,
    ResNet18Cifar,
    ResNet18ImageNet,
    Sgd,
    SpeedNet,
    Step,
)

examples = settings(deadline=None, max_examples=60)

whole = st.integers(1, 4096)
rate = st.floats(1e-12, 1000.0)
below_one = st.floats(0.0, 1.0, exclude_max=True)
share = st.floats(0.0, 1.0)
inside = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)
norms = st.sampled_from(["batch", "group"])
networks = st.one_of(
    st.builds(
        Net,
        channels1=whole,
        channels2=whole,
        batch_norm=st.booleans(),
        dropout=below_one,
        init=st.sampled_from(["default", "kaiming"]),
    ),
    *(
        st.builds(kind, width=st.integers(1, 512), norm=norms, dropout=below_one)
        for kind in (ResNet9, ResNet18Cifar, ResNet18ImageNet, PreActResNet18)
    ),
    st.builds(ResNet18ImageNet, weights=st.just("imagenet"), frozen=st.booleans()),
    st.builds(SpeedNet, channels1=whole, whitening=st.booleans(), dropout=below_one),
)
optimizers = st.one_of(
    st.builds(Sgd, lr=rate, momentum=below_one, weight_decay=share),
    st.builds(Sgd, lr=rate, momentum=inside, nesterov=st.booleans()),
    *(
        st.builds(kind, lr=rate, beta1=below_one, beta2=below_one, weight_decay=share)
        for kind in (Adam, AdamW)
    ),
)
schedules = st.one_of(
    st.builds(Constant),
    st.builds(Step, epochs=whole, factor=st.floats(1e-9, 1.0)),
    st.builds(Cosine),
    st.builds(OneCycle, warmup=inside),
    st.builds(Linear, warmup=below_one),
    st.builds(Plateau, patience=whole, divisor=st.floats(1.5, 1e6)),
)
recipes = st.builds(
    Recipe,
    network=networks,
    optimizer=optimizers,
    schedule=schedules,
    batch_size=st.integers(2, 8192),
    epochs=whole,
    augmentation=st.builds(
        Augmentation,
        flip=share,
        crop_padding=st.integers(0, 16),
        cutout=st.integers(0, 32),
        strength=share,
        crop_fill=st.sampled_from(["zero", "reflect"]),
        policy=st.sampled_from(["trivial", "auto", "augmix"]),
        probability=share,
        mixup=st.floats(0.0, 100.0),
        cutmix=st.floats(0.0, 100.0),
    ),
    label_smoothing=below_one,
    normalization=st.sampled_from(["symmetric", "standard"]),
    precision=st.sampled_from(["auto", "float32", "bfloat16"]),
)
SCHEDULE_NAMES = "'constant', 'step', 'cosine', 'one_cycle', 'linear', 'plateau'"
NETWORK_NAMES = (
    "'net', 'resnet9', 'resnet18_cifar', 'resnet18_imagenet', 'preact_resnet18', 'speednet', 'own'"
)
SECTIONS = {"network", "optimizer", "schedule", "augmentation"}
KEYS = sorted({*Recipe.model_fields, *Net.model_fields, *Sgd.model_fields, *Adam.model_fields})
texts = st.text(st.characters(exclude_categories=[]), max_size=8)  # lone surrogates as well
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.sampled_from(["sgd", "net"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=5)
    ),
    max_leaves=12,
)


def leaves(values: dict[str, Any]) -> list[tuple[str, ...]]:
    """The paths to all values that are no dictionaries."""
    paths: list[tuple[str, ...]] = []
    for key, value in values.items():
        inner = leaves(value) if isinstance(value, dict) else [()]
        paths += [(key, *path) for path in inner]
    return paths


def replaced(values: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A copy of `values` with another value at `path`."""
    key, *rest = path
    return {**values, key: replaced(values[key], tuple(rest), value) if rest else value}


def at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def problems(values: object) -> list[str]:
    """The sentences of the error that reading `values` raises."""
    with pytest.raises(RecipeError) as caught:
        Recipe.read(values, origin="runs/best.toml")
    first, *lines = str(caught.value).split("\n")
    assert first == "runs/best.toml is not a valid training recipe:"
    assert all(line.startswith("  ") for line in lines)
    return [line.strip() for line in lines]


# Defaults


def test_the_defaults_are_the_tutorials() -> None:
    assert Recipe().to_dict() == {
        "network": {
            "name": "net",
            "channels1": 6,
            "channels2": 16,
            "batch_norm": False,
            "dropout": 0.0,
            "init": "default",
        },
        "optimizer": {
            "name": "sgd",
            "lr": 0.001,
            "momentum": 0.9,
            "nesterov": False,
            "weight_decay": 0.0,
            "weight_decay_per_image": 0.0,
        },
        "schedule": {"name": "constant"},
        "batch_size": 64,
        "epochs": 12,
        "augmentation": {
            "flip": 0.0,
            "crop_padding": 0,
            "crop_fill": "zero",
            "cutout": 0,
            "policy": "trivial",
            "probability": 1.0,
            "strength": 0.0,
            "mixup": 0.0,
            "cutmix": 0.0,
        },
        "label_smoothing": 0.0,
        "normalization": "symmetric",
        "precision": "auto",
    }


def test_an_empty_mapping_reads_as_the_defaults() -> None:
    assert Recipe.read({}) == Recipe()


def test_the_defaults_of_adam_and_adamw_are_pytorchs() -> None:
    assert Adam().model_dump() == {
        "name": "adam",
        "lr": 0.001,
        "beta1": 0.9,
        "beta2": 0.999,
        "weight_decay": 0.0,
        "weight_decay_per_image": 0.0,
    }
    assert AdamW().model_dump() == {**Adam().model_dump(), "name": "adamw", "weight_decay": 0.01}


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().epochs = 3  # type: ignore[misc]


def test_reading_a_recipe_imports_no_torch() -> None:
    program = "import sys, cifar_core.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Errors


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": 0}, "epochs: must be at least 1, but got 0."),
        ({"epochs": 10_001}, "epochs: must be at most 10000, but got 10001."),
        ({"epochs": 1.0}, "epochs: input should be a valid integer, but got 1.0."),
        ({"epochs": True}, "epochs: input should be a valid integer, but got True."),
        ({"batch_size": "64"}, "batch_size: input should be a valid integer, but got '64'."),
        ({"batch_size": 8193}, "batch_size: must be at most 8192, but got 8193."),
        ({"label_smoothing": 1.0}, "label_smoothing: must be below 1.0, but got 1.0."),
        (
            {"label_smoothing": None},
            "label_smoothing: input should be a valid number, but got None.",
        ),
        (
            {"normalization": "imagenet"},
            "normalization: must be 'symmetric' or 'standard', but got 'imagenet'.",
        ),
        (
            {"precision": "float16"},
            "precision: must be 'auto', 'float32' or 'bfloat16', but got 'float16'.",
        ),
        ({"seed": 3}, "seed: no such key (found with the value 3)"),
        ({"network": {"width": 3}}, "network.width: no such key (found with the value 3)"),
        (
            {"network": {"name": "resnet"}},
            f"network.name: must be one of {NETWORK_NAMES}, but got 'resnet'.",
        ),
        (
            {"network": {"name": "resnet18_imagenet", "frozen": True}},
            "network: frozen needs trained `weights`, but got 'random'.",
        ),
        (
            {"network": {"name": "resnet18_imagenet", "weights": "imagenet", "width": 32}},
            "network: weights can only be loaded with width 64 and norm 'batch'.",
        ),
        (
            {"optimizer": {"weight_decay": 0.5, "weight_decay_per_image": 0.01}},
            (
                "weight_decay, with weight_decay_per_image * batch_size, must be at most 1, "
                "but got 1.14."
            ),
        ),
        (
            {"schedule": {"name": "plateau", "divisor": 1.0}},
            "schedule.divisor: must be above 1.0, but got 1.0.",
        ),
        (
            {"augmentation": {"policy": "rand"}},
            "augmentation.policy: must be 'trivial', 'auto' or 'augmix', but got 'rand'.",
        ),
        ({"network": {"channels1": 0}}, "network.channels1: must be at least 1, but got 0."),
        (
            {"network": {"channels2": 4097}},
            "network.channels2: must be at most 4096, but got 4097.",
        ),
        ({"network": {"dropout": 1.0}}, "network.dropout: must be below 1.0, but got 1.0."),
        (
            {"network": {"batch_norm": 1}},
            "network.batch_norm: input should be a valid boolean, but got 1.",
        ),
        (
            {"augmentation": {"flip": -0.1}},
            "augmentation.flip: must be at least 0.0, but got -0.1.",
        ),
        (
            {"augmentation": {"crop_padding": 17}},
            "augmentation.crop_padding: must be at most 16, but got 17.",
        ),
        ({"augmentation": {"cutout": 33}}, "augmentation.cutout: must be at most 32, but got 33."),
        (
            {"augmentation": {"rotate": 5}},
            "augmentation.rotate: no such key (found with the value 5)",
        ),
        (
            {"optimizer": {"name": "rmsprop"}},
            "optimizer.name: must be one of 'sgd', 'adam', 'adamw', but got 'rmsprop'.",
        ),
        ({"optimizer": {"name": "sgd", "lr": 0}}, "optimizer.lr: must be above 0.0, but got 0."),
        (
            {"optimizer": {"name": "adam", "lr": float("nan")}},
            "optimizer.lr: input should be a finite number, but got nan.",
        ),
        (
            {"optimizer": {"name": "adamw", "lr": float("inf")}},
            "optimizer.lr: input should be a finite number, but got inf.",
        ),
        (
            {"optimizer": {"name": "sgd", "beta1": 0.9}},
            "optimizer.beta1: no such key (found with the value 0.9)",
        ),
        (
            {"optimizer": {"name": "adam", "momentum": 0.9}},
            "optimizer.momentum: no such key (found with the value 0.9)",
        ),
        (
            {"optimizer": {"name": "sgd", "momentum": 1.0}},
            "optimizer.momentum: must be below 1.0, but got 1.0.",
        ),
        (
            {"optimizer": {"name": "sgd", "nesterov": True, "momentum": 0.0}},
            "optimizer: nesterov needs a `momentum` above 0, but got 0.0.",
        ),
        (
            {"schedule": {"name": "exponential"}},
            f"schedule.name: must be one of {SCHEDULE_NAMES}, but got 'exponential'.",
        ),
        (
            {"schedule": {"name": "step", "factor": 0.0}},
            "schedule.factor: must be above 0.0, but got 0.0.",
        ),
        (
            {"schedule": {"name": "cosine", "warmup": 0.1}},
            "schedule.warmup: no such key (found with the value 0.1)",
        ),
        (
            {"schedule": {"name": "one_cycle", "warmup": 1.0}},
            "schedule.warmup: must be below 1.0, but got 1.0.",
        ),
        (
            [1, 2],
            "the whole: input should be a valid dictionary or instance of Recipe, but got [1, 2].",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_names_the_key_the_limit_and_what_was_found(values: object, sentence: str) -> None:
    (found,) = problems(values)
    assert found == sentence or found.startswith(f"{sentence}; ")  # a hint follows an unknown key


def test_everything_that_is_wrong_is_named_at_once() -> None:
    found = problems({"epochs": 0, "batch": 3, "optimizer": {"name": "sgd", "lr": -1.0}})
    assert [line.partition(":")[0] for line in found] == ["optimizer.lr", "epochs", "batch"]


@given(recipe=recipes, data=st.data())
@examples
def test_a_wrong_value_anywhere_is_refused_under_its_own_key(
    recipe: Recipe, data: st.DataObject
) -> None:
    values = recipe.to_dict()
    path = data.draw(st.sampled_from(leaves(values)))
    wrong: object = data.draw(
        st.sampled_from([None, float("nan"), float("-inf"), "much", [], {}, -1e9])
    )
    (sentence,) = problems(replaced(values, path, wrong))
    assert sentence.startswith(".".join(path) + ": ")
    assert sentence.endswith(f"but got {wrong!r}.") or path[-1] == "name"


@given(recipe=recipes, data=st.data())
@examples
def test_an_unknown_key_is_refused_at_every_level(recipe: Recipe, data: st.DataObject) -> None:
    values = recipe.to_dict()
    section = data.draw(st.sampled_from(["", *sorted(SECTIONS)]))
    path = (section, "bogus") if section else ("bogus",)
    (found,) = problems(replaced(values, path, 1))
    assert found.startswith(f"{'.'.join(path)}: no such key (found with the value 1); allowed: ")


@given(values=json_values)
@settings(deadline=None, max_examples=300)
def test_whatever_stands_in_a_file_is_read_or_refused_with_a_recipe_error(values: object) -> None:
    try:
        recipe = Recipe.read(values)
    except RecipeError as error:
        str(error).encode()  # it can be printed
    else:
        assert Recipe.read(recipe.to_dict()) == recipe


@given(recipe=recipes, value=json_values, data=st.data())
@examples
def test_any_one_value_is_taken_or_refused_with_a_recipe_error(
    recipe: Recipe, value: object, data: st.DataObject
) -> None:
    plain = recipe.to_dict()
    path = data.draw(st.sampled_from([*leaves(plain), *((key,) for key in sorted(SECTIONS))]))
    with suppress(RecipeError):
        Recipe.read(replaced(plain, path, value))


# The digest


def test_the_digest_is_the_same_for_ever() -> None:
    assert Recipe().digest == "44136fa355b3"
    assert Recipe(network=ResNet9(width=32), optimizer=Adam(lr=0.002)).digest == "437865568389"


def test_a_former_name_of_a_field_is_read_and_hashed_as_before() -> None:
    """Recipes with the former name are in studies and exported files, their digests in checkpoints."""
    former = Recipe.read({"optimizer": {"weight_decay_per_picture": 5e-4}})
    assert former == Recipe.read({"optimizer": {"weight_decay_per_image": 5e-4}})
    assert former.digest == "b1bf58801c64"
    assert former.to_dict()["optimizer"]["weight_decay_per_image"] == 5e-4
    both = {"weight_decay_per_image": 5e-4, "weight_decay_per_picture": 5e-4}
    with pytest.raises(RecipeError, match="weight_decay_per_picture: no such key"):
        Recipe.read({"optimizer": both})


def test_a_field_at_its_default_has_no_part_in_the_digest() -> None:
    """So a recipe keeps its digest when a later version has more fields; its kinds always count."""
    assert Recipe(label_smoothing=0.0).digest == Recipe().digest
    kinds = [ResNet9(), ResNet18Cifar(), ResNet18ImageNet(), PreActResNet18(), SpeedNet(), Net()]
    assert len({Recipe(network=kind).digest for kind in kinds}) == len(kinds)
    assert Recipe(network=ResNet9(width=32)).digest != Recipe(network=ResNet9()).digest


def test_a_section_without_a_name_is_of_the_default_kind() -> None:
    recipe = Recipe.read({"network": {"channels1": 9}, "optimizer": {"lr": 0.1}})
    assert (recipe.network, recipe.optimizer) == (Net(channels1=9), Sgd(lr=0.1))


def test_the_order_of_keys_and_whole_numbers_for_floats_do_not_change_the_digest() -> None:
    values = dict(reversed(Recipe().to_dict().items())) | {"label_smoothing": 0}
    assert Recipe.read(values).digest == Recipe().digest


def test_equal_recipes_have_equal_digests_even_where_a_zero_is_negative() -> None:
    one, other = Recipe(label_smoothing=-0.0), Recipe(label_smoothing=0.0)
    assert one == other
    assert one.digest == other.digest


@given(one=recipes, other=recipes)
@examples
def test_the_digest_differs_where_any_field_differs(one: Recipe, other: Recipe) -> None:
    mine, others = one.to_dict(), other.to_dict()
    paths: list[tuple[str, ...]] = [(key,) for key in mine]
    paths += [path for path in leaves(mine) if path in leaves(others) and path[-1] != "name"]
    for path in paths:
        if at(mine, path) == at(others, path):
            continue
        try:
            changed = Recipe.read(replaced(mine, path, at(others, path)))
        except RecipeError:  # nesterov without momentum, from the two halves
            continue
        assert changed != one
        assert changed.digest != one.digest


# Files


@given(recipe=recipes)
@examples
def test_a_recipe_survives_json_and_toml(recipe: Recipe) -> None:
    for again in (
        json.loads(json.dumps(recipe.to_dict(), allow_nan=False)),
        tomllib.loads(tomli_w.dumps(recipe.to_dict())),
    ):
        assert Recipe.read(again) == recipe
        assert Recipe.read(again).digest == recipe.digest

"""A program of its own for everything that is registered: it computes what the service computes."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cifar_core import trainer
from cifar_core.augmentation.mixing import mix
from cifar_core.augmentation.pipeline import augment
from cifar_core.augmentation.policies import POLICIES
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.resident import Splits
from cifar_core.data.split import split
from cifar_core.device import backend_of
from cifar_core.models import network_of
from cifar_core.models.speednet import SpeedNetwork
from cifar_core.optimizers import optimizer_of
from cifar_core.recipe import Augmentation, Net, Plateau, Recipe, ResNet18Cifar
from cifar_core.schedules import schedule_of
from cifar_core.standalone.held_out import held_out
from cifar_core.stepping import train_step
from tests.cifar_core.standalone.programs import FACTS, program_of, text_of
from tests.cifar_core.trainings import begin, same
from tests.conftest import part_of
from tests.test_conformance import BASE, RECIPES

CPU = torch.device("cpu")


def combined() -> dict[str, Recipe]:
    """Recipes that together have everything that is registered, and few enough to be quick."""
    parts = {
        kind: [
            changes
            for name, changes in RECIPES.items()
            if name.startswith(kind) and "Own" not in name
        ]
        for kind in ("network", "schedule", "optimizer", "augmentation")
    }
    parts["network"] += [
        {"network": Net(init="kaiming", batch_norm=True)},
        {"network": ResNet18Cifar(width=8, norm="group")},
    ]
    parts["else"] = [{"label_smoothing": 0.1}, {"precision": "bfloat16"}, {}]
    count = max(map(len, parts.values()))
    return {
        f"recipe {index}": BASE.model_copy(
            update={
                key: value
                for changes in parts.values()
                for key, value in changes[index % len(changes)].items()
            }
        )
        for index in range(count)
    }


EVERY = combined()
everything = pytest.mark.parametrize("recipe", EVERY.values(), ids=EVERY)


@pytest.fixture(scope="module")
def few(small_splits: Splits) -> Splits:
    """Two steps of 8 images."""
    return part_of(small_splits, 16)


@pytest.fixture(scope="module")
def some() -> Tensor:
    """Images of random bytes, (400, 3, 32, 32)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(400, 3, 8, 8, generator=generator)
    return (255 * torch.nn.functional.interpolate(coarse, scale_factor=4)).to(torch.uint8)


@everything
def test_a_program_computes_steps_and_rates_exactly_as_the_service_does(
    recipe: Recipe, few: Splits
) -> None:
    program = program_of(recipe)
    images, labels = few.train.images[:8], few.train.labels[:8]
    floats = program.normalized(images)
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (FACTS.mean, FACTS.std))
    torch.testing.assert_close(floats, (images / 255 - mean) / std)
    assert program.prepared(images).shape == floats.shape
    torch.manual_seed(1)
    theirs = program.new_network(images)
    torch.manual_seed(1)
    ours = network_of(recipe.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(ours, SpeedNetwork):
        ours.whiten(floats)
    assert same(ours.state_dict(), theirs.state_dict())
    with torch.inference_mode():
        assert torch.equal(ours.eval()(floats), theirs.eval()(floats))

    optimizer = optimizer_of(recipe, ours.parameters())
    their_optimizer = program.optimizer_of(theirs.parameters())
    backend = backend_of(recipe, CPU)
    if recipe.augmentation.mixes:
        floats, labels = program.mix(floats, labels)
    ours.train()
    theirs.train()
    for _ in range(2):  # momentum takes part in the second
        torch.manual_seed(2)
        loss, _ = train_step(ours, optimizer, floats, labels, recipe.label_smoothing, backend)
        torch.manual_seed(2)
        assert torch.equal(program.train_step(theirs, their_optimizer, floats, labels), loss)
    assert same(ours.state_dict(), theirs.state_dict())
    length = {"epochs": 12, "steps_per_epoch": 5}
    wanted = inspect.signature(program.schedule_of).parameters  # a constant rate asks for none
    factor = schedule_of(recipe.schedule, **length)
    their_factor = program.schedule_of(**{name: length[name] for name in wanted})
    assert [factor(step) for step in range(60)] == [their_factor(step) for step in range(60)]


def test_programs_need_pytorch_alone_and_have_no_name_that_is_missing_or_unused(
    tmp_path: Path,
) -> None:
    for name, recipe in EVERY.items():
        text = text_of(recipe)
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        imported = {
            module.partition(".")[0]
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for module in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [one.name for one in node.names]
            )
        }
        assert imported - sys.stdlib_module_names == {"torch"}
        assert not re.search(r"noqa|type: ignore|cifar_core|\bassert\b", text)
        longest = max(len(line) for line in text.splitlines() if "def " not in line)
        assert longest <= 110, name
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9,B", tmp_path]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_a_program_has_nothing_that_its_recipe_does_not_use() -> None:
    plain = text_of(Recipe())
    for word in ("BatchNorm", "Dropout", "flip", "crop", "cutmix", "plateau", "one_cycle", "Adam"):
        assert not re.search(rf"\b{word}", plain, re.IGNORECASE), word
    flipped = text_of(Recipe(augmentation=Augmentation(flip=0.25), schedule=Plateau()))
    assert "flip(images, 0.25)" in flipped
    assert "class PlateauControl" in flipped
    assert "def state_dict" not in flipped
    assert "GroupNorm" not in text_of(Recipe(network=ResNet18Cifar()))


@pytest.mark.parametrize("name", list(POLICIES))
def test_a_policy_at_strength_0_changes_nothing_and_above_it_as_much_as_the_services(
    name: str, some: Tensor
) -> None:
    record = Augmentation.model_validate({"policy": name, "strength": 0.8, "probability": 0.9})
    program = program_of(Recipe(augmentation=record))
    torch.manual_seed(0)
    assert torch.equal(getattr(program, name)(some, 0.0), some)
    some = some.repeat(5, 1, 1, 1)  # as many as show a strength that is a fifth too low
    generator, choices = torch.Generator().manual_seed(0), np.random.default_rng(0)
    ours, theirs = augment(some, record, generator, choices), program.policy(some)
    for moment in (
        lambda images: (images != some).float().mean((1, 2, 3)),  # pixels that change
        lambda images: (images.float() - some).abs().mean((1, 2, 3)),  # and by how much
        lambda images: images.float().mean((1, 2, 3)),
    ):
        one, other = moment(ours), moment(theirs)
        error = ((one.var() + other.var()) / len(some)).sqrt()
        assert abs(one.mean() - other.mean()) < 3.5 * error


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_images_are_mixed_as_the_service_mixes_them(mixing: dict[str, float], some: Tensor) -> None:
    record = Augmentation.model_validate(mixing)
    program = program_of(Recipe(augmentation=record))
    torch.manual_seed(0)
    generator, choices = torch.Generator().manual_seed(0), np.random.default_rng(0)
    labels, floats = torch.arange(400) % 10, some.float()
    found: dict[str, list[Tensor]] = {"ours": [], "theirs": []}
    for _ in range(12):  # with both, a batch gets one of the two
        for whose, (images, shares) in {
            "ours": mix(floats, labels, record, generator, choices),
            "theirs": program.mix(floats, labels),
        }.items():
            torch.testing.assert_close(shares.sum(1), torch.ones(400))
            changed = (images != floats).float().mean((1, 2, 3))
            found[whose].append(torch.stack([shares.amax(1), changed]))
    ours, theirs = (torch.cat(one, 1) for one in found.values())  # (2, 12 B)
    means = [one.view(2, 12, 400).mean(2) for one in (ours, theirs)]
    error = sum(one.var(1) / 12 for one in means) ** 0.5 + 0.005
    assert ((ours.mean(1) - theirs.mean(1)).abs() < 4 * error).all()


def test_a_plateau_goes_back_and_ends_where_the_service_does(
    few: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(batch_size=8, epochs=9, schedule=Plateau(patience=2, divisor=4.0))
    accuracies = [0.3, 0.5, 0.4, 0.4, 0.6, 0.5, 0.5, 0.5, 0.5]
    scripted = iter(accuracies)
    monkeypatch.setattr(trainer, "evaluate", lambda *_: (1.0, next(scripted)))
    ours = list(begin(recipe, few).epochs())
    program = program_of(recipe)
    their_script = iter(accuracies)
    program.evaluate = lambda *_: (1.0, next(their_script))
    images = program.Images(few.train.images, few.train.labels)
    theirs = list(program.train(program.new_network(images.images), images, images))
    assert [(one.number, one.lr, one.validation_accuracy) for one in ours] == [
        (one.number, one.lr, one.validation_accuracy) for one in theirs
    ]
    assert ours[-1].converged


@pytest.mark.images
def test_a_program_holds_out_the_images_that_a_search_does(real_images: LabelledImages) -> None:
    assert held_out().nonzero().flatten().tolist() == split(real_images).validation.tolist()

"""All augmentations of single images together, in their order."""

from __future__ import annotations

import pytest
import torch

from cifar_core.augmentation.geometry import crop, cutout, flip
from cifar_core.augmentation.pipeline import augment
from cifar_core.augmentation.policies import POLICIES, policy
from cifar_core.recipe import Augmentation
from tests.cifar_core.augmentation.batches import chooser, random_images, seeded


@pytest.mark.parametrize(
    "record",
    [
        Augmentation(),
        Augmentation(mixup=1.0, cutmix=1.0),
        *(Augmentation(policy=name, strength=1.0, probability=0.0) for name in POLICIES),
        *(Augmentation(policy=name, strength=0.0) for name in POLICIES),
    ],
)
def test_with_everything_off_the_same_tensor_comes_back_and_nothing_is_drawn(
    record: Augmentation,
) -> None:
    images, generator, choices = random_images(5), seeded(), chooser()
    assert augment(images, record, generator, choices) is images
    assert torch.equal(generator.get_state(), seeded().get_state())
    assert choices.bit_generator.state == chooser().bit_generator.state


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("fill", ["zero", "reflect"])
def test_the_order_is_flip_crop_policy_cutout(name: str, fill: str) -> None:
    record = Augmentation.model_validate(
        {"flip": 0.4, "crop_padding": 3, "crop_fill": fill, "cutout": 6, "policy": name}
        | {"strength": 0.7, "probability": 0.6}
    )
    images = random_images(40)
    result = augment(images, record, seeded(), chooser())

    generator, choices = seeded(), chooser()
    expected = flip(images, 0.4, generator)
    expected = crop(expected, 3, generator, record.crop_fill)
    expected = policy(expected, name, 0.7, 0.6, generator, choices)
    assert torch.equal(result, cutout(expected, 6, generator))

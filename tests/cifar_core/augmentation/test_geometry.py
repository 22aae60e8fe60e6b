"""Flip, crop, cutout: what each may do to an image, and what it must leave alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from cifar_core.augmentation.geometry import crop, cutout, flip
from tests.cifar_core.augmentation.batches import examples, random_images, seeded, seeds, sides

if TYPE_CHECKING:
    from typing import Literal

    from torch import Tensor

    Fill = Literal["zero", "reflect"]

fills = pytest.mark.parametrize("fill", ["zero", "reflect"])


def test_setting_zero_returns_the_very_same_images() -> None:
    images = random_images(7)
    assert flip(images, 0.0, seeded()) is images
    assert crop(images, 0, seeded()) is images
    assert crop(images, 0, seeded(), "reflect") is images
    assert cutout(images, 0, seeded()) is images


@given(seed=seeds, height=sides, width=sides)
@examples
def test_a_flip_with_probability_one_mirrors_every_image(
    seed: int, height: int, width: int
) -> None:
    images = random_images(6, height, width, seed)
    assert torch.equal(flip(images, 1.0, seeded(seed)), images.flip(-1))


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_each_image_is_mirrored_or_not_and_the_share_is_the_probability(
    probability: float,
) -> None:
    images = random_images(4000, 4, 4)
    result = flip(images, probability, seeded())
    kept = (result == images).flatten(1).all(1)
    mirrored = (result == images.flip(-1)).flatten(1).all(1)
    assert (kept ^ mirrored).all()
    assert mirrored.double().mean() == pytest.approx(probability, abs=0.03)  # 3.8 sigma


def offsets(images: Tensor, result: Tensor, padding: int, fill: Fill) -> Tensor:
    """Which windows of each padded image the result is: (B, 2p + 1, 2p + 1), bool."""
    _, _, height, width = images.shape
    mode = "constant" if fill == "zero" else "reflect"
    padded = tv.pad(images, [padding] * 4, padding_mode=mode)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, 3, 2p + 1, 2p + 1, H, W)
    return (windows == result[:, :, None, None]).all(-1).all(-1).all(1)


@fills
@given(seed=seeds, padding=st.integers(1, 3), height=sides, width=sides)
@examples  # 5 pixels repeat after 8 when mirrored: a padding of 4 would have windows twice
def test_a_crop_is_one_window_of_the_image_as_torchvision_pads_it(
    fill: Fill, seed: int, padding: int, height: int, width: int
) -> None:
    images = random_images(5, height, width, seed)
    found = offsets(images, crop(images, padding, seeded(seed), fill), padding, fill)
    assert (found.sum((1, 2)) == 1).all()


@fills
@pytest.mark.parametrize("padding", [1, 4])
def test_all_offsets_of_a_crop_occur_equally_often(padding: int, fill: Fill) -> None:
    images = random_images(3000, 6, 6)
    counts = offsets(images, crop(images, padding, seeded(), fill), padding, fill).sum(0)
    expected = len(images) / counts.numel()
    assert counts.min() > 0
    assert (counts - expected).abs().max() < 5 * math.sqrt(expected)


@pytest.mark.parametrize(("height", "width"), [(4, 9), (9, 4)])
def test_more_than_the_image_cannot_be_reflected(height: int, width: int) -> None:
    images = random_images(2, height, width)
    crop(images, 3, seeded(), "reflect")
    with pytest.raises(ValueError, match=f"`padding` must be less .* got 4 and {height}x{width}"):
        crop(images, 4, seeded(), "reflect")


def runs(length: int, size: int) -> list[list[bool]]:
    """For each centre the places that a clipped run of that size covers."""
    starts = [centre - size // 2 for centre in range(length)]
    return [[start <= place < start + size for place in range(length)] for start in starts]


@given(seed=seeds, size=st.integers(1, 14), height=sides, width=sides)
@examples
def test_cutout_blanks_exactly_one_clipped_square(
    seed: int, size: int, height: int, width: int
) -> None:
    images = random_images(5, height, width, seed)
    result = cutout(images, size, seeded(seed))
    for before, after in zip(images, result, strict=True):
        hole = after[0] == 0  # (H, W)
        rows, columns = hole.any(1), hole.any(0)
        assert rows.tolist() in runs(height, size)
        assert columns.tolist() in runs(width, size)
        assert torch.equal(after, before * ~(rows[:, None] & columns))


def test_the_centre_of_a_cutout_is_uniform_over_the_image() -> None:
    images = random_images(7000, 5, 7)
    counts = (cutout(images, 1, seeded())[:, 0] == 0).sum(0)  # (5, 7)
    assert counts.sum() == 7000
    assert (counts - 200).abs().max() < 5 * math.sqrt(200)


def test_a_cutout_can_be_filled_with_a_colour() -> None:
    images = random_images(20)
    colour = torch.tensor([125, 123, 114], dtype=torch.uint8).view(3, 1, 1)
    black = cutout(images, 8, seeded())
    expected = torch.where(black == 0, colour, images)
    assert torch.equal(cutout(images, 8, seeded(), fill=colour), expected)
    assert torch.equal(cutout(images, 8, seeded(), fill=9), torch.where(black == 0, 9, images))

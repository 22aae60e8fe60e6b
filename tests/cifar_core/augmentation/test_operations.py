"""The single operations against torchvision's, with the same parameters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own documentation calls it F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from cifar_core.augmentation.operations import (
    COLOUR,
    FIXED,
    GEOMETRIC,
    OPERATIONS,
    autocontrast,
    equalize,
    invert,
    posterize,
    sharpness,
    solarize,
    warp,
)
from tests.cifar_core.augmentation.batches import examples, random_images, seeded, seeds, sides

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = dict.fromkeys(OPERATIONS, 0.9) | {
    "rotate": 30.0,
    "shear_x": 0.3,
    "shear_y": 0.3,
    "translate_x": 0.5,
    "translate_y": 0.5,
    "posterize": 7.0,
    "solarize": 256.0,
}


def moved(images: Tensor, **amounts: Tensor) -> Tensor:
    """`warp` with the amounts not named 0."""
    nothing = torch.zeros(len(images))
    return warp(images, **{name: amounts.get(name, nothing) for name in GEOMETRIC})


BY_AMOUNT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    name: lambda images, amounts, name=name: moved(images, **{name: amounts}) for name in GEOMETRIC
} | COLOUR


def by_torchvision(image: Tensor, name: str, amount: float) -> Tensor:
    """The same operation in torchvision's floats, without rounding: (3, H, W), [0, 255]."""
    image = image / 255
    _, height, width = image.shape
    angle, shear, shift = 0.0, [0.0, 0.0], [0.0, 0.0]
    match name:
        case "brightness" | "contrast" | "saturation":
            adjust = getattr(tv, f"adjust_{name}")
            return 255 * adjust(image, 1 + amount)  # type: ignore[no-any-return]
        case "rotate":
            angle = -amount  # torchvision's affine turns clockwise
        case "shear_x" | "shear_y":  # and leans to the left and up
            shear[name == "shear_y"] = -math.degrees(math.atan(amount))
        case "translate_x":
            shift[0] = amount * width
        case "translate_y":
            shift[1] = amount * height
    bilinear = tv.InterpolationMode.BILINEAR
    return 255 * tv.affine(image, angle, shift, 1.0, shear, bilinear)  # type: ignore[no-any-return]


def levels(low: int, high: int, count: int = 4, side: int = 32, seed: int = 0) -> Tensor:
    """Noise of the levels from low to high, both included."""
    shape = (count, 3, side, side)
    return torch.randint(low, high + 1, shape, dtype=torch.uint8, generator=seeded(seed))


def test_every_operation_has_an_amount_or_is_fixed() -> None:
    assert (*BY_AMOUNT, *FIXED) == OPERATIONS


@pytest.mark.parametrize("name", BY_AMOUNT)
@given(seed=seeds, height=st.integers(1, 12), width=st.integers(1, 12))
@examples
def test_an_operation_by_amount_zero_is_the_exact_identity(
    name: str, seed: int, height: int, width: int
) -> None:
    images = torch.randint(256, (3, 3, height, width), dtype=torch.uint8, generator=seeded(seed))
    assert torch.equal(BY_AMOUNT[name](images, torch.zeros(3)), images)
    assert torch.equal(BY_AMOUNT[name](images, -torch.zeros(3)), images)


@pytest.mark.parametrize("name", [*GEOMETRIC, "brightness", "contrast", "saturation"])
@given(seed=seeds, height=sides, width=sides)
@examples
def test_an_operation_does_what_torchvisions_does(
    name: str, seed: int, height: int, width: int
) -> None:
    images = random_images(4, height, width, seed)
    amounts = LARGEST[name] * (2 * torch.rand(4, generator=seeded(seed)) - 1)
    result = BY_AMOUNT[name](images, amounts)
    pairs = zip(images, amounts.tolist(), strict=True)
    exact = torch.stack([by_torchvision(image, name, amount) for image, amount in pairs])
    # Of floats: from bytes torchvision rounds down twice, which adds up to more than a level.
    # Its weights of grey add up to 0.9999, hence a little more than half a level.
    assert (result - exact).abs().max() <= 0.53


def test_shifting_moves_whole_pixels_exactly_right_and_down() -> None:
    images, eighth = random_images(2), torch.full((2,), 0.125)
    right, down = moved(images, translate_x=eighth), moved(images, translate_y=eighth)
    assert torch.equal(right, F.pad(images, (4, 0, 0, 0))[..., :32])
    assert torch.equal(down, F.pad(images, (0, 0, 4, 0))[..., :32, :])


def test_turning_by_a_right_angle_is_rot90() -> None:
    images = random_images(2)
    assert torch.equal(moved(images, rotate=torch.full((2,), 90.0)), images.rot90(1, (2, 3)))


@given(amount=st.floats(-1, 1, width=32), seed=seeds, height=st.integers(1, 12), width=sides)
@examples
def test_sharpness_is_torchvisions_at_the_border_too(
    amount: float, seed: int, height: int, width: int
) -> None:
    images = random_images(3, height, width, seed)
    result = sharpness(images, torch.full((3,), amount)).int()
    # torchvision rounds down in the end.
    assert (result - tv.adjust_sharpness(images, 1 + amount)).abs().max() <= 1
    assert torch.equal(result[..., 0, :], images[..., 0, :].int())
    assert torch.equal(result[..., -1], images[..., -1].int())


@given(amount=st.integers(1, 256), sign=st.sampled_from([-1, 1]))
@examples
def test_solarize_is_torchvisions(amount: int, sign: int) -> None:
    images = levels(0, 255, 2)
    amounts = torch.full((2,), float(sign * amount))
    assert torch.equal(solarize(images, amounts), tv.solarize(images, 256 - amount))


@given(amount=st.floats(-7, 7, width=32))
@examples
def test_posterize_is_torchvisions(amount: float) -> None:
    images = random_images(2)
    expected = tv.posterize(images, 8 - round(abs(amount)))
    assert torch.equal(posterize(images, torch.full((2,), amount)), expected)


ranges = st.tuples(st.integers(0, 255), st.integers(0, 255)).map(sorted)


@given(between=ranges, side=st.integers(1, 40), seed=seeds)
@examples
def test_autocontrast_is_torchvisions(between: list[int], side: int, seed: int) -> None:
    images = levels(*between, 3, side, seed)
    # torchvision rounds down.
    assert (autocontrast(images).int() - tv.autocontrast(images)).abs().max() <= 1


def test_autocontrast_reaches_black_and_white_and_leaves_a_flat_channel() -> None:
    images = levels(100, 120, 2)
    images[0, 1] = 77
    result = autocontrast(images)
    assert torch.equal(result[0, 1], images[0, 1])
    assert (result[1].amin((1, 2)).tolist(), result[1].amax((1, 2)).tolist()) == (
        [0] * 3,
        [255] * 3,
    )


@given(between=ranges, side=st.integers(1, 40), seed=seeds)
@examples
def test_equalize_is_exactly_torchvisions(between: list[int], side: int, seed: int) -> None:
    images = levels(*between, 3, side, seed)
    assert torch.equal(equalize(images), tv.equalize(images))


@given(share=st.floats(0, 1), seed=seeds)
@examples
def test_equalize_is_exactly_torchvisions_where_white_or_black_prevail(
    share: float, seed: int
) -> None:
    images = levels(0, 255, 2, 32, seed)
    much = torch.rand(images.shape, generator=seeded(seed)) < share
    for level in (0, 255):
        one_sided = images.masked_fill(much, level)
        assert torch.equal(equalize(one_sided), tv.equalize(one_sided))


def test_invert_is_torchvisions() -> None:
    images = levels(0, 255)
    assert torch.equal(invert(images), tv.invert(images))


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "sharpness"])
@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_stay_in_range(name: str, level: int) -> None:
    images = torch.full((2, 3, 8, 8), level, dtype=torch.uint8)
    images[..., :2] = 255 - level
    result = COLOUR[name](images, torch.full((2,), 0.9))
    assert torch.equal(result, images) or name == "contrast"
    assert (result[..., :2] == 255 - level).all()  # nothing wraps around


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_image_has_its_own_amount_and_no_part_in_anothers_result(name: str) -> None:
    images = random_images(5)
    amounts = LARGEST[name] * torch.linspace(-1, 1, 5)

    def operated(rows: slice) -> Tensor:
        if name in FIXED:
            return FIXED[name](images[rows])
        return BY_AMOUNT[name](images[rows], amounts[rows])

    alone = torch.cat([operated(slice(row, row + 1)) for row in range(5)])
    # Sums over a batch and over one image may differ in the last bit, and so round apart.
    assert (operated(slice(None)).int() - alone).abs().max() <= 1

"""One random operation per picture, all of them scaled by one strength.

After TrivialAugment (Müller & Hutter 2021, arXiv 2103.10158): every picture gets one operation,
drawn uniformly, with a magnitude drawn uniformly. Here the magnitude reaches up to ``strength``
times the operation's largest, so that strength 0 is the identity.

**The pictures of a batch must be in random order**, as a shuffling loader gives them. Then a share
of the row positions is a random share of the pictures, and which operation a row gets can follow
from its position: each operation works on one slice whose bounds Python knows, so that no picture
is computed for an operation it does not get and no GPU is waited for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own documentation calls it F
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "COLOUR",
    "GEOMETRIC",
    "brightness",
    "contrast",
    "policy",
    "posterize",
    "saturation",
    "solarize",
    "warp",
]


def warp(
    images: Tensor,
    degrees: Tensor,
    shear_x: Tensor,
    shear_y: Tensor,
    shift_x: Tensor,
    shift_y: Tensor,
) -> Tensor:
    """Rotate, shear and shift pictures about their centre, bilinear, black outside.

    The parts are added, not composed: exact where one of them is nonzero, as the policy has it.

    Args:
        images: uint8 pictures, shape ``(n, 3, H, W)``.
        degrees: Rotation, counter-clockwise, shape ``(n,)``, like the others.
        shear_x: Pixels to the right per pixel further down.
        shear_y: Pixels down per pixel further right.
        shift_x: Shift to the right, as a share of the width.
        shift_y: Shift down, as a share of the height.

    Returns:
        uint8 pictures, shape ``(n, 3, H, W)``, rounded; all parameters 0 is the exact identity.
    """
    height, width = images.shape[2:]
    device = images.device
    # Not by affine_grid: its matrix product loses digits under autocast and TF32, and is slower.
    # grid_sample's unit is half a side, and 0 is the centre.
    x = (torch.arange(width, device=device) - (width - 1) / 2) * (2 / width)  # (W,)
    y = ((torch.arange(height, device=device) - (height - 1) / 2) * (2 / height)).view(height, 1)
    turn = torch.deg2rad(degrees)
    cos, sin, shear_x, shear_y, shift_x, shift_y = (
        each.view(-1, 1, 1) for each in (turn.cos(), turn.sin(), shear_x, shear_y, shift_x, shift_y)
    )  # each (n, 1, 1)
    # Where each pixel of the result comes from: the way back, hence the signs.
    from_x = cos * x - ((sin + shear_x) * (height / width) * y + 2 * shift_x)  # (n, H, W)
    from_y = (sin - shear_y) * (width / height) * x + (cos * y - 2 * shift_y)  # (n, H, W)
    grid = torch.stack([from_x, from_y], dim=-1)  # (n, H, W, 2)
    return _levels(F.grid_sample(images.float(), grid, align_corners=False))


def brightness(images: Tensor, amount: Tensor) -> Tensor:
    """Scale all levels by 1 + amount; ``amount`` in [-1, 1], shape ``(n,)``."""
    return _levels(images * (1 + amount.view(-1, 1, 1, 1)))


def contrast(images: Tensor, amount: Tensor) -> Tensor:
    """Scale distances from the mean grey by 1 + amount; ``amount`` in [-1, 1], ``(n,)``."""
    mean = _grey(images).mean((1, 2, 3), keepdim=True)  # (n, 1, 1, 1)
    return _levels(torch.lerp(mean, images.float(), 1 + amount.view(-1, 1, 1, 1)))


def saturation(images: Tensor, amount: Tensor) -> Tensor:
    """Scale distances from each pixel's grey by 1 + amount; ``amount`` in [-1, 1], ``(n,)``."""
    return _levels(torch.lerp(_grey(images), images.float(), 1 + amount.view(-1, 1, 1, 1)))


def solarize(images: Tensor, amount: Tensor) -> Tensor:
    """Invert the levels from 256 - abs(amount); ``amount`` in [-256, 256], shape ``(n,)``."""
    return torch.where(images >= 256 - amount.abs().view(-1, 1, 1, 1), 255 - images, images)


def posterize(images: Tensor, amount: Tensor) -> Tensor:
    """Clear the lowest round(abs(amount)) bits; ``amount`` in [-7, 7], shape ``(n,)``."""
    bits = amount.abs().round().to(torch.uint8).view(-1, 1, 1, 1)
    return (images >> bits) << bits


# The operations, each with its largest amount; a drawn amount is positive or negative. All but two
# are those of TrivialAugment's standard space (github.com/automl/trivialaugment: rotate 30, shear
# 0.3, factors 0.1 to 1.9, solarize 256): translations reach 8 of 32 pixels, not 10, and posterize
# keeps at least 4 bits, as in torchvision's RandAugment.
GEOMETRIC = {  # warp's arguments
    "degrees": 30.0,
    "shear_x": 0.3,
    "shear_y": 0.3,
    "shift_x": 0.25,
    "shift_y": 0.25,
}
COLOUR: dict[Callable[[Tensor, Tensor], Tensor], float] = {
    brightness: 0.9,
    contrast: 0.9,
    saturation: 0.9,
    solarize: 256.0,
    posterize: 4.0,
}
KINDS = len(GEOMETRIC) + len(COLOUR) + 1  # in this order; the last is the identity


def policy(images: Tensor, strength: float, generator: torch.Generator | None = None) -> Tensor:
    """Apply to each picture one random operation with a random magnitude.

    Args:
        images: uint8 pictures in random order, shape ``(B, 3, H, W)``.
        strength: Scales every operation's largest amount, in [0, 1]; 0 returns ``images``.
        generator: Source of the draws, on the pictures' device.

    Returns:
        uint8 pictures of the same shape, the given ones untouched.
    """
    if strength == 0:
        return images
    count = len(images)
    offset = torch.randint(KINDS, (), device=images.device, generator=generator)
    draws = torch.rand(count, device=images.device, generator=generator)  # (B,) in [0, 1)
    return _apply(images, _choices(count, offset), strength * (2 * draws - 1))


def _choices(count: int, offset: Tensor) -> Tensor:
    """Which operation each row gets: 0 to ``KINDS`` - 1, shape ``(count,)``, ascending.

    Systematic sampling: in one batch an operation gets ``count / KINDS`` rows, rounded up or down;
    over the ``KINDS`` equally likely offsets and all rows, every operation occurs equally often,
    exactly, even where ``count`` is 1.
    """
    rows = torch.arange(count, device=offset.device)
    return (KINDS * rows + offset) // count


def _rows(first: int, last: int, count: int) -> slice:
    """The rows that `_choices` can give to operations ``first`` to ``last``, for any offset."""
    return slice(first * count // KINDS, math.ceil((last + 1) * count / KINDS))


def _apply(images: Tensor, choices: Tensor, magnitudes: Tensor) -> Tensor:
    """Apply to row i operation ``choices[i]``, from `_choices`, by ``magnitudes[i]`` in [-1, 1].

    Neighbouring slices can share a row; the operation that it was not given gets amount 0 there.
    """
    count = len(images)
    result = images.clone()
    kinds = torch.arange(KINDS, device=images.device).view(-1, 1)
    parts = magnitudes * (choices == kinds)  # (KINDS, B): 0 but for each row's own operation

    rows = _rows(0, len(GEOMETRIC) - 1, count)
    amounts = {
        name: largest * parts[kind, rows] for kind, (name, largest) in enumerate(GEOMETRIC.items())
    }
    result[rows] = warp(result[rows], **amounts)

    for kind, (recolour, largest) in enumerate(COLOUR.items(), start=len(GEOMETRIC)):
        rows = _rows(kind, kind, count)
        result[rows] = recolour(result[rows], largest * parts[kind, rows])
    return result


def _grey(images: Tensor) -> Tensor:
    """Luma after ITU-R BT.601: (n, 3, H, W) to float (n, 1, H, W)."""
    red, green, blue = images.chunk(3, dim=1)  # each (n, 1, H, W)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _levels(values: Tensor) -> Tensor:
    """Float values, overwritten, as the nearest levels in [0, 255]: uint8, same shape."""
    return values.clamp_(0, 255).round_().to(torch.uint8)

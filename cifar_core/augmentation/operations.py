"""The single operations of the policies, on whole batches, each image with its own amount.

All take and give ``(n, 3, H, W)`` uint8 images, on any device. An amount is a float tensor of
shape ``(n,)`` on the same device, its sign and size as the function says, and amount 0 is the exact
identity. Results are rounded to the nearest level, where torchvision's drop the fraction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "COLOUR",
    "FIXED",
    "GEOMETRIC",
    "OPERATIONS",
    "autocontrast",
    "brightness",
    "contrast",
    "equalize",
    "invert",
    "posterize",
    "saturation",
    "sharpness",
    "solarize",
    "warp",
]


def warp(
    images: Tensor,
    rotate: Tensor,
    shear_x: Tensor,
    shear_y: Tensor,
    translate_x: Tensor,
    translate_y: Tensor,
) -> Tensor:
    """Rotate, shear and shift images about their centre, bilinear, black outside.

    The parts are added, not composed: exact where one of them is nonzero, as the policies have it.

    Args:
        images: uint8 images, shape ``(n, 3, H, W)``.
        rotate: Degrees counter-clockwise, shape ``(n,)``, like the others.
        shear_x: Pixels to the right per pixel further down.
        shear_y: Pixels down per pixel further right.
        translate_x: Shift to the right, as a share of the width.
        translate_y: Shift down, as a share of the height.

    Returns:
        uint8 images, shape ``(n, 3, H, W)``, rounded; all parameters 0 is the exact identity.
    """
    height, width = images.shape[2:]
    device = images.device
    # Not by affine_grid: its matrix product loses digits under autocast and TF32, and is slower.
    # grid_sample's unit is half a side, and 0 is the centre.
    x = (torch.arange(width, device=device) - (width - 1) / 2) * (2 / width)  # (W,)
    y = ((torch.arange(height, device=device) - (height - 1) / 2) * (2 / height)).view(height, 1)
    turn = torch.deg2rad(rotate)
    cos, sin, shear_x, shear_y, shift_x, shift_y = (
        each.view(-1, 1, 1)
        for each in (turn.cos(), turn.sin(), shear_x, shear_y, translate_x, translate_y)
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


def sharpness(images: Tensor, amount: Tensor) -> Tensor:
    """Scale distances from a smoothed image by 1 + amount; ``amount`` in [-1, 1], ``(n,)``.

    Each level is smoothed with its eight neighbours' by weights of 5/13 and 1/13, and rounded; the
    border, which has not eight neighbours, stays. Both as in Pillow and torchvision.
    """
    result = images.float()
    inner = result[..., 1:-1, 1:-1]  # (n, 3, H - 2, W - 2)
    # Sums of whole numbers, exact in any order; a convolution would round them under TF32.
    lines = result[..., :-2, :] + result[..., 1:-1, :] + result[..., 2:, :]  # (n, 3, H - 2, W)
    total = lines[..., :-2] + lines[..., 1:-1] + lines[..., 2:]  # (n, 3, H - 2, W - 2)
    smooth = total.add_(inner, alpha=4).div_(13).round_()
    inner.copy_(torch.lerp(smooth, inner, 1 + amount.view(-1, 1, 1, 1)))
    return _levels(result)


def solarize(images: Tensor, amount: Tensor) -> Tensor:
    """Invert the levels from 256 - abs(amount); ``amount`` in [-256, 256], shape ``(n,)``."""
    inverted = images >= 256 - amount.abs().view(-1, 1, 1, 1)
    return images ^ (inverted.to(torch.uint8) * 255)  # 255 - level is level ^ 255


def posterize(images: Tensor, amount: Tensor) -> Tensor:
    """Clear the lowest round(abs(amount)) bits; ``amount`` in [-7, 7], shape ``(n,)``."""
    bits = amount.abs().round().to(torch.uint8).view(-1, 1, 1, 1)
    return (images >> bits) << bits


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel's levels to reach from 0 to 255; a channel of one level stays."""
    low = images.amin((2, 3), keepdim=True).float()  # (n, 3, 1, 1)
    spread = images.amax((2, 3), keepdim=True).float() - low
    flat = spread == 0
    scale = 255 / (spread + 255 * flat)  # 1 where the channel is flat
    return _levels((images - low * ~flat) * scale)


def equalize(images: Tensor) -> Tensor:
    """Spread each channel's levels so that equal ranges hold equally many pixels.

    Exactly Pillow's rule, which torchvision's follows: with the unit u = floor((pixels - pixels of
    the brightest level) / 255), a level becomes floor((darker pixels + floor(u / 2)) / u), at most
    255. A channel with u = 0, of few pixels or almost one level, stays as it is.
    """
    count, channels, height, width = images.shape
    planes = images.reshape(count, channels, height * width).long()  # (n, 3, HW)
    one = torch.ones((), dtype=torch.int32, device=images.device)
    shape = (count, channels, 256)
    counts = torch.zeros(shape, dtype=torch.int32, device=images.device)
    counts.scatter_add_(2, planes, one.expand_as(planes))
    brightest = planes.amax(2, keepdim=True)  # (n, 3, 1)
    unit = (height * width - counts.gather(2, brightest)) // 255  # (n, 3, 1)
    darker = counts.cumsum(2, dtype=torch.int32) - counts
    # Where u is 0 the division is by 1 and its result unused.
    spread = ((darker + unit // 2) // unit.clamp(min=1)).clamp_(max=255)  # (n, 3, 256)
    same = torch.arange(256, dtype=torch.int32, device=images.device)
    table = torch.where(unit > 0, spread, same).to(torch.uint8)
    return table.gather(2, planes).view(images.shape)


def invert(images: Tensor) -> Tensor:
    """Turn each level into 255 - level."""
    return ~images


GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
"""Operations that `warp` does all at once: its arguments, in their order."""

COLOUR: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": brightness,
    "contrast": contrast,
    "saturation": saturation,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
}
"""Operations on levels, by an amount."""

FIXED: dict[str, Callable[[Tensor], Tensor]] = {
    "autocontrast": autocontrast,
    "equalize": equalize,
    "invert": invert,
}
"""Operations that have no amount: an image gets them or does not."""

OPERATIONS = (*GEOMETRIC, *COLOUR, *FIXED)
"""The names of all operations."""


def _grey(images: Tensor) -> Tensor:
    """Luma after ITU-R BT.601: (n, 3, H, W) to float (n, 1, H, W)."""
    red, green, blue = images.chunk(3, dim=1)  # each (n, 1, H, W)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _levels(values: Tensor) -> Tensor:
    """Float values, overwritten, as the nearest levels in [0, 255]: uint8, same shape."""
    return values.clamp_(0, 255).round_().to(torch.uint8)

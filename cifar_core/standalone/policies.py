"""The policies in plain PyTorch: which operation each image gets, drawn for each image by itself.

`cifar_core.augmentation` has the same distributions, arranged so that no GPU waits for its host.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cifar_core.augmentation.augmix import CHAINS, LENGTH, RANGES, SEVERITIES
from cifar_core.augmentation.auto import PAIRS
from cifar_core.augmentation.operations import COLOUR, FIXED, GEOMETRIC, warp
from cifar_core.augmentation.trivial import LARGEST
from cifar_core.recipe import Augmentation

__all__ = ["POLICIES", "augmix", "auto", "policy", "trivial"]


def policy(images: Tensor, record: Augmentation) -> Tensor:
    """Apply the policy to images (B, 3, 32, 32) uint8, each with the recipe's probability."""
    if record.probability == 1.0:
        return POLICIES[record.policy](images, record.strength)
    rows = (torch.rand(len(images), device=images.device) < record.probability).nonzero().flatten()
    images = images.clone()
    images[rows] = POLICIES[record.policy](images[rows], record.strength)
    return images


def trivial(images: Tensor, strength: float) -> Tensor:
    """Apply one random operation, or none, to each image (Müller & Hutter 2021, arXiv 2103.10158)."""
    images, device = images.clone(), images.device
    kinds = torch.randint(len(LARGEST) + 1, (len(images),), device=device)
    amounts = strength * (2 * torch.rand(len(images), device=device) - 1)
    for kind, (name, largest) in enumerate(LARGEST.items()):
        rows = (kinds == kind).nonzero().flatten()
        if len(rows):
            images[rows] = operated(images[rows], name, largest * amounts[rows])
    return images


def auto(images: Tensor, strength: float) -> Tensor:
    """Apply one of AutoAugment's 25 pairs to each image (Cubuk et al. 2018, arXiv 1805.09501).

    Below strength 1, amounts are that share of the published ones, and operations without an amount are
    applied that share as often.
    """
    images, device = images.clone(), images.device
    pairs = torch.randint(len(PAIRS), (len(images),), device=device)
    for number, pair in enumerate(PAIRS):
        for step in pair:
            often = step.probability * (strength if step.operation in FIXED else 1.0)
            drawn = torch.rand(len(images), device=device) < often
            rows = ((pairs == number) & drawn).nonzero().flatten()
            if len(rows):
                amounts = strength * step.amount * signs(len(rows), device)
                images[rows] = operated_or_fixed(images[rows], step.operation, amounts)
    return images


def augmix(images: Tensor, strength: float) -> Tensor:
    """Blend each image with chains of operations on it (Hendrycks et al. 2019, arXiv 1912.02781)."""
    count, device = len(images), images.device
    share = strength * torch.rand(count, device=device)  # (B,): of all chains together
    shares = torch.distributions.Dirichlet(torch.ones(CHAINS)).sample((count,)).to(device)
    blended = images * (1 - share).view(-1, 1, 1, 1)
    for chain in range(CHAINS):
        mixed = images.clone()
        lengths = torch.randint(1, LENGTH + 1, (count,), device=device)
        for place in range(LENGTH):
            kinds = torch.randint(len(RANGES), (count,), device=device)
            severities = torch.empty(count, device=device).uniform_(*SEVERITIES)
            for kind, (name, (low, high)) in enumerate(RANGES.items()):
                rows = ((kinds == kind) & (place < lengths)).nonzero().flatten()
                if not len(rows):
                    continue
                amounts = strength * (low + severities[rows] * (high - low))
                if name == "posterize":
                    amounts = amounts.floor()  # bits are whole
                amounts = amounts * signs(len(rows), device)
                mixed[rows] = operated_or_fixed(mixed[rows], name, amounts)
        blended += mixed * (share * shares[:, chain]).view(-1, 1, 1, 1)
    return blended.round().clamp(0, 255).to(torch.uint8)


POLICIES: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "trivial": trivial,
    "auto": auto,
    "augmix": augmix,
}
"""Each takes images (B, 3, 32, 32) uint8 and a strength in [0, 1], and gives new images."""


def operated_or_fixed(images: Tensor, name: str, amounts: Tensor) -> Tensor:
    """Apply an operation with an amount, in whole pixels if it moves images, or one without."""
    if name in FIXED:
        return FIXED[name](images)
    if name.startswith("translate"):
        side = images.shape[-1]
        amounts = (amounts * side).trunc() / side
    return operated(images, name, amounts)


def operated(images: Tensor, name: str, amounts: Tensor) -> Tensor:
    """Apply one operation to images (n, 3, 32, 32) uint8, each by its own amount (n,)."""
    if name in GEOMETRIC:
        none = torch.zeros_like(amounts)
        return warp(images, *[amounts if name == each else none for each in GEOMETRIC])
    return COLOUR[name](images, amounts)


def signs(count: int, device: torch.device) -> Tensor:
    """Draw 1 or -1, equally likely: (count,)."""
    return 1 - 2 * torch.randint(2, (count,), device=device)

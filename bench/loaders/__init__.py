"""The usual ways to feed a CIFAR-10 training on the CPU, as rivals of the project's own loader."""

from functools import partial

from bench.loaders.airbench import AirbenchLoader
from bench.loaders.batched import BatchedLoader
from bench.loaders.pil import PilLoader
from bench.loaders.rival import AUGMENTATIONS, Factory, Level, MissingRivalError, Rival

__all__ = [
    "AUGMENTATIONS",
    "ON_DEVICE",
    "RIVALS",
    "AirbenchLoader",
    "BatchedLoader",
    "Factory",
    "Level",
    "MissingRivalError",
    "PilLoader",
    "Rival",
]

RIVALS: dict[str, Factory] = {
    "pil_0": partial(PilLoader, workers=0),
    "pil_1": partial(PilLoader, workers=1),
    "pil_2": partial(PilLoader, workers=2),
    "batched": BatchedLoader,
    "airbench": AirbenchLoader,
}
"""Every rival by a short name."""
ON_DEVICE = frozenset({"airbench"})
"""Those that keep the images where the training is, and augment them there."""

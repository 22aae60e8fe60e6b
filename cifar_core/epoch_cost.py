"""The cost of an epoch, from the recipe alone: the same on every machine and in every run."""

from functools import lru_cache

from cifar_core.models.counting import count
from cifar_core.models.net import multiply_adds
from cifar_core.recipe import Net, Network, Recipe

__all__ = ["image_cost"]

MILLION = 1e6
OF_AN_IMAGE = 2.0
"""Augmenting an image and computing its loss, in million multiply-adds of the network ..."""
OF_A_STEP = 65.0
"""... and what a step costs besides its images: both fitted to the seconds of 39 recorded trainings of
`TutorialNet` on one CPU core (`bench/recorded/start.json`), which they predict within 12 %."""


def image_cost(recipe: Recipe) -> float:
    """Return what it costs to train on one image, in million multiply-adds of the forward pass.

    Only ratios mean something. A GPU's differ: its steps cost more beside its arithmetic. But a search
    that compares recipes by them makes the same choices wherever and however often it runs, which it
    would not by a clock.

    Args:
        recipe: The recipe; its number of images and of epochs makes no difference.
    """
    return OF_AN_IMAGE + OF_A_STEP / recipe.batch_size + _multiply_adds(recipe.network) / MILLION


@lru_cache(maxsize=4096)
def _multiply_adds(network: Network) -> int:
    # A search asks this of each new configuration, and many searches ask it of this network.
    return multiply_adds(network) if isinstance(network, Net) else count(network).multiply_adds

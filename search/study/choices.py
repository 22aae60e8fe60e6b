"""Choices and limits of a study's settings, without the libraries that check them."""

from typing import Literal

__all__ = [
    "DEFAULT_CONFIRM",
    "DEFAULT_CONFIRM_SEEDS",
    "DEFAULT_KEEP",
    "MOST_CONFIRM_SEEDS",
    "MOST_FINALISTS",
    "OptunaPruner",
    "Pruner",
    "Sampler",
    "SearchSampler",
    "Switch",
]

SearchSampler = Literal["model", "tpe", "random"]
Sampler = Literal[SearchSampler, "grid"]
OptunaPruner = Literal["halving", "hyperband", "median", "none"]
Pruner = Literal["freeze-thaw", "promotion", OptunaPruner]
Switch = Literal["on", "off"]
DEFAULT_KEEP = 1
DEFAULT_CONFIRM = 3
"""Finalists that are confirmed after a search."""
DEFAULT_CONFIRM_SEEDS = 4
MOST_FINALISTS = 20
MOST_CONFIRM_SEEDS = 50

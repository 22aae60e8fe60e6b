"""Choices and limits of a study's settings, without the libraries that check them."""

from typing import Literal

__all__ = ["DEFAULT_KEEP", "OptunaPruner", "Pruner", "Sampler", "SearchSampler", "Switch"]

SearchSampler = Literal["model", "tpe", "random"]
Sampler = Literal[SearchSampler, "grid"]
OptunaPruner = Literal["halving", "hyperband", "median", "none"]
Pruner = Literal["freeze-thaw", "promotion", OptunaPruner]
Switch = Literal["on", "off"]
DEFAULT_KEEP = 1

"""What the user asked for. This module imports no torch, so that `--help` is quick."""

from dataclasses import dataclass
from typing import Literal

from search.settings import Pruner, SearchSampler

__all__ = ["Scale", "StartRequest"]

Scale = Literal["auto", "full", "quick"]


@dataclass(frozen=True)
class StartRequest:
    """The options of `cifar-search start`; each default lives here.

    Attributes:
        space: Name or file of the space.
        study: The study's name; the space's by default.
        storage: Database URL; the home's own by default.
        trials: Trials in all; the space's number by default.
        timeout: Seconds in all, or None.
        epochs: Epochs of a trial; the space's by default.
        train_images: Pictures to train on; all by default, fewer in a quick run.
        workers: Worker processes; by device by default.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:0,cuda:1``.
        data: ``auto``, ``synthetic``, or a folder.
        lr_bounds: ``auto``, ``off`` or ``LOW:HIGH``.
        sampler: How configurations are chosen; TPE by default.
        pruner: How trials are stopped early; halving by default.
        seed: Where all random choices start.
        seeds: Trainings of each cell of a grid; the space's number by default.
        scale: Whether a run without a GPU is made smaller.
    """

    space: str
    study: str | None = None
    storage: str | None = None
    trials: int | None = None
    timeout: float | None = None
    epochs: int | None = None
    train_images: int | None = None
    workers: int | None = None
    device: str = "auto"
    data: str | None = None
    lr_bounds: str = "auto"
    sampler: SearchSampler | None = None
    pruner: Pruner | None = None
    seed: int = 0
    seeds: int | None = None
    scale: Scale = "auto"

"""Requests: the options of each command. This module imports no PyTorch, so that `--help` is quick."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from search.study.choices import DEFAULT_KEEP, Pruner, SearchSampler, Switch
from search.workers.engine_options import LOCAL, EngineOptions
from search.workers.limits import HANG_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from cifar_core.recipe import Recipe
    from spaces.space import Space

__all__ = [
    "ConfirmRequest",
    "DoctorRequest",
    "LrRangeRequest",
    "ResumeRequest",
    "Scale",
    "StartRequest",
]


Scale = Literal["auto", "full", "quick"]


@dataclass(frozen=True)
class StartRequest:
    """The options of `cifar-search start`; each default lives here.

    Attributes:
        space: Name or file of the space, or the space itself.
        study: The study's name; the space's by default.
        storage: Database URL; the home's own by default.
        trials: Trials in all; the space's number by default.
        timeout: Seconds in all, or None.
        epochs: Epochs of a trial; the space's by default.
        train_images: Images to train on; all by default, fewer in a quick run.
        engine: Where the workers run, and how many.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``, ``cuda:0,cuda:1``.
        data: ``auto``, ``synthetic``, or a folder.
        lr_bounds: ``auto``, ``off`` or ``LOW:HIGH``.
        sampler: Method by which configurations are chosen; the model of freeze-thaw by default.
        pruner: Method by which trials are stopped early; freeze-thaw by default.
        seed: Random seed of the study.
        seeds: Trainings of each cell of a grid; the space's number by default.
        scale: ``quick`` for a smaller run, ``full``, or ``auto``: quick without a GPU.
        compile_networks: Train trials with compiled networks.
        keep: Number of best trials whose trained networks are kept.
        hang_after: Seconds without a step after which a worker is replaced.
        patience: Trials without a new best after which none is started, or None.
        warm_start: Older studies and configuration files whose best configurations are tried early.
        known: ``on`` to try the space's known configurations first.
        experience: ``on`` to let the policy learn from trials of older studies.
        beliefs: ``on`` to look first where the space's priors and the LR-range test expect the best.
        confirm: Number of finalists to confirm after the search; 0 for none. By default `DEFAULT_CONFIRM`,
            and none in a grid, or in a study of a version that confirmed none.
        trust: Code that makes the network may be run.
        track: Trackers that are told of the search, each ``NAME`` or ``NAME:PLACE``.
    """

    space: "str | Space"
    study: str | None = None
    storage: str | None = None
    trials: int | None = None
    timeout: float | None = None
    epochs: int | None = None
    train_images: int | None = None
    engine: EngineOptions = LOCAL
    device: str = "auto"
    data: str | None = None
    lr_bounds: str = "auto"
    sampler: SearchSampler | None = None
    pruner: Pruner | None = None
    seed: int = 0
    seeds: int | None = None
    scale: Scale = "auto"
    compile_networks: bool = False
    keep: int = DEFAULT_KEEP
    hang_after: float = HANG_SECONDS
    patience: int | None = None
    warm_start: tuple[str, ...] = ()
    known: Switch = "on"
    experience: Switch = "on"
    beliefs: Switch = "on"
    confirm: int | None = None
    trust: bool = False
    track: tuple[str, ...] = ()


@dataclass(frozen=True)
class LrRangeRequest:
    """The options of `cifar-search lr-range`; each default lives here.

    Attributes:
        space: Name or file of a space, or the space itself, or None.
        config: File of a recipe, or the recipe itself, or None; one of the two is given.
        low: First learning rate; the space's, or 1e-10, by default.
        high: Last learning rate; the space's, or 10, by default.
        linear: Raise it by equal steps instead of equal ratios.
        epochs: Passes over the training images of a sweep; by default as short as makes sense.
        seeds: Sweeps of each recipe; the space's number, or 3, by default.
        seed: Random seed of the sweeps.
        scale: As for `StartRequest`.
        train_images: As for `StartRequest`.
        workers: Worker processes; by device by default.
        device: As for `StartRequest`.
        data: As for `StartRequest`.
        trust: As for `StartRequest`.
    """

    space: "str | Space | None" = None
    config: "Path | Recipe | None" = None
    low: float | None = None
    high: float | None = None
    linear: bool = False
    epochs: float | None = None
    seeds: int | None = None
    seed: int = 0
    scale: Scale = "auto"
    train_images: int | None = None
    workers: int | None = None
    device: str = "auto"
    data: str | None = None
    trust: bool = False


@dataclass(frozen=True)
class DoctorRequest:
    """The options of `cifar-search doctor`: those of a search that decide whether and how fast it works.

    Attributes:
        storage: As for `StartRequest`.
        workers: Worker processes; by device by default.
        device: As for `StartRequest`.
        data: As for `StartRequest`.
    """

    storage: str | None = None
    workers: int | None = None
    device: str = "auto"
    data: str | None = None


@dataclass(frozen=True)
class ResumeRequest:
    """The options of `cifar-search resume`.

    Attributes:
        study: The study's name; the newest by default.
        storage: Database URL; the home's own by default.
        trials: A new total of trials, or None to keep it.
        timeout: A new total of seconds, or None to keep it.
        engine: Where the workers run, and how many.
        device: As for `StartRequest`.
        data: As for `StartRequest`.
        compile_networks: As for `StartRequest`.
        keep: A new number of trained networks to keep, or None to keep it.
        hang_after: As for `StartRequest`.
        patience: A new number of trials without a new best, or None to keep it.
        confirm: A new number of finalists to confirm after the search, 0 for none, or None to keep it.
        trust: As for `StartRequest`.
        track: As for `StartRequest`.
    """

    study: str | None
    storage: str | None
    trials: int | None
    timeout: float | None
    engine: EngineOptions
    device: str
    data: str | None
    compile_networks: bool = False
    keep: int | None = None
    hang_after: float = HANG_SECONDS
    patience: int | None = None
    confirm: int | None = None
    trust: bool = False
    track: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConfirmRequest:
    """The options of `cifar-search confirm`.

    Attributes:
        study: The study's name; the newest by default.
        storage: Database URL; the home's own by default.
        top: Number of finalists; the study's by default.
        seeds: Trainings of each contender at most; the study's number by default.
        engine: Where the workers run, and how many.
        device: As for `StartRequest`.
        data: As for `StartRequest`.
        compile_networks: As for `StartRequest`.
        hang_after: As for `StartRequest`.
        trust: As for `StartRequest`.
        track: As for `StartRequest`.
    """

    study: str | None = None
    storage: str | None = None
    top: int | None = None
    seeds: int | None = None
    engine: EngineOptions = LOCAL
    device: str = "auto"
    data: str | None = None
    compile_networks: bool = False
    hang_after: float = HANG_SECONDS
    trust: bool = False
    track: tuple[str, ...] = ()

"""Small searches to be killed, each with what it gives if it is left alone."""

import time
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from optuna.trial import FrozenTrial

from cifar_core.data.dataset import open_data
from cifar_core.data.labelled_images import LabelledImages
from cifar_core.data.resident import Splits, splits_of
from cifar_core.data.split import confirming_images, split
from cifar_core.recipe import Recipe
from cifar_core.trainer import Training
from search.study import attributes
from tests.chaos.probe import StudyProbe
from tests.search.running import begin, ended, space_file, values_of

__all__ = [
    "SCENARIOS",
    "Pace",
    "Reference",
    "References",
    "Scenario",
    "Trainer",
    "differences",
    "sample",
]

IMAGES = 400
KNOWN = 2
"""Known configurations of the space, which are its first trials."""
SECONDS_LEFT_ALONE = 600.0

GRID = """
name = "tiny"
title = "A small grid, for tests"

[recipe]
epochs = 2
network = { name = "net", channels1 = 4, channels2 = 4, batch_norm = true }
optimizer = { name = "sgd", lr = 0.01 }

[parameters.batch_size]
sets = "batch_size"
choices = [20, 50]

[parameters.dropout]
sets = "network.dropout"
choices = [0.0, 0.3]

[grid]
seeds = 2
"""


@dataclass(frozen=True)
class Scenario:
    """What is searched, and how.

    Attributes:
        seed: Of the study.
        sampler: How configurations are chosen; None for a grid.
        pruner: How trials are stopped early; None for a grid.
        trials: Trials in all.
        workers: Workers.
        fails: Workers are killed until trials fail; else a trial that has lost two is spared.
    """

    seed: int
    sampler: str | None
    pruner: str | None
    trials: int
    workers: int = 1
    fails: bool = False

    def __str__(self) -> str:
        how = "grid" if self.sampler is None else f"{self.sampler}, {self.pruner}"
        many = "s" if self.workers > 1 else ""
        fails = ", may fail" if self.fails else ""
        return f"{how}, seed {self.seed}, {self.trials} trials, {self.workers} worker{many}{fails}"

    @property
    def repeatable(self) -> bool:
        """It ends with the same trials every time, as long as none fails.

        Two workers finish in another order every time, and the sampler learns by that. Optuna's hyperband
        keeps notes of what it was asked: asked again about an epoch, because the coordinator was killed
        before it could end the trial, it lets it go on.
        """
        return (self.workers == 1 or self.sampler is None) and self.pruner != "hyperband"

    def options(self, folder: Path) -> tuple[object, ...]:
        """What follows `start`; the space's file is written into `folder`."""
        seed = ("--seed", self.seed)
        common = (*seed, "--train-images", IMAGES, "--device", "cpu", "--workers", self.workers)
        if self.sampler is None:
            path = folder / "my_space.toml"
            path.write_text(GRID, encoding="utf-8")
            return ("--space", path, *common)
        how = ("--sampler", self.sampler, "--pruner", self.pruner, "--trials", self.trials)
        return ("--space", space_file(folder, seeds="2"), *common, *how)


SCENARIOS = (
    Scenario(0, "tpe", "halving", 11),
    Scenario(1, "random", "median", 8),
    Scenario(0, None, None, 8),
    Scenario(2, "tpe", "none", 4),
    Scenario(3, "tpe", "hyperband", 8),
    Scenario(4, "random", "halving", 8),
    Scenario(5, "tpe", "promotion", 9),
    Scenario(6, "random", "promotion", 12),
    Scenario(7, "model", "freeze-thaw", 12),
)


@dataclass(frozen=True)
class Pace:
    """How long the parts of an undisturbed run take here, in seconds.

    Attributes:
        start: From the command to its study.
        sweeps: From there to the learning-rate bounds.
        trials: The rest.
    """

    start: float
    sweeps: float
    trials: float


@dataclass(frozen=True)
class Reference:
    """What a search gives if it is left alone.

    Attributes:
        values: Its trials.
        pace: How long it took.
    """

    values: list[dict[str, Any]]
    pace: Pace


class References:
    """Undisturbed runs, each made when it is first asked for.

    Args:
        folder: Where they are made.
        data: The images.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        self._folder = folder
        self._data = data
        self._made: dict[Scenario, Reference] = {}
        self._locks = {one: Lock() for one in SCENARIOS}

    def of(self, scenario: Scenario, core: int | None = None) -> Reference:
        """By one worker, whatever the scenario's number; made on this core if there is none yet."""
        alone = replace(scenario, workers=1, fails=False)
        with self._locks[alone]:
            if alone not in self._made:
                self._made[alone] = self._make(alone, core)
            return self._made[alone]

    def _make(self, scenario: Scenario, core: int | None) -> Reference:
        folder = self._folder / f"reference-{SCENARIOS.index(scenario)}"
        folder.mkdir()
        probe = StudyProbe(folder / "home", "tiny")
        command = ("start", *scenario.options(folder), "--home", folder / "home")
        began = time.monotonic()
        with begin(*command, folder=folder, data=self._data, core=core) as running:
            running.until(
                lambda: probe.progress() is not None, "its study is there", SECONDS_LEFT_ALONE
            )
            there = time.monotonic()
            running.until(
                lambda: (probe.progress() or (0,))[-1], "it has bounds", SECONDS_LEFT_ALONE
            )
            measured = time.monotonic()
            ended(running, 0, SECONDS_LEFT_ALONE)
        pace = Pace(there - began, measured - there, time.monotonic() - measured)
        return Reference(values_of(probe.trials()), pace)


class Trainer:
    """Trains single trials again, in this process and alone.

    Args:
        data: The images.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lock = Lock()  # trainings set PyTorch's global generators

    @cached_property
    def _labelled(self) -> LabelledImages:
        return open_data(str(self._data), self._data).read_train()

    @cache  # noqa: B019 - one lives as long as its campaign
    def _splits(self, confirming: int) -> Splits:
        return splits_of(self._labelled, split(self._labelled, IMAGES, confirming=confirming))

    def differences(self, trial: FrozenTrial, scenario: "Scenario") -> Iterator[str]:
        """What of a trial's curve does not come out again from its recipe and seed."""
        with self._lock:
            training = Training(
                Recipe.read(trial.user_attrs[attributes.RECIPE]),
                self._splits(0 if scenario.sampler is None else confirming_images(50_000)),
                seed=trial.user_attrs[attributes.SEED],
                device=torch.device("cpu"),
            )
            curve = dict(trial.intermediate_values)
            again = {
                epoch.number: epoch.validation_accuracy
                for _, epoch in zip(curve, training.epochs(), strict=False)
            }
        if again != curve:
            yield f"Trial {trial.number} has {curve}, but trained alone it has {again}."


def differences(
    scenario: Scenario,
    reference: Reference,
    trials: Sequence[FrozenTrial],
    struck: Container[int] | None = None,
) -> Iterator[str]:
    """In what a search that was killed again and again differs from one that was left alone.

    Args:
        scenario: What was searched.
        reference: The same, left alone.
        trials: The trials.
        struck: Numbers of those that another program has added or ended; None if it did nothing. With
            them the others were chosen in another way.
    """
    found = [one for one in values_of(list(trials)) if not struck or one["number"] not in struck]
    if struck:
        undisturbed = [one for one in reference.values if one["number"] not in struck]
        yield from _differences_of_known(scenario, found, undisturbed)
        return
    failed = [one["number"] for one in found if one["state"] == "FAIL"]
    # What follows on a failed trial may be chosen in another way.
    same = min(failed, default=len(found)) if scenario.repeatable else 0
    if len(found) != len(reference.values):
        yield f"There are {len(found)} trials, but undisturbed {len(reference.values)}."
    for one, undisturbed in zip(found[:same], reference.values, strict=False):
        for key, value in undisturbed.items():
            if one[key] != value:
                yield f"Trial {one['number']}: {key} is {one[key]}, but undisturbed {value}."
    yield from _differences_of_known(scenario, found[same:], reference.values[same:])


def _differences_of_known(
    scenario: Scenario, found: Sequence[dict[str, Any]], undisturbed: Sequence[dict[str, Any]]
) -> Iterator[str]:
    # The first two are known configurations in every search: the same whatever else happens.
    if scenario.sampler is None:
        return
    alone = {one["number"]: one for one in undisturbed if one["number"] < KNOWN}
    for one in found:
        if (expected := alone.get(one["number"])) is None:
            continue
        epochs = len(one["losses"])
        for key in ("params", "seed", "recipe"):
            if one[key] != expected[key]:
                yield f"Trial {one['number']}: {key} is {one[key]}, but undisturbed {expected[key]}."
        if one["losses"] != expected["losses"][:epochs] or not (
            one["state"] == "FAIL" or epochs == len(expected["losses"])
        ):
            yield (
                f"Trial {one['number']}: its losses are {one['losses']}, "
                f"but undisturbed {expected['losses']}."
            )


def sample(
    trials: Sequence[FrozenTrial], count: int, random: np.random.Generator
) -> list[FrozenTrial]:
    """Some trials that have an epoch."""
    trained = [trial for trial in trials if trial.intermediate_values]
    chosen = random.permutation(len(trained))[:count]
    return [trained[index] for index in sorted(map(int, chosen))]

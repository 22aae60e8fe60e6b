"""Training of one configuration over several seeds, and one test of it if asked for."""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cifar_core.checkpoint import save_state
from cifar_core.data.dataset import DataSet
from cifar_core.epoch import Epoch
from cifar_core.files import write_atomically
from cifar_core.recipe import Recipe
from cifar_core.trainer import Training
from search.errors import ServiceError
from search.formatting import words_for_cut_batches
from search.results.subject import Run, Subject
from search.study.settings import DataIdentity
from search.study.study import versions

__all__ = ["Result", "RetrainRequest", "retrain"]


@dataclass(frozen=True)
class RetrainRequest:
    """The options of `cifar-search train`.

    Attributes:
        recipe: The recipe to train.
        device: Where to train.
        out: Folder for ``result.json``, ``curves.png``, and for each seed ``network-SEED.pt``,
            ``features-SEED.json`` and the other plots.
        seeds: Number of trainings.
        first_seed: Seed of the first one; the others follow.
        train_images: Number of images to train on; None for all but the validation images.
        final: Open the test split, once, at the end of each training. All 50,000 images are then trained
            on, or 45,000 where the recipe needs the others for validation.
        plots: Draw the diagnostics as PNG files too.
        image: Index of the measured image whose feature maps are drawn.
        compile_network: Train with a compiled network where that works.
    """

    recipe: Recipe
    device: torch.device
    out: Path
    seeds: int = 1
    first_seed: int = 0
    train_images: int | None = None
    final: bool = False
    plots: bool = True
    image: int = 0
    compile_network: bool = False


@dataclass(frozen=True)
class Result:
    """The trainings of one recipe.

    Attributes:
        recipe: The recipe.
        device: Where it was trained.
        split: ``validation``, or ``test`` after a final training.
        images_measured: Number of images it was measured on.
        data: The data set and its split.
        runs: The trainings.
        files: The written files, in order.
    """

    recipe: Recipe
    device: torch.device
    split: str
    images_measured: int
    data: DataIdentity
    runs: tuple[Run, ...]
    files: tuple[Path, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy, 0-1."""
        return statistics.fmean(run.accuracy for run in self.runs)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation of the accuracies; None for a single seed."""
        accuracies = [run.accuracy for run in self.runs]
        return statistics.stdev(accuracies) if len(accuracies) > 1 else None

    @property
    def per_class(self) -> dict[str, float | None]:
        """Mean accuracy by class name, 0-1; None for a class without images."""
        # All runs measure the same images, so that a class is empty in all of them or in none.
        shares = {
            name: [run.per_class[name] for run in self.runs] for name in self.runs[0].per_class
        }
        return {
            name: None
            if None in values
            else statistics.fmean(one for one in values if one is not None)
            for name, values in shares.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the file names as plain JSON."""
        return {
            "recipe": self.recipe.to_dict(),
            "measured_on": self.split,
            "images_measured": self.images_measured,
            "data": self.data.model_dump(mode="json"),
            "device": str(self.device),
            "versions": dict(versions()),
            "runs": [run.to_dict() for run in self.runs],
        }


def retrain(
    request: RetrainRequest,
    data: DataSet,
    observe: Callable[[int, Epoch], None],
    remark: Callable[[str], None] = lambda _: None,
) -> Result:
    """Train a recipe over its seeds, and keep networks, figures and plots.

    Args:
        request: What to train, and where to write.
        data: The images.
        observe: Called with the seed and each epoch.
        remark: Called with other things that the user should know.

    Raises:
        UsageError: There is no image of the requested index.
        ServiceError: A file cannot be written.
    """
    subject = Subject.read(
        data,
        request.recipe,
        request.device,
        train_images=request.train_images,
        final=request.final,
        image=request.image,
    )
    if request.recipe.batch_size > subject.identity.train:
        remark(words_for_cut_batches(request.recipe.batch_size, subject.identity.train))
    with _writing_to(request.out):
        request.out.mkdir(parents=True, exist_ok=True)
    runs, files = list[Run](), list[Path]()
    for seed in range(request.first_seed, request.first_seed + request.seeds):
        training = _train(request, subject, seed, observe, remark)
        run, maps = subject.measure(training, seed), subject.feature_maps(training)
        with _writing_to(request.out):
            files += _write_run(request, subject, training, run, maps)
        runs.append(run)
    result = Result(
        recipe=request.recipe,
        device=request.device,
        split=subject.split,
        images_measured=len(subject.part),
        data=subject.identity,
        runs=tuple(runs),
        files=(*files, *[request.out / "curves.png"] * request.plots, request.out / "result.json"),
    )
    with _writing_to(request.out):
        _write_result(request, subject, result)
    return result


def _train(
    request: RetrainRequest,
    subject: Subject,
    seed: int,
    observe: Callable[[int, Epoch], None],
    remark: Callable[[str], None],
) -> Training:
    """Train from one seed to the end."""
    training = Training(
        request.recipe,
        subject.splits,
        seed=seed,
        device=request.device,
        compile_network=request.compile_network,
    )
    if training.not_compiled is not None and seed == request.first_seed:
        remark(f"The network is trained uncompiled, as compiling fails: {training.not_compiled}")
    remarked = seed != request.first_seed
    for epoch in training.epochs():
        if training.not_captured is not None and not remarked:  # known after some steps
            remarked = True
            remark(f"Steps are taken without CUDA graphs, which fail here: {training.not_captured}")
        observe(seed, epoch)
    return training


def _write_run(
    request: RetrainRequest,
    subject: Subject,
    training: Training,
    run: Run,
    maps: Mapping[str, Tensor],
) -> list[Path]:
    """Write the network of one training and its diagnostics; return the files."""
    network = request.out / f"network-{run.seed}.pt"
    save_state(training.network.state_dict(), network)
    features = request.out / f"features-{run.seed}.json"
    write_atomically(features, json.dumps(subject.describe_maps(run.seed, maps)).encode())
    files = [network, features]
    if request.plots:
        from search.results.retrain_plots import plot_run  # which loads matplotlib

        files += plot_run(subject, run, maps, request.out)
    return files


def _write_result(request: RetrainRequest, subject: Subject, result: Result) -> None:
    """Write what all trainings have in common."""
    if request.plots:
        from search.results.retrain_plots import plot_curves

        plot_curves(subject, result.runs, request.out / "curves.png")
    document = json.dumps(result.to_dict(), indent=2)
    write_atomically(request.out / "result.json", document.encode())


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Say which folder cannot be written to. Nothing but writing belongs into this context."""
    try:
        yield
    except OSError as error:
        raise ServiceError(f"{folder} cannot be written to: {error.strerror}.") from error

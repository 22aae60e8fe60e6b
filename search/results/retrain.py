"""Training one configuration over some seeds, testing it once if asked to, and what it gets wrong."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cifar_core.checkpoint import save_state
from cifar_core.data.dataset import DataSet
from cifar_core.data.resident import Normalization, Part, Splits, splits_of
from cifar_core.data.split import split
from cifar_core.device import Backend, backend_of
from cifar_core.diagnostics import class_accuracies, confusion, feature_maps, short_names
from cifar_core.epoch import Epoch
from cifar_core.files import write_atomically
from cifar_core.recipe import Recipe
from cifar_core.trainer import Training
from search.errors import ServiceError, UsageError
from search.study.settings import DataIdentity
from search.study.study import versions

__all__ = ["Result", "needs_validation", "retrain"]


@dataclass(frozen=True)
class Result:
    """What some trainings of one recipe came to.

    Attributes:
        split: ``validation``, or ``test`` after a final training.
        accuracies: One for each seed, 0-1.
        per_class: Mean accuracy by class name, 0-1, in the order of the labels; None for a class of
            which nothing was measured.
        described_data: What they were trained and measured on, in words.
        document: Everything, as plain JSON.
        files: What was written, in order.
    """

    split: str
    accuracies: tuple[float, ...]
    per_class: dict[str, float | None]
    described_data: str
    document: dict[str, Any]
    files: tuple[Path, ...]

    @property
    def mean(self) -> float:
        """Mean accuracy."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation of the accuracies; None for a single seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None


def needs_validation(recipe: Recipe) -> bool:
    """Whether the recipe looks at validation images while it trains, so that none may be trained on."""
    return recipe.schedule.name == "plateau"


def retrain(
    recipe: Recipe,
    data: DataSet,
    *,
    seeds: int,
    first_seed: int,
    train_images: int | None,
    final: bool,
    device: torch.device,
    out: Path,
    observe: Callable[[int, Epoch], None],
    plots: bool = True,
    image: int = 0,
    compile_network: bool = False,
    remark: Callable[[str], None] = lambda _: None,
) -> Result:
    """Train a recipe, and keep networks, figures and diagnostics.

    Args:
        recipe: What to train.
        data: The images.
        seeds: How many trainings.
        first_seed: Seed of the first; the others follow.
        train_images: Images to train on; None for all that validation leaves.
        final: Open the test split, once, at the end of each training. What is trained on is then all
            50,000 images, or 45,000 where the recipe needs the others for validation.
        device: Where to train.
        out: Folder for ``result.json``, and for each seed ``network-SEED.pt``, ``features-SEED.json``
            and the plots.
        observe: Told the seed and each epoch.
        plots: Draw the diagnostics as PNG files too.
        image: Which of the measured images the feature maps are of, counted from 0.
        compile_network: Train with a compiled network, where that works.
        remark: Told what the user should know beside that.

    Raises:
        UsageError: There is no such image.
        ServiceError: `out` cannot be written to.
    """
    labelled = data.read_train()
    splits = splits_of(labelled, split(labelled, train_images))
    held_out = not final or needs_validation(recipe)
    kind, measured = "validation", splits.validation
    official = labelled.official
    if final:
        splits, kind = splits if held_out else _everything(splits), "test"
        test = data.read_test()
        official = official and test.official
        measured = Part.of(test.images, test.labels)
    if not 0 <= image < len(measured):
        raise UsageError(
            f"--image must be from 0 to {len(measured) - 1}, the number of {kind} images less "
            f"one, but got {image}."
        )
    identity = DataIdentity(
        name=data.name,
        official=official,
        train=len(splits.train),
        validation=len(splits.validation) if held_out else 0,
        split=splits.digest,
    )
    subject = _Subject(
        part=measured.to(device),
        split=kind,
        data=identity.described(),
        classes=short_names(data.classes),
        image=image,
        normalize=Normalization.of(recipe, splits.to(device)),
        backend=backend_of(recipe, device),
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        runs, histories, written = [], [], []
        for seed in range(first_seed, first_seed + seeds):
            training = Training(
                recipe, splits, seed=seed, device=device, compile_network=compile_network
            )
            if training.not_compiled is not None and seed == first_seed:
                remark(f"The network is trained as it is; compiling fails: {training.not_compiled}")
            for epoch in training.epochs():
                observe(seed, epoch)
            loss, accuracy = training.evaluate(subject.part)
            counts = confusion(training.network, subject.part, subject.normalize, subject.backend)
            run: dict[str, Any] = {
                "seed": seed,
                "loss": loss,
                "accuracy": accuracy,
                "per_class": dict(zip(subject.classes, class_accuracies(counts), strict=True)),
                "confusion": counts.tolist(),
                "epochs": [asdict(epoch) for epoch in training.history],
            }
            runs.append(run)
            histories.append(training.history)
            network = out / f"network-{seed}.pt"
            save_state(training.network.state_dict(), network)
            maps = feature_maps(training.network, subject.normalized_image())
            features = out / f"features-{seed}.json"
            write_atomically(features, json.dumps(subject.features(seed, maps)).encode())
            written += [network, features]
            if plots:
                written += _plot_run(subject, run, maps, out)
        if plots:
            written.append(_plot_curves(subject, histories, first_seed, held_out, out))
        document = {
            "recipe": recipe.to_dict(),
            "measured_on": kind,
            "images_measured": len(measured),
            "data": identity.model_dump(mode="json"),
            "device": str(device),
            "versions": dict(versions()),
            "runs": runs,
        }
        write_atomically(out / "result.json", json.dumps(document, indent=2).encode())
        written.append(out / "result.json")
    except OSError as error:
        raise ServiceError(f"{out} cannot be written to: {error.strerror}.") from error
    return Result(
        kind,
        tuple(run["accuracy"] for run in runs),
        _mean_per_class(runs),
        identity.described(),
        document,
        tuple(written),
    )


@dataclass(frozen=True)
class _Subject:
    """What networks are diagnosed on.

    Attributes:
        part: The measured images, on the device.
        split: What they are called.
        data: The data set in words.
        classes: Short names of the classes.
        image: Which image the feature maps are of.
        normalize: Bytes to floats.
        backend: The precision to compute in.
    """

    part: Part
    split: str
    data: str
    classes: tuple[str, ...]
    image: int
    normalize: Normalization
    backend: Backend

    @property
    def label(self) -> str:
        """The class of the image of the feature maps."""
        return self.classes[int(self.part.labels[self.image])]

    def normalized_image(self) -> Tensor:
        """The image of the feature maps, (3, 32, 32) float32."""
        return self.normalize(self.part.images[self.image : self.image + 1])[0]

    def features(self, seed: int, maps: Mapping[str, Tensor]) -> dict[str, Any]:
        """The feature maps as plain JSON, with what they are of."""
        return {
            "data": self.data,
            "split": self.split,
            "seed": seed,
            "image": self.image,
            "class": self.label,
            "layers": {name: _rounded(values.tolist()) for name, values in maps.items()},
        }


def _rounded(values: Any) -> Any:
    """Nested lists of numbers with five significant digits; null for what JSON has no number for."""
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return float(f"{values:.5g}") if math.isfinite(values) else None


def _plot_run(
    subject: _Subject, run: Mapping[str, Any], maps: Mapping[str, Tensor], out: Path
) -> list[Path]:
    """Draw what one training came to, and name the files."""
    from cifar_core.plots.classes import classes_figure
    from cifar_core.plots.confusion import confusion_figure
    from cifar_core.plots.feature_maps import feature_maps_figure
    from cifar_core.plots.style import caption, write_png

    seed = run["seed"]
    below = caption(subject.data, subject.split, [seed])
    figures = {
        f"classes-{seed}.png": classes_figure(run["per_class"], run["accuracy"], below),
        f"confusion-{seed}.png": confusion_figure(run["confusion"], subject.classes, below),
        f"features-{seed}.png": feature_maps_figure(
            subject.part.images[subject.image].cpu().numpy(),
            f"{subject.split} image {subject.image}: {subject.label}",
            {name: values.numpy() for name, values in maps.items()},
            below,
        ),
    }
    for name, figure in figures.items():
        write_png(figure, out / name)
    return [out / name for name in figures]


def _plot_curves(
    subject: _Subject,
    histories: Sequence[Sequence[Epoch]],
    first_seed: int,
    validation: bool,
    out: Path,
) -> Path:
    """Draw how all trainings went, and name the file."""
    from cifar_core.plots.curves import curves_figure
    from cifar_core.plots.style import caption, write_png

    seeds = range(first_seed, first_seed + len(histories))
    below = caption(subject.data, "train and validation" if validation else "train", seeds)
    path = out / "curves.png"
    write_png(curves_figure(histories, below, validation=validation), path)
    return path


def _mean_per_class(runs: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Mean accuracy of each class over the runs; all runs measure the same images."""
    tables = [run["per_class"] for run in runs]
    return {
        name: None if first is None else statistics.fmean(table[name] for table in tables)
        for name, first in tables[0].items()
    }


def _everything(splits: Splits) -> Splits:
    """Both parts to train on. The validation part stays as it is: its figures are then of no use."""
    train, validation = splits.train, splits.validation
    both = Part(
        torch.cat([train.images, validation.images]), torch.cat([train.labels, validation.labels])
    )
    return replace(splits, train=both)

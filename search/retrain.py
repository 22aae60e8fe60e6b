"""Training one configuration over some seeds, and testing it once if that is asked for."""

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cifar_core.checkpoint import save_state
from cifar_core.data.dataset import DataSet
from cifar_core.data.resident import Part, Splits, splits_of
from cifar_core.data.split import split
from cifar_core.epoch import Epoch
from cifar_core.files import write_atomically
from cifar_core.recipe import Recipe
from cifar_core.trainer import Training
from search.errors import ServiceError
from search.settings import DataIdentity
from search.study import versions

__all__ = ["Result", "retrain"]


@dataclass(frozen=True)
class Result:
    """What some trainings of one recipe came to.

    Attributes:
        split: ``validation``, or ``test`` after training on all pictures.
        accuracies: One for each seed, 0-1.
        described_data: What they were trained and measured on, in words.
        document: Everything, as plain JSON.
    """

    split: str
    accuracies: tuple[float, ...]
    described_data: str
    document: dict[str, Any]

    @property
    def mean(self) -> float:
        """Mean accuracy."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation of the accuracies; None for a single seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None


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
) -> Result:
    """Train a recipe, and keep networks and figures.

    Args:
        recipe: What to train.
        data: The pictures.
        seeds: How many trainings.
        first_seed: Seed of the first; the others follow.
        train_images: Pictures to train on; None for all that validation leaves.
        final: Train on all 50,000 and open the test split, once, at the end of each training.
        device: Where to train.
        out: Folder for ``result.json`` and a ``network-SEED.pt`` for each seed.
        observe: Told the seed and each epoch.

    Raises:
        ServiceError: `out` cannot be written to.
    """
    pictures = data.read_train()
    splits = splits_of(pictures, split(pictures, train_images))
    kind, measured = "validation", splits.validation
    official = pictures.official
    if final:
        splits, kind = _everything(splits), "test"
        test = data.read_test()
        official = official and test.official
        measured = Part(torch.from_numpy(test.images), torch.from_numpy(test.labels))
    try:
        out.mkdir(parents=True, exist_ok=True)
        runs, found = [], []
        for seed in range(first_seed, first_seed + seeds):
            training = Training(recipe, splits, seed=seed, device=device)
            for epoch in training.epochs():
                observe(seed, epoch)
            loss, accuracy = training.evaluate(measured)
            save_state(training.network.state_dict(), out / f"network-{seed}.pt")
            epochs = [asdict(epoch) for epoch in training.history]
            found.append(accuracy)
            runs.append({"seed": seed, "loss": loss, "accuracy": accuracy, "epochs": epochs})
        identity = DataIdentity(
            name=data.name,
            official=official,
            train=len(splits.train),
            validation=0 if final else len(splits.validation),
            split=splits.digest,
        )
        document = {
            "recipe": recipe.plain(),
            "measured_on": kind,
            "pictures_measured": len(measured),
            "data": identity.model_dump(mode="json"),
            "device": str(device),
            "versions": dict(versions()),
            "runs": runs,
        }
        write_atomically(out / "result.json", json.dumps(document, indent=2).encode())
    except OSError as error:
        raise ServiceError(f"{out} cannot be written to: {error.strerror}.") from error
    accuracies = tuple(found)
    return Result(kind, accuracies, identity.described(), document)


def _everything(splits: Splits) -> Splits:
    """Both parts to train on. The validation part stays as it is: its figures are then of no use."""
    train, validation = splits.train, splits.validation
    both = Part(
        torch.cat([train.images, validation.images]), torch.cat([train.labels, validation.labels])
    )
    return replace(splits, train=both)

"""The output folder of a configuration's trainings: what is saved, and whether it can be continued."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_core.checkpoint import load_state
from cifar_core.epoch import Epoch
from cifar_core.errors import CheckpointError
from cifar_core.recipe import Recipe
from cifar_core.text_files import one_line, read_text
from search.errors import UsageError
from search.results.subject import Run, TrainingImages
from search.study.settings import DataIdentity

__all__ = ["Measured", "Saved", "TrainingFolder"]

LARGEST_RESULT = 1 << 26  # bytes; an epoch has some 250


@dataclass(frozen=True)
class Saved:
    """A saved training.

    Attributes:
        history: Its epochs.
        complete: No epoch is left to train.
    """

    history: tuple[Epoch, ...]
    complete: bool


@dataclass(frozen=True)
class Measured:
    """Trainings that are measured already.

    Attributes:
        data: The images they were trained and measured on.
        runs: The trainings by seed.
    """

    data: DataIdentity
    runs: Mapping[int, Run]


@dataclass(frozen=True)
class TrainingFolder:
    """The files of one configuration's trainings.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def result(self) -> Path:
        """The file of what all trainings have in common, and of their figures."""
        return self.path / "result.json"

    @property
    def curves(self) -> Path:
        """Plot of all trainings' curves."""
        return self.path / "curves.png"

    def state(self, seed: int) -> Path:
        """Everything that a training continues from, after its last epoch."""
        return self.path / f"training-{seed}.pt"

    def network(self, seed: int) -> Path:
        """The trained network."""
        return self.path / f"network-{seed}.pt"

    def features(self, seed: int) -> Path:
        """The feature maps of one image as numbers."""
        return self.path / f"features-{seed}.json"

    def files(self, seed: int, *, plots: bool) -> list[Path]:
        """Return the files that a measured training leaves."""
        drawn = ("classes", "confusion", "features") if plots else ()
        names = [self.path / f"{kind}-{seed}.png" for kind in drawn]
        return [self.network(seed), self.features(seed), *names]

    def forget(self, seeds: Sequence[int]) -> None:
        """Remove the saved trainings, and the figures.

        Raises:
            OSError: A file cannot be removed.
        """
        self.result.unlink(missing_ok=True)
        for seed in seeds:
            self.state(seed).unlink(missing_ok=True)

    def saved(
        self,
        recipe: Recipe,
        images: TrainingImages,
        seeds: Sequence[int],
        remark: Callable[[str], None],
    ) -> dict[int, Saved]:
        """Return the saved trainings by seed. A damaged one is removed, and said.

        Args:
            recipe: The recipe to train.
            images: The images to train on.
            seeds: The seeds to train from.
            remark: Called with what the user should know.

        Raises:
            UsageError: A saved training is of another recipe, or on other images.
        """
        found = {}
        for seed in seeds:
            path = self.state(seed)
            if not path.exists():
                continue
            try:
                state = load_state(path)
                history = tuple(Epoch(**values) for values in state["history"])
            except (CheckpointError, LookupError, TypeError) as error:
                remark(
                    f"{one_line(str(path))} is damaged, so the training of seed {seed} begins anew: "
                    f"{one_line(str(error))}"
                )
                path.unlink()
                continue
            self._check(state, recipe, images.identity, path)
            ended = bool(history) and history[-1].is_last
            found[seed] = Saved(history, ended or len(history) >= recipe.epochs)
        return found

    def _check(
        self, state: Mapping[str, Any], recipe: Recipe, data: DataIdentity, path: Path
    ) -> None:
        kept = _described(state.get("recipe"), state.get("images"), state.get("split"))
        wanted = _described(recipe.digest, data.train, data.split)
        if kept != wanted:
            raise UsageError(
                f"{self.path} holds another training, which is not continued and not overwritten:\n"
                f"  {path.name}: {kept}\n"
                f"  wanted now: {wanted}\n"
                "Choose another folder with --out DIR, or replace what is there with --restart."
            )

    def measured(
        self, recipe: Recipe, images: TrainingImages, split: str, image: int, *, plots: bool
    ) -> Measured | None:
        """Return the trainings that are measured already; None if there are none that are wanted now.

        Args:
            recipe: The recipe that was trained.
            images: The images that were trained on.
            split: ``validation`` or ``test``.
            image: Index of the image whose feature maps are wanted.
            plots: Whether plots are wanted too.
        """
        try:
            document = json.loads(read_text(self.result, LARGEST_RESULT))
            data = DataIdentity.model_validate(document["data"])
            about = (document["recipe"], document["measured_on"], document["image"])
            runs = [Run.from_dict(values) for values in document["runs"]]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        if about != (recipe.to_dict(), split, image) or data.split != images.identity.split:
            return None
        files = {
            run.seed: [self.state(run.seed), *self.files(run.seed, plots=plots)] for run in runs
        }
        whole = {run.seed: run for run in runs if all(file.exists() for file in files[run.seed])}
        return Measured(data, whole) if whole else None


def _described(recipe: object, images: object, split: object) -> str:
    count = f"{images:,}" if isinstance(images, int) else "an unknown number of"
    return one_line(f"recipe {recipe} on {count} training images, split {split}")

"""Train configurations over several seeds, keep what each makes of every image, and print their noise.

    python -m bench.confirm_noise [--data DIR] [--trials 1 9] [--seeds 3]

Configurations are those of `bench/recorded/start.json`, trained as there: 6 epochs, 10,000 images, one
thread; half a minute each. Answers are kept in `bench/recorded/confirm.json`, a line for each training;
what is there is not trained again. Without `--data` nothing is trained.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch

from bench.search.records import RECORDED, read_records
from cifar_core.data.dataset import open_data
from cifar_core.data.resident import splits_of
from cifar_core.data.split import VALIDATION_IMAGES, split
from cifar_core.files import write_atomically
from cifar_core.seeds import derive
from cifar_core.trainer import Training
from search.study.confirmation import packed, unpacked

__all__ = ["kept_answers"]

KEPT = RECORDED / "confirm.json"
TRAIN_IMAGES = 10_000

Answers = dict[tuple[int, int], npt.NDArray[np.bool_]]


def kept_answers() -> Answers:
    """Return which of the validation images each kept training classifies right, by trial and seed."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    return {
        (int(trial), int(seed)): unpacked(text, VALIDATION_IMAGES)
        for key, text in kept.items()
        for trial, seed in [key.split(":")]
    }


def train(data: str, trials: list[int], seeds: int) -> None:
    """Make the trainings that are not kept, and keep each."""
    torch.set_num_threads(1)
    records, found = read_records("start"), kept_answers()
    labelled = open_data(data).read_train()
    splits = splits_of(labelled, split(labelled, TRAIN_IMAGES))
    splits = replace(splits, train=splits.train.mirrored_too())
    values = {row["number"]: row["values"] for row in records.rows}
    for seed in range(seeds):
        for trial in trials:
            if (trial, seed) in found:
                continue
            recipe = records.space.recipe_of(values[trial])
            own = derive(0, "confirmation", seed)
            training = Training(recipe, splits, seed=own, device=torch.device("cpu"))
            for _ in training.epochs():
                pass
            found[trial, seed] = training.answers(splits.validation).numpy()
            lines = ",\n".join(
                f'"{one}:{number}": "{packed(right)}"' for (one, number), right in found.items()
            )
            write_atomically(KEPT, f"{{\n{lines}\n}}\n".encode())


def report(found: Answers) -> Iterator[str]:
    """Yield the noise of kept trainings, a line each."""
    for trial in sorted({one for one, _ in found}):
        accuracies = [100.0 * right.mean() for (one, _), right in found.items() if one == trial]
        spread = f"{np.std(accuracies, ddof=1):.2f}" if len(accuracies) > 1 else "-"
        count = len(accuracies)
        yield f"trial {trial}: {count} seeds, {np.mean(accuracies):.1f} %, between seeds {spread} points"
    for kind, same in (("of one configuration", True), ("of two configurations", False)):
        pairs = [
            float(np.mean(found[one] != found[other]))
            for one, other in combinations(found, 2)
            if (one[0] == other[0]) == same
        ]
        if pairs:
            share = f"{np.mean(pairs):.1%} of the images, {len(pairs)} pairs"
            yield f"two trainings {kind} disagree about {share}"


def main() -> None:
    """Read the command line, train if there are images, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data")
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 9])
    parser.add_argument("--seeds", type=int, default=3)
    wanted = parser.parse_args()
    if wanted.data is not None:
        train(wanted.data, wanted.trials, wanted.seeds)
    print("\n".join(report(kept_answers())))


if __name__ == "__main__":
    main()

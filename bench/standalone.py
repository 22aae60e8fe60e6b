"""Train one recipe with the service's trainer and with the file that `export --format python` writes.

    python -m bench.standalone --data DIR [--seeds 3] [--train-images 10000]

The recipe is the known configuration "one-cycle SGD" in the quick version of `baseline_constrained`, with
operations of the policy `trivial` at a strength of 0.3 added, so that everything that is drawn takes part.
Both train on the same images, side by side in one process on one thread, and are scored on the same 5,000
others. Their random numbers differ, so accuracies agree but for the spread between seeds.
"""

import argparse
import statistics
import tempfile
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch

from bench.machine import described_machine
from cifar_core.data.dataset import open_data
from cifar_core.data.resident import Splits, splits_of
from cifar_core.data.split import split
from cifar_core.recipe import Recipe
from cifar_core.standalone.program import standalone_program
from cifar_core.standalone.training import Facts
from cifar_core.trainer import Training
from spaces.files import load_space
from spaces.reading import quicker

__all__ = ["measured_recipe", "program_in"]

CPU = torch.device("cpu")


def measured_recipe() -> Recipe:
    """Return the recipe that is trained both ways."""
    space = load_space("baseline_constrained")
    quick = space.quick
    assert quick is not None
    quicker_space = quicker(space).with_epochs(quick.epochs or 6)
    recipe = quicker_space.recipe_of(quicker_space.known[0].values)
    augmentation = recipe.augmentation.model_copy(update={"strength": 0.3})
    return recipe.model_copy(update={"augmentation": augmentation})


def program_in(folder: Path, recipe: Recipe, splits: Splits) -> ModuleType:
    """Write the program for a recipe into a folder, and import it from there.

    Args:
        folder: The folder.
        recipe: The recipe.
        splits: The images, whose mean and deviation the program has.
    """
    red, green, blue = (one / 255 for one in splits.mean)
    std_red, std_green, std_blue = (one / 255 for one in splits.std)
    mean, std = (red, green, blue), (std_red, std_green, std_blue)
    if recipe.normalization == "symmetric":
        mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    path = folder / "program.py"
    facts = Facts(mean, std, len(splits.train))
    path.write_text(standalone_program(recipe, facts, "A program."), encoding="utf-8")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    program = module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


def main() -> None:
    """Train both ways over some seeds, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-images", type=int, default=10_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    labelled = open_data(options.data).read_train()
    splits = splits_of(labelled, split(labelled, options.train_images))
    recipe = measured_recipe()
    found: dict[str, list[tuple[float, float]]] = {"trainer": [], "file": []}
    with tempfile.TemporaryDirectory() as folder:
        program = program_in(Path(folder), recipe, splits)
        parts = [
            program.Images(part.images, part.labels) for part in (splits.train, splits.validation)
        ]
        for seed in range(options.seeds):
            started = time.process_time()
            *_, epoch = Training(recipe, splits, seed=seed, device=CPU).epochs()
            found["trainer"].append((epoch.validation_accuracy, time.process_time() - started))
            started = time.process_time()
            torch.manual_seed(seed)
            *_, epoch = program.train(program.new_network(parts[0].images), *parts)
            found["file"].append((epoch.validation_accuracy, time.process_time() - started))
            print(seed, *(f"{100 * runs[-1][0]:.2f} %" for runs in found.values()), flush=True)
    print(described_machine(CPU))
    print(f"{recipe.epochs} epochs, {options.train_images:,} images, {options.seeds} seeds")
    for name, runs in found.items():
        accuracies, seconds = ([run[index] for run in runs] for index in (0, 1))
        spread = statistics.stdev(accuracies) if len(runs) > 1 else 0.0
        print(
            f"{name:8} {100 * statistics.mean(accuracies):.2f} % +- {100 * spread:.2f} (SD of one "
            f"training), {statistics.mean(seconds):.0f} s of processor time"
        )


if __name__ == "__main__":
    main()

"""The final training of a configuration on all 50,000 images of a GPU, and its one test.

Either the winner of the search (the published mark is 83 %), or the fast network's known configuration. A
rehearsal trains small networks for an epoch, on the synthetic images: it opens no test split of CIFAR-10.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
import torch

from bench.gpu.commands import command, train_final
from bench.gpu.report import Report, parser_of
from cifar_core.recipe import Net, Recipe, SpeedNet
from spaces.files import load_space

SEEDS = 2
SMALL: dict[str, Any] = {"epochs": 1, "batch_size": 512}
SMALL_NETWORKS = {
    "net": Net(channels1=2, channels2=4),
    "speednet": SpeedNet(channels1=2, channels2=4, channels3=4),
}


def winner_of(home: Path) -> Recipe:
    """Return the best configuration of the newest study in a home, also of one that was cut off."""
    code, text = command("export", "--home", home)
    if code:
        sys.exit("There is no study, or no trial of it is complete: there is no winner to train.")
    path, *_ = text.splitlines()  # its trained network comes after it
    with Path(path).open("rb") as file:
        return Recipe.read(tomllib.load(file)["recipe"], path)


def fastest() -> Recipe:
    """Return the first known configuration of the space `speed`."""
    space = load_space("speed")
    return space.recipe_of(space.known[0].values)


def main() -> None:
    """Read the command line, train, and write."""
    parser = parser_of("final", __doc__ or "")
    parser.add_argument("--folder", type=Path, required=True, help="where recipe and networks go")
    parser.add_argument(
        "--home", type=Path, help="home of the search; without it, SpeedNet is trained"
    )
    wanted = parser.parse_args()
    report = Report(wanted.json, torch.device(wanted.device))
    recipe = fastest() if wanted.home is None else winner_of(wanted.home)
    seeds, data = SEEDS, wanted.data
    if wanted.rehearse:
        small = SMALL | {"network": SMALL_NETWORKS[recipe.network.name]}
        recipe, seeds, data = recipe.model_copy(update=small), 1, "synthetic"
    report.add("recipe", recipe.to_dict())
    wanted.folder.mkdir(parents=True, exist_ok=True)
    file = wanted.folder / "recipe.toml"
    file.write_text(tomli_w.dumps(recipe.to_dict()), encoding="utf-8")
    result = train_final(file, seeds, wanted.folder, wanted.device, data)
    report.add("final", result)
    sys.exit(result["code"])


if __name__ == "__main__":
    main()

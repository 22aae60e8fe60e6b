"""The fast network's full run on a GPU: seconds of training, and the test accuracy they bring."""

from pathlib import Path

import tomli_w
import torch

from bench.gpu.report import Report, parser_of
from bench.gpu.search import train_final
from spaces.files import load_space

SEEDS = 3


def main() -> None:
    """Read the command line, train, print, and write."""
    parser = parser_of("speednet", __doc__ or "")
    parser.add_argument("--folder", type=Path, required=True, help="where networks go")
    wanted = parser.parse_args()
    report = Report(wanted.json, torch.device(wanted.device))
    space = load_space("speed")
    known = space.known[0]
    recipe = space.recipe_of(known.values)
    if wanted.rehearse:
        recipe = recipe.model_copy(update={"epochs": 1})
    report.add("recipe", {"known": known.name, **recipe.to_dict()})
    file = wanted.folder / "speednet.toml"
    file.write_text(tomli_w.dumps(recipe.to_dict()), encoding="utf-8")
    common = ("--device", wanted.device, "--data", wanted.data)
    out = wanted.folder / "speednet"
    report.add("final", train_final(file, SEEDS, out, common, wanted.rehearse))


if __name__ == "__main__":
    main()

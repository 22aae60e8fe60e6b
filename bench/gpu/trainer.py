"""The trainer against its limit on a GPU: images/s, utilisation, and the time between kernels.

For each network: the bare step on one batch that lies on the device, our training as it is, with
``torch.compile`` and with CUDA graphs, and the same steps fed by airbench's loader. Contenders take
turns; the figures are medians and all turns. A mode that fails is reported with its reason.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from bench.contenders import Contender, Fed, Limit, Ours
from bench.gpu.kernels import kernels_of
from bench.gpu.report import Report, images_for, parser_of
from bench.loaders import AUGMENTATIONS
from cifar_core.data.resident import Part, Splits
from cifar_core.device import settle_on
from cifar_core.networks import Net, Network, ResNet18Cifar, SpeedNet
from cifar_core.recipe import Recipe, Sgd

CELLS: dict[str, tuple[Network, int]] = {
    "net 6/16 at 64": (Net(), 64),
    "net 6/16 at 256": (Net(), 256),
    "net 256/256 at 64": (Net(channels1=256, channels2=256, batch_norm=True), 64),
    "net 256/256 at 512": (Net(channels1=256, channels2=256, batch_norm=True), 512),
    "speednet at 128": (SpeedNet(), 128),
    "resnet18_cifar at 128": (ResNet18Cifar(), 128),
}
"""Networks with their batch sizes."""
REHEARSED: dict[str, tuple[Network, int]] = {
    "net 6/16 at 64": (Net(), 64),
    "speednet at 128": (SpeedNet(), 128),
}
TURNS = 5
SECONDS = 0.5
"""Of a turn, at the speed of the bare step's first one."""
COMPILED = ("net 256/256 at 512", "speednet at 128")
"""Compiling takes half a minute, so only these are compiled."""


def contenders_of(
    name: str, recipe: Recipe, splits: Splits, device: torch.device
) -> dict[str, Callable[[], Contender]]:
    """Return how each contender of a cell is made, by its name."""
    clock = time.perf_counter
    modes: dict[str, Callable[[], Contender]] = {
        "limit": lambda: Limit(recipe, splits, device, clock),
        "ours": lambda: Ours(recipe, splits, device, clock),
        "ours, captured": lambda: Ours(recipe, splits, device, clock, capture_steps=True),
        "airbench": lambda: Fed("airbench", recipe, "standard", splits, device, clock),
    }
    if name in COMPILED:
        modes["ours, compiled"] = lambda: Ours(recipe, splits, device, clock, compile_network=True)
    return modes


def measure(
    name: str, network: Network, batch_size: int, splits: Splits, device: torch.device, turns: int
) -> dict[str, Any]:
    """Return the figures of one network.

    Returns:
        By contender, ``images_per_second`` with all turns, ``median``, and ``error`` where there is one;
        and ``kernels``, of our training.
    """
    recipe = Recipe(
        network=network,
        # So small that weights stay what they are: no contender's arithmetic gets easier than another's.
        optimizer=Sgd(lr=1e-5),
        batch_size=batch_size,
        augmentation=AUGMENTATIONS["standard"],
        normalization="standard",
    )
    few = _some(splits, 4 * batch_size)
    speed = _warm_speed(Limit(recipe, few, device, time.perf_counter))
    steps = max(4, min(len(splits.train), int(SECONDS * speed)) // batch_size)
    some = _some(splits, steps * batch_size)
    found: dict[str, Any] = {"batch_size": batch_size, "steps_in_a_turn": steps}
    made: dict[str, Contender] = {}
    for mode, make in contenders_of(name, recipe, some, device).items():
        try:
            made[mode] = make()
            made[mode].turn()  # memory is taken, kernels are chosen, something may be compiled
            found[mode] = {"images_per_second": []}
            _say_what_was_not_done(made[mode], found[mode])
        except Exception as error:  # whatever fails, the other modes are measured
            found[mode] = {"error": f"{type(error).__name__}: {error}"[:500]}
            made.pop(mode, None)
    for turn in range(turns):
        for mode in made if turn % 2 else reversed(list(made)):
            found[mode]["images_per_second"].append(round(made[mode].turn(), 1))
    for mode in made:
        found[mode]["median"] = statistics.median(found[mode]["images_per_second"])
        made[mode].close()
    if device.type == "cuda":
        found["kernels"] = {
            mode: kernels_of(one.training, device)
            for mode, one in made.items()
            if isinstance(one, Ours)
        }
    return found


def _say_what_was_not_done(contender: Contender, figures: dict[str, Any]) -> None:
    if isinstance(contender, Ours):
        for reason in (contender.training.not_compiled, contender.training.not_captured):
            if reason is not None:
                figures["fell_back"] = reason


def _warm_speed(limit: Limit) -> float:
    limit.turn()
    return limit.turn()


def _some(splits: Splits, count: int) -> Splits:
    train = Part(splits.train.images[:count], splits.train.labels[:count])
    return Splits(train, splits.validation, splits.mean, splits.std, splits.digest)


def main() -> None:
    """Read the command line, measure, print, and write."""
    wanted = parser_of("trainer", __doc__ or "").parse_args()
    device = torch.device(wanted.device)
    settle_on(device)
    if wanted.rehearse:
        torch.set_num_threads(1)
    report = Report(wanted.json, device)
    splits = images_for(wanted.data, wanted.rehearse).to(device)
    for name, (network, batch_size) in (REHEARSED if wanted.rehearse else CELLS).items():
        turns = 1 if wanted.rehearse else TURNS
        try:
            report.add(name, measure(name, network, batch_size, splits, device, turns))
        except Exception as error:  # the other networks are measured all the same
            report.add(name, {"error": f"{type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    main()

"""The trainer against its limit on a GPU: images/s, utilisation, and the time between kernels.

For each network: the bare step on one batch that lies on the device, our training as it is, the same steps
fed by airbench's loader; then our training with CUDA graphs, and with ``torch.compile``. What is compared
takes turns; the figures are medians and all turns. A mode that fails is reported with its reason.
"""

import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from bench.contenders import Contender, Fed, Limit, Ours
from bench.gpu.kernels import kernels_of
from bench.gpu.report import Deadline, Report, images_for, parser_of
from bench.loaders import AUGMENTATIONS
from cifar_core.data.resident import Part, Splits
from cifar_core.device import settle_on, still_works
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
SECONDS = 0.25
"""Of a turn, at the speed of the bare step's first one."""
PROFILED_STEPS = 40
MARGIN = 0.1
"""Share of its time that is kept for the turns of a mode that is interrupted, and for the exit."""
CAPTURED, COMPILED = "ours, captured", "ours, compiled"


@dataclass(frozen=True)
class Comparison:
    """Modes that take turns.

    Attributes:
        name: What is compared.
        modes: The contenders.
        seconds: Left at least for it to be begun.
        profiled: The mode whose kernels are looked at, or None.
    """

    name: str
    modes: tuple[str, ...]
    seconds: float
    profiled: str | None


COMPARISONS = (
    Comparison("plain", ("limit", "ours", "airbench"), 3.0, "ours"),
    Comparison("captured", ("ours", CAPTURED), 3.0, CAPTURED),
    Comparison("compiled", ("ours", COMPILED), 35.0, None),
)
"""The safest first: an error may leave the process without a device. The slowest last."""


def contender_of(mode: str, recipe: Recipe, splits: Splits, device: torch.device) -> Contender:
    """Make a contender."""
    if mode == "limit":
        return Limit(recipe, splits, device, time.perf_counter)
    if mode == "airbench":
        return Fed("airbench", recipe, "standard", splits, device, time.perf_counter)
    return Ours(
        recipe,
        splits,
        device,
        time.perf_counter,
        compile_network=mode == COMPILED,
        capture_steps=mode == CAPTURED,
    )


def measure(
    modes: tuple[str, ...],
    recipe: Recipe,
    splits: Splits,
    device: torch.device,
    turns: int,
    profiled: str | None = None,
) -> dict[str, Any]:
    """Let modes take turns on one network.

    Returns:
        By mode, ``images_per_second`` with all turns, their ``median``, that ``of_first`` mode's rate in
        the same turns, and ``error`` or ``fell_back`` with a reason; of the profiled mode on a GPU also
        ``kernels`` and ``utilisation``.
    """
    size = recipe.batch_size
    speed = _warm_speed(Limit(recipe, _some(splits, 4 * size), device, time.perf_counter))
    steps = max(4, min(len(splits.train), int(SECONDS * speed)) // size)
    some = _some(splits, steps * size)
    found: dict[str, Any] = {"batch_size": size, "steps_in_a_turn": steps}
    made: dict[str, Contender] = {}
    for mode in modes:
        try:
            contender = contender_of(mode, recipe, some, device)
            contender.turn()  # memory is taken, kernels are chosen, something may be compiled
        except Exception as error:  # whatever fails, the other modes are measured
            found[mode] = {"error": described(error)}
            continue
        made[mode] = contender
        found[mode] = {"images_per_second": [], **_fallback(contender)}
    for turn in range(turns):
        for mode in made if turn % 2 else reversed(list(made)):
            found[mode]["images_per_second"].append(round(made[mode].turn(), 1))
    first = next(iter(made), None)
    for mode, contender in made.items():
        rates = found[mode]["images_per_second"]
        found[mode]["median"] = statistics.median(rates)
        if first is not None and mode != first:
            pairs = zip(rates, found[first]["images_per_second"], strict=True)
            found[mode]["of_first"] = round(statistics.median(a / b for a, b in pairs), 3)
        contender.close()
        if device.type == "cuda" and mode == profiled:
            found[mode] |= _activity(mode, recipe, splits, device, found[mode]["median"])
    return found


def described(error: Exception) -> str:
    """Return an error as it stands in the figures."""
    return f"{type(error).__name__}: {error}"[:500]


def _activity(
    mode: str, recipe: Recipe, splits: Splits, device: torch.device, rate: float
) -> dict[str, Any]:
    """Return the kernels of a mode, and the share of its unprofiled time in which any of them runs."""
    size = recipe.batch_size
    few = _some(splits, PROFILED_STEPS * size)
    try:
        made = contender_of(mode, recipe, few, device)
        assert isinstance(made, Ours)
        kernels = kernels_of(made, max(1, len(few.train) // size), device)
    except Exception as error:  # a profiler that does not work here
        return {"kernels": {"error": described(error)}}
    busy = kernels["per_step"] * kernels.get("microseconds", 0.0) * 1e-6  # seconds of a step
    return {"kernels": kernels, "utilisation": round(busy * rate / size, 3)}


def _fallback(contender: Contender) -> dict[str, str]:
    if not isinstance(contender, Ours):
        return {}
    training = contender.training
    reason = training.not_compiled or training.not_captured
    return {} if reason is None else {"fell_back": reason}


def _warm_speed(limit: Limit) -> float:
    limit.turn()
    return limit.turn()


def _some(splits: Splits, count: int) -> Splits:
    train = Part(splits.train.images[:count], splits.train.labels[:count])
    return Splits(train, splits.validation, splits.mean, splits.std, splits.digest)


def main() -> None:
    """Read the command line, measure, print, and write."""
    wanted = parser_of("trainer", __doc__ or "").parse_args()
    deadline, device = Deadline(wanted.seconds), torch.device(wanted.device)
    settle_on(device)
    if wanted.rehearse:
        torch.set_num_threads(1)
    report = Report(wanted.json, device)
    splits = images_for(wanted.data, wanted.rehearse).to(device)
    turns = 1 if wanted.rehearse else TURNS
    deadline.interrupt(MARGIN * wanted.seconds)
    for comparison in COMPARISONS:
        for name, (network, batch_size) in (REHEARSED if wanted.rehearse else CELLS).items():
            key = f"{name}, {comparison.name}"
            if deadline.left < comparison.seconds:
                report.add(key, {"skipped": f"only {deadline.left:.0f} s were left"})
                continue
            recipe = Recipe(
                network=network,
                # So small that weights stay what they are: no contender's arithmetic gets easier.
                optimizer=Sgd(lr=1e-5),
                batch_size=batch_size,
                augmentation=AUGMENTATIONS["standard"],
                normalization="standard",
            )
            try:
                modes, profiled = comparison.modes, comparison.profiled
                report.add(key, measure(modes, recipe, splits, device, turns, profiled))
            except Exception as error:  # the other networks are measured all the same
                report.add(key, {"error": described(error)})
            if not still_works(device):
                sys.exit(f"After {key} the device does not answer any more.")


if __name__ == "__main__":
    main()

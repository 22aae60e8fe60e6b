"""The worth: the same search in measured, wide and hand-set ranges of the learning rate."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from search.events import Event
from search.home import Home
from search.request import StartRequest
from search.service.start import start
from search.study import attributes
from search.workers.engine_options import EngineOptions

__all__ = ["ARMS", "Run", "measure", "read"]

ARMS = {"measured": "auto", "wide": "1e-5:1", "by hand": "off"}
"""Each arm's `--lr-bounds`."""
SPACE = Path(__file__).with_name("worth.toml")
TRAIN_IMAGES = 5_000


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        arm: Key of `ARMS`.
        seed: Of the study.
        sweep_epochs: What the LR-range test cost, in epochs.
        bounds: The range of each learning rate.
        trials: Epochs and final validation accuracy of each trial in their order; 0 where it was
            stopped early.
    """

    arm: str
    seed: int
    sweep_epochs: float
    bounds: dict[str, list[float]]
    trials: list[list[float]]

    @property
    def epochs(self) -> float:
        """What the whole search cost."""
        return self.sweep_epochs + sum(epochs for epochs, _ in self.trials)

    @property
    def best(self) -> float:
        """The best final validation accuracy."""
        return max(accuracy for _, accuracy in self.trials)

    def epochs_until(self, target: float) -> float | None:
        """What it had cost when a trial first ended with `target` or more; None if none did."""
        cost = self.sweep_epochs
        for epochs, accuracy in self.trials:
            cost += epochs
            if accuracy >= target:
                return cost
        return None


def read(path: Path) -> list[Run]:
    """The runs of a file, none if it isn't there."""
    if not path.exists():
        return []
    return [Run(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(data: str, seeds: Iterable[int], path: Path) -> None:
    """Search what `path` doesn't have yet, seed by seed, and add each run to it at once.

    One worker, so that the order of the trials is that in which they were asked for.
    """
    there = {(run.arm, run.seed) for run in read(path)}
    for seed in seeds:
        for arm in ARMS:
            if (arm, seed) in there:
                continue
            run = _search(data, arm, seed)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(run)) + "\n")
            print(
                f"{arm:<9} seed {seed}  {run.epochs:.0f} epochs  {100 * run.best:.1f} %", flush=True
            )


def _search(data: str, arm: str, seed: int) -> Run:
    request = StartRequest(
        str(SPACE),
        train_images=TRAIN_IMAGES,
        engine=EngineOptions(workers=1),
        device="cpu",
        data=data,
        lr_bounds=ARMS[arm],
        seed=seed,
        scale="full",
    )
    with TemporaryDirectory(prefix="worth-") as folder:
        study, _ = start(Home(Path(folder)), request, _ignore, Path(data))
        curves = study.note(attributes.LR_CURVES)
        return Run(
            arm=arm,
            seed=seed,
            sweep_epochs=curves["epochs"] if curves else 0.0,
            bounds={
                one["parameter"]: [one["low"], one["high"]]
                for one in study.note(attributes.LR_BOUNDS)
            },
            trials=[
                [
                    row.epochs,
                    round(row.validation_accuracy or 0.0, 5) if row.state == "complete" else 0.0,
                ]
                for row in sorted(study.rows(), key=lambda row: row.number)
            ],
        )


def _ignore(_: Event) -> None:
    """Nobody watches."""

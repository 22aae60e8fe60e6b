"""Training speeds of recipes in all workers of a search at the same time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cifar_core.recipe import Recipe
from cifar_core.throughput import Throughput
from search.errors import ServiceError
from search.workers.limits import TICK
from search.workers.messages import Died, Failed, SpeedDone, SpeedTask
from search.workers.pool import Pool, Worker

__all__ = ["Speed", "measure_speeds"]


@dataclass(frozen=True)
class Speed:
    """The training speed of one recipe.

    Attributes:
        name: The name of the recipe.
        recipe: The recipe.
        workers: The speed of each worker while all of them trained.
    """

    name: str
    recipe: Recipe
    workers: tuple[Throughput, ...]

    @property
    def training(self) -> float:
        """Images per second in training, of all workers together."""
        return sum(one.training for one in self.workers)

    @property
    def evaluation(self) -> float:
        """Images per second without gradients, of all workers together."""
        return sum(one.evaluation for one in self.workers)

    def to_dict(self) -> dict[str, Any]:
        """Return the speed as plain JSON."""
        return {
            "images_per_second": round(self.training, 1),
            "evaluation_images_per_second": round(self.evaluation, 1),
            "workers": [
                {
                    "images_per_second": round(one.training, 1),
                    "evaluation_images_per_second": round(one.evaluation, 1),
                }
                for one in self.workers
            ],
            "recipe": self.recipe.to_dict(),
        }


def measure_speeds(
    recipes: Mapping[str, Recipe], seconds: float, pool: Pool, count: int | None = None
) -> list[Speed]:
    """Train each recipe for some seconds in every worker, all workers at the same time.

    Args:
        recipes: The recipes by name.
        seconds: Time for each, after a warm-up.
        pool: The workers.
        count: Number of workers to train in, the others idle; None for all.

    Raises:
        ServiceError: A worker fails or dies.
    """
    while not all(worker.idle for worker in pool.workers):
        pool.poll(TICK)
    return [
        Speed(name, recipe, _in_workers(SpeedTask(recipe, seconds), pool, pool.workers[:count]))
        for name, recipe in recipes.items()
    ]


def _in_workers(task: SpeedTask, pool: Pool, workers: list[Worker]) -> tuple[Throughput, ...]:
    for worker in workers:
        pool.assign(worker, task)
    done: dict[int, Throughput] = {}
    while len(done) < len(workers):
        for worker, _, message in pool.poll(TICK):
            match message:
                case SpeedDone(throughput):
                    done[worker.index] = throughput
                case Failed(reason) | Died(reason):
                    raise ServiceError(f"A worker on {worker.slot.device} cannot train: {reason}")
    return tuple(done[worker.index] for worker in workers)

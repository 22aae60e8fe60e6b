"""The speed of all workers at the same time."""

import json

import pytest

from cifar_core.recipe import Net, Recipe
from cifar_core.throughput import Throughput
from search.doctor.speed import Speed, measure_speeds
from search.errors import ServiceError
from search.workers.messages import Died, Failed, SpeedTask, WorkerMessage
from tests.search.speeding import SpeedingPool

RECIPES = {"narrow": Recipe(), "wide": Recipe(network=Net(channels1=100))}


def test_a_recipe_is_given_to_every_worker_before_any_has_done_it() -> None:
    pool = SpeedingPool(3)
    measure_speeds(RECIPES, 2.0, pool)  # type: ignore[arg-type] # it is all that is used of a pool
    narrow, wide = (SpeedTask(recipe, 2.0) for recipe in RECIPES.values())
    assert pool.tasks == [
        *([narrow, narrow, narrow], [None, narrow, narrow], [None, None, narrow]),
        *([wide, wide, wide], [None, wide, wide], [None, None, wide]),
    ]


def test_the_speeds_are_those_of_the_workers_in_their_order() -> None:
    narrow, wide = measure_speeds(RECIPES, 2.0, SpeedingPool(2))  # type: ignore[arg-type]
    assert (narrow.name, narrow.recipe) == ("narrow", RECIPES["narrow"])
    assert narrow.workers == (Throughput(994, 5_000), Throughput(995, 5_001))
    assert (wide.name, wide.recipe) == ("wide", RECIPES["wide"])
    assert wide.workers == (Throughput(900, 5_000), Throughput(901, 5_001))


def test_a_speed_is_the_sum_over_the_workers() -> None:
    speed = Speed("two", Recipe(), (Throughput(100.0, 1_000.0), Throughput(250.0, 2_000.0)))
    assert (speed.training, speed.evaluation) == (350.0, 3_000.0)
    plain = json.loads(json.dumps(speed.to_dict()))
    assert plain["images_per_second"] == 350.0
    assert plain["evaluation_images_per_second"] == 3_000.0
    assert [one["images_per_second"] for one in plain["workers"]] == [100.0, 250.0]
    assert Recipe.read(plain["recipe"]) == Recipe()


@pytest.mark.parametrize("message", [Failed("out of memory: x"), Died("killed by SIGKILL")])
def test_what_a_worker_cannot_do_is_said_with_its_reason(message: Failed | Died) -> None:
    def said(_task: SpeedTask, _index: int) -> WorkerMessage:
        return message

    pool = SpeedingPool(2)
    pool.said = said
    with pytest.raises(ServiceError) as caught:
        measure_speeds(RECIPES, 2.0, pool)  # type: ignore[arg-type]
    assert str(caught.value) == f"A worker on cpu cannot train: {message.reason}"

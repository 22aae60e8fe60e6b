"""Learning-rate bounds: which recipes are measured, how sweeps become one range, what a restart keeps."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_core.lr_range import Finding, Sweep, rates
from search.bounds import (
    Bounds,
    StopBeforeTrials,
    combine,
    corner_recipes,
    measure,
    unmeasured,
    values_for,
)
from search.errors import ServiceError
from search.events import Event, SweepsProgress
from search.messages import Died, Failed, SweepDone, SweepTask, Task, WorkerMessage
from search.pool import Slot, Worker
from spaces.files import load_space
from spaces.space import Space
from tests.spaces.making import one_parameter, plain_space, small_space

LR = rates()


def curve(best: float, depth: float = 1.0) -> Sweep:
    """A sweep whose loss is lowest at `best` and back at its start two decades above."""
    losses = []
    for lr in LR:
        distance = math.log10(lr / best)
        width = 1.0 if distance < 0 else 0.7
        losses.append(2.3 - depth * math.exp(-((distance / width) ** 2)) + max(0.0, distance - 1))
    return Sweep(LR, tuple(losses), 1_000)


def finding(low: float, high: float, suggested: float) -> Finding:
    return Finding((), (), (), low=low, high=high, suggested=suggested)


NOTHING = Finding((), (), (), reason="The loss hardly fell.")


class SweepingPool:
    """Workers that answer a sweep with a curve, or with what a script says instead."""

    def __init__(
        self,
        workers: int = 2,
        trouble: Callable[[SweepTask], WorkerMessage | None] = lambda _task: None,
        depth: float = 1.0,
    ) -> None:
        self.workers = [Worker(Slot("cpu", 1), index, ready=True) for index in range(workers)]
        self.tasks: list[SweepTask] = []
        self._trouble = trouble
        self._depth = depth

    def assign(self, worker: Worker, task: Task) -> None:
        assert isinstance(task, SweepTask)
        assert worker.idle
        worker.task = task
        self.tasks.append(task)

    def poll(self, _seconds: float) -> list[tuple[Worker, Task | None, WorkerMessage]]:
        heard: list[tuple[Worker, Task | None, WorkerMessage]] = []
        for worker in self.workers:
            task, worker.task = worker.task, None
            if isinstance(task, SweepTask):
                best = {"sgd": 0.1, "adam": 0.01}[task.recipe.optimizer.name]
                done = SweepDone(curve(best, self._depth))
                heard.append((worker, task, self._trouble(task) or done))
        return heard


def measured(
    pool: SweepingPool,
    folder: Path,
    events: list[Event] | None = None,
    stop: Callable[[], bool] = lambda: False,
    seed: int = 0,
) -> tuple[list[Bounds], dict[str, object]]:
    told = [] if events is None else events
    return measure(small_space(), pool, seed, folder, told.append, stop)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------- corners


def test_the_constrained_space_is_measured_at_four_corners_for_each_optimizer() -> None:
    corners = corner_recipes(load_space("baseline_constrained"))
    found = [
        (
            corner.parameter,
            corner.recipe.optimizer.name,
            corner.recipe.batch_size,
            corner.recipe.network.channels1,
            corner.recipe.network.channels2,
        )
        for corner in corners
    ]
    assert sorted(found) == sorted(
        (f"{optimizer}_lr", optimizer, batch_size, *channels)
        for optimizer in ("sgd", "adam")
        for batch_size in (32, 256)
        for channels in ((6, 16), (256, 256))
    )
    for corner in corners:  # all else is that of the base, reference Net4
        assert corner.recipe.network.batch_norm
        assert corner.recipe.network.dropout == 0.1
        assert corner.recipe.optimizer.weight_decay == 1e-4
        assert corner.recipe.augmentation.strength == 1.0


def test_a_space_without_corners_is_measured_at_its_base() -> None:
    space = small_space(lr_range={"base": "best"})
    corners = corner_recipes(space)
    assert [corner.parameter for corner in corners] == ["sgd_lr", "adam_lr"]
    assert [corner.recipe.batch_size for corner in corners] == [32, 32]


def test_values_for_another_optimizer_keep_all_but_optimizer_and_rate() -> None:
    space = small_space()
    base, best = space.known
    assert values_for(space, best, "sgd_lr", 0.05) == {
        "optimizer": "sgd",
        "sgd_lr": 0.05,
        "batch_size": 32,
        "channels1": 8,
        "dropout": 0.1,
    }
    assert values_for(space, base, "sgd_lr", 0.05) == {**base.values, "sgd_lr": 0.05}
    assert list(values_for(space, base, "adam_lr", 0.05)) == [
        "optimizer",
        "adam_lr",
        "batch_size",
        "channels1",
        "dropout",
    ]


def test_a_rate_that_is_not_given_is_the_middle_of_its_range() -> None:
    space = small_space()
    values = values_for(space, space.known[0], "adam_lr")
    assert values["adam_lr"] == pytest.approx(1e-3)


def test_values_that_are_known_are_moved_into_a_narrowed_space() -> None:
    space = small_space().with_ranges({"channels1": {"high": 4}})
    assert values_for(space, space.known[1], "sgd_lr")["channels1"] == 4


# ------------------------------------------------------------------------------------- combining


def test_the_range_holds_what_every_conclusive_corner_found() -> None:
    bounds = combine(
        small_space(),
        "sgd_lr",
        [
            finding(0.0002, 0.01, 0.004),
            NOTHING,
            finding(0.001, 0.5, 0.04),
            finding(0.0005, 0.1, 0.02),
        ],
    )
    assert (bounds.parameter, bounds.optimizer) == ("sgd_lr", "sgd")
    assert (bounds.low, bounds.high) == (0.0002, 0.5)
    assert bounds.suggested == pytest.approx((0.004 * 0.04 * 0.02) ** (1 / 3))
    assert bounds.conclusive
    assert bounds.how == "measured by an LR-range test at 3 corners of the space"


@pytest.mark.parametrize(("low", "high"), [(0.005, 0.5), (1e-6, 1e-5)])
def test_the_range_is_widened_to_hold_a_known_rate_and_says_so(low: float, high: float) -> None:
    bounds = combine(small_space(), "adam_lr", [finding(low, high, low * 3)])
    assert (bounds.low, bounds.high) == (min(low, 0.002), max(high, 0.002))
    assert bounds.how.endswith("at 1 corners of the space, widened to hold the 0.002 of best") or (
        bounds.how.endswith("at 1 corner of the space, widened to hold the 0.002 of best")
    )


def test_every_known_rate_is_held() -> None:
    plain = plain_space()
    plain["known"][1]["values"] |= {"optimizer": "sgd", "sgd_lr": 2.0}
    del plain["known"][1]["values"]["adam_lr"]
    bounds = combine(Space.read(plain, "here"), "sgd_lr", [finding(0.01, 0.1, 0.03)])
    assert (bounds.low, bounds.high) == (0.001, 2.0)
    assert bounds.how.endswith("widened to hold the 0.001 of base, widened to hold the 2 of best")


@pytest.mark.parametrize(
    ("found", "conclusive"), [((0, 4), False), ((1, 4), False), ((2, 4), True), ((1, 2), True)]
)
def test_fewer_than_half_of_the_corners_are_no_conclusion(
    found: tuple[int, int], conclusive: bool
) -> None:
    some, all_ = found
    findings = [finding(0.01, 0.09, 0.03)] * some + [NOTHING] * (all_ - some)
    bounds = combine(small_space(), "sgd_lr", findings)
    assert bounds.conclusive is conclusive
    if not conclusive:
        assert (bounds.low, bounds.high, bounds.suggested) == (0.001, 0.1, None)
        assert "inconclusive: The loss hardly fell." in bounds.how


def test_a_known_rate_is_held_where_nothing_was_measured_too() -> None:
    plain = plain_space()
    plain["known"][0]["values"]["sgd_lr"] = 0.5
    bounds = combine(Space.read(plain, "here"), "sgd_lr", [NOTHING])
    assert bounds.high == 0.5


def test_a_space_of_one_optimizer_names_it() -> None:
    plain = one_parameter(sets="optimizer.lr", low=0.001, high=0.1, log=True, measured=True)
    plain |= {"known": [{"name": "base", "values": {"it": 0.01}}], "lr_range": {"base": "base"}}
    bounds = combine(Space.read(plain, "here"), "it", [finding(0.001, 0.1, 0.03)])
    assert (bounds.parameter, bounds.optimizer) == ("it", "sgd")


def test_bounds_that_are_not_measured_name_the_optimizer_too() -> None:
    plain = one_parameter(sets="optimizer.lr", low=0.001, high=0.1, log=True, measured=True)
    plain |= {"known": [{"name": "base", "values": {"it": 0.01}}], "lr_range": {"base": "base"}}
    (bounds,) = unmeasured(Space.read(plain, "here"), "off")
    assert bounds.optimizer == "sgd"


@pytest.mark.parametrize("wish", ["off", "0.01:0.05"])
def test_bounds_that_are_not_measured_hold_the_known_rates_too(wish: str) -> None:
    sgd, adam = unmeasured(small_space(), wish)
    assert sgd.low == 0.001
    assert adam.low <= 0.002 <= adam.high
    assert sgd.high == (0.1 if wish == "off" else 0.05)
    assert ("widened to hold the 0.001 of base" in sgd.how) == (wish != "off")
    assert not sgd.conclusive
    assert sgd.suggested is None


def test_bounds_survive_the_way_through_json() -> None:
    bounds = combine(small_space(), "sgd_lr", [finding(1 / 3000, 1 / 3, 0.1 / 3)])
    assert Bounds(**json.loads(json.dumps(bounds.plain(), allow_nan=False))) == bounds


# ------------------------------------------------------------------------------------- measuring


def test_every_corner_is_swept_by_every_seed_and_gives_bounds(tmp_path: Path) -> None:
    pool, events = SweepingPool(), list[Event]()
    bounds, curves = measured(pool, tmp_path, events)
    assert [task.recipe.optimizer.name for task in pool.tasks] == ["sgd"] * 8 + ["adam"] * 8
    assert len({task.key for task in pool.tasks}) == 16
    assert len({task.seed for task in pool.tasks}) == 16
    progress = [(e.done, e.total) for e in events if isinstance(e, SweepsProgress)]
    assert progress == [(done, 16) for done in range(17)]
    sgd, adam = bounds
    assert (sgd.optimizer, adam.optimizer) == ("sgd", "adam")
    assert sgd.low == 0.001  # widened: base has it
    assert sgd.high == pytest.approx(0.3, rel=0.2)
    assert adam.low == pytest.approx(0.001, rel=0.2)
    assert adam.high == pytest.approx(0.03, rel=0.2)
    assert sgd.suggested == pytest.approx(0.1 / 3, rel=0.2)
    text = json.dumps({"bounds": [one.plain() for one in bounds], **curves}, allow_nan=False)
    stored = json.loads(text)
    assert stored["pictures"] == 16_000
    assert [corner["parameter"] for corner in stored["corners"]] == ["sgd_lr"] * 4 + ["adam_lr"] * 4
    assert stored["corners"][0]["values"]["optimizer"] == "sgd"
    for key in ("lr", "loss", "smoothed"):
        assert len(stored["corners"][0][key]) == len(LR)


def test_sweeps_that_say_nothing_leave_the_spaces_own_range(tmp_path: Path) -> None:
    bounds, curves = measured(SweepingPool(depth=0.01), tmp_path)
    assert [(one.low, one.high, one.conclusive) for one in bounds] == [
        (0.001, 0.1, False),
        (0.0001, 0.01, False),
    ]
    json.dumps(curves, allow_nan=False)


def test_the_seeds_of_sweeps_follow_from_the_studys(tmp_path: Path) -> None:
    pools = [SweepingPool(), SweepingPool(), SweepingPool()]
    for number, (pool, seed) in enumerate(zip(pools, (0, 0, 1), strict=True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        measured(pool, folder, seed=seed)
    seeds = [[task.seed for task in pool.tasks] for pool in pools]
    assert seeds[0] == seeds[1]
    assert set(seeds[0]).isdisjoint(seeds[2])


def test_finished_sweeps_are_not_run_again(tmp_path: Path) -> None:
    first = measured(SweepingPool(), tmp_path)
    pool, events = SweepingPool(), list[Event]()
    assert measured(pool, tmp_path, events) == first
    assert pool.tasks == []
    assert events == [SweepsProgress(16, 16)]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"lr": 5}', "null"])
def test_a_damaged_sweep_alone_is_run_again(tmp_path: Path, content: str) -> None:
    first = measured(SweepingPool(), tmp_path)
    files = sorted(tmp_path.iterdir())
    files[5].write_text(content)
    pool = SweepingPool()
    assert measured(pool, tmp_path) == first
    assert len(pool.tasks) == 1


def test_sweeps_of_another_search_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    measured(SweepingPool(), tmp_path, seed=0)
    pool = SweepingPool()
    measured(pool, tmp_path, seed=1)
    assert len(pool.tasks) == 16


def test_a_stop_keeps_the_finished_sweeps(tmp_path: Path) -> None:
    pool, asked = SweepingPool(), [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > 3

    with pytest.raises(StopBeforeTrials):
        measured(pool, tmp_path, stop=stop)
    assert len(pool.tasks) == 6
    again = SweepingPool()
    measured(again, tmp_path)
    assert len(again.tasks) == 10
    assert not {task.key for task in pool.tasks} & {task.key for task in again.tasks}


def test_a_sweep_whose_worker_dies_is_tried_three_times(tmp_path: Path) -> None:
    deaths = ["killed by SIGKILL", "killed by SIGKILL"]
    undisturbed = SweepingPool()
    measured(undisturbed, tmp_path)
    unlucky = undisturbed.tasks[7].key
    for file in tmp_path.iterdir():
        file.unlink()

    def twice(task: SweepTask) -> WorkerMessage | None:
        return Died(deaths.pop()) if task.key == unlucky and deaths else None

    pool = SweepingPool(trouble=twice)
    bounds, _ = measured(pool, tmp_path)
    assert all(one.conclusive for one in bounds)
    assert [task.key for task in pool.tasks].count(unlucky) == 3

    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(ServiceError) as caught:
        measured(
            SweepingPool(
                trouble=lambda task: Died("killed by SIGKILL") if task.key == unlucky else None
            ),
            tmp_path,
        )
    assert "The LR-range test cannot be run: killed by SIGKILL." in str(caught.value)
    assert "--lr-bounds off" in str(caught.value)


def test_a_sweep_that_fails_ends_the_test_at_once(tmp_path: Path) -> None:
    pool = SweepingPool(workers=1, trouble=lambda _: Failed("out of memory: 3 GiB"))
    with pytest.raises(ServiceError, match="out of memory: 3 GiB"):
        measured(pool, tmp_path)
    assert len(pool.tasks) == 1

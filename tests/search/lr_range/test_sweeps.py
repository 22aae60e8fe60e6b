"""The LR-range test on workers: what is swept again, what is kept, and when it is given up."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cifar_core.lr_range import Finding, Ramp, Sweep, find_bounds
from cifar_core.recipe import Adam, Net, Recipe, Sgd
from search.errors import ServiceError
from search.events import Event, Notice, SweepCurve, SweepsProgress
from search.lr_range.sweeps import SLOWER, StopBeforeTrials, measure
from search.workers.messages import Died, Failed, SweepDone, SweepTask, WorkerMessage
from tests.search.sweeping import BEST, SweepingPool, answered, curve, flat

NARROW = Net(channels1=2, channels2=2)
SGD = Recipe(network=NARROW, optimizer=Sgd(lr=0.5), batch_size=256)
ADAM = Recipe(network=NARROW, optimizer=Adam(lr=0.5), batch_size=256)
RAMP = Ramp(1e-5, 10.0)
FEW = len(RAMP.rates(256))
"""Steps of a sweep of these recipes that nobody has changed."""
SUBJECTS = [(SGD, RAMP), (ADAM, RAMP)]
KILLED = Died("killed by SIGKILL")


def measured(
    pool: SweepingPool,
    folder: Path,
    subjects: Sequence[tuple[Recipe, Ramp]] = SUBJECTS,
    *,
    seeds: int = 2,
    seed: int = 0,
    events: list[Event] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Finding]:
    told = [] if events is None else events
    return measure(subjects, seeds, pool, seed, folder, told.append, stop)  # type: ignore[arg-type] # it does what a pool does


def steps(pool: SweepingPool) -> list[int]:
    return [len(task.ramp.rates(task.recipe.batch_size)) for task in pool.tasks]


def progress(events: list[Event]) -> list[tuple[int, int]]:
    return [(one.done, one.total) for one in events if isinstance(one, SweepsProgress)]


def notices(events: list[Event]) -> list[str]:
    return [one.text for one in events if isinstance(one, Notice)]


def flat_where(condition: Callable[[SweepTask], bool]) -> Callable[[SweepTask], WorkerMessage]:
    return lambda task: flat(task) if condition(task) else answered(task)


# -------------------------------------------------------------------------------------- findings


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_recipe_is_swept_by_every_seed_and_found_in_order(
    workers: int, tmp_path: Path
) -> None:
    pool, events = SweepingPool(workers), list[Event]()
    findings = measured(pool, tmp_path, seeds=3, events=events)
    assert [task.recipe for task in pool.tasks] == [SGD] * 3 + [ADAM] * 3
    assert len({task.seed for task in pool.tasks}) == 6
    assert {task.ramp for task in pool.tasks} == {RAMP}
    assert progress(events) == [(done, 6) for done in range(7)]
    assert notices(events) == []
    rates = RAMP.rates(256)
    assert findings == [find_bounds([curve(BEST[name], rates)] * 3) for name in ("sgd", "adam")]
    assert all(one.conclusive for one in findings)
    assert [one.epochs for one in findings] == [pytest.approx(1.0)] * 2


def test_a_recipe_is_swept_through_its_own_rates(tmp_path: Path) -> None:
    other = Ramp(1e-4, 1.0, steps=50, linear=True)
    pool = SweepingPool()
    first, second = measured(pool, tmp_path, [(SGD, RAMP), (SGD, other)], seeds=1)
    assert first.lr == RAMP.rates(256)
    assert second.lr == other.rates(256)
    assert len({task.seed for task in pool.tasks}) == 2


def test_the_seeds_of_sweeps_follow_from_the_studys(tmp_path: Path) -> None:
    seeds = []
    for number, seed in enumerate((0, 0, 1)):
        folder, pool = tmp_path / str(number), SweepingPool()
        folder.mkdir()
        measured(pool, folder, seed=seed)
        seeds.append([task.seed for task in pool.tasks])
    assert seeds[0] == seeds[1]
    assert set(seeds[0]).isdisjoint(seeds[2])


# ------------------------------------------------------------------------------------- too flat


def test_a_recipe_whose_loss_hardly_fell_is_swept_again_more_slowly(
    tmp_path: Path,
) -> None:
    assert SLOWER > 1
    pool, events = SweepingPool(answer=flat_where(lambda task: task.ramp == RAMP)), list[Event]()
    findings = measured(pool, tmp_path, events=events)
    assert steps(pool) == [FEW] * 4 + [SLOWER * FEW] * 4
    assert [task.seed for task in pool.tasks[4:]] == [task.seed for task in pool.tasks[:4]]
    ends = {(task.ramp.low, task.ramp.high, task.ramp.linear) for task in pool.tasks}
    assert ends == {(RAMP.low, RAMP.high, RAMP.linear)}
    (notice,) = notices(events)
    assert notice == (
        "The loss hardly fell in the LR-range test at 2 of 2 recipes; they are swept again with "
        f"{SLOWER} times as many steps."
    )
    assert progress(events) == [(done, 4) for done in range(5)] * 2
    # What counts is the second time; what it cost is both.
    for found in findings:
        assert found.conclusive
        assert len(found.lr) == SLOWER * FEW
        assert found.epochs == pytest.approx(4 / 3)


def test_only_the_recipe_whose_loss_hardly_fell_is_swept_again(tmp_path: Path) -> None:
    fast = flat_where(lambda task: task.recipe == ADAM and task.ramp == RAMP)
    pool, events = SweepingPool(answer=fast), list[Event]()
    sgd, adam = measured(pool, tmp_path, events=events)
    assert [task.recipe for task in pool.tasks[4:]] == [ADAM] * 2
    assert "at 1 of 2 recipes" in notices(events)[0]
    assert (len(sgd.lr), len(adam.lr)) == (FEW, SLOWER * FEW)
    assert [sgd.epochs, adam.epochs] == pytest.approx([2 / 3, 4 / 3])
    assert adam.minimum == pytest.approx(BEST["adam"], rel=0.1)


def test_a_loss_that_never_falls_is_inconclusive_after_two_times(tmp_path: Path) -> None:
    pool = SweepingPool(answer=flat)
    findings = measured(pool, tmp_path, seeds=1)
    assert steps(pool) == [FEW] * 2 + [SLOWER * FEW] * 2
    for found in findings:
        assert not found.conclusive
        assert "The loss hardly fell" in (found.reason or "")
        assert found.epochs == pytest.approx(2 / 3)


def test_a_number_of_steps_that_the_user_has_chosen_is_left_alone(tmp_path: Path) -> None:
    pool, events = SweepingPool(answer=flat), list[Event]()
    chosen = Ramp(1e-5, 10.0, steps=80)
    found, _ = measured(pool, tmp_path, [(SGD, chosen), (ADAM, RAMP)], seeds=1, events=events)
    assert steps(pool) == [80, FEW, SLOWER * FEW]
    assert not found.conclusive
    assert "at 1 of 2 recipes" in notices(events)[0]


def still_falling(task: SweepTask) -> WorkerMessage:
    return SweepDone(curve(100.0, task.ramp.rates(task.recipe.batch_size)))


def nothing(task: SweepTask) -> WorkerMessage:
    return SweepDone(Sweep(task.ramp.rates(task.recipe.batch_size), (), 0.1))


@pytest.mark.parametrize("answer", [still_falling, nothing])
def test_what_is_inconclusive_for_another_reason_is_not_swept_again(
    answer: Callable[[SweepTask], WorkerMessage], tmp_path: Path
) -> None:
    pool, events = SweepingPool(answer=answer), list[Event]()
    findings = measured(pool, tmp_path, events=events)
    assert steps(pool) == [FEW] * 4
    assert notices(events) == []
    assert not any(one.conclusive for one in findings)


# ---------------------------------------------------------------------------------------- kept


def test_finished_sweeps_are_not_run_again(tmp_path: Path) -> None:
    first = measured(SweepingPool(), tmp_path)
    pool, events = SweepingPool(), list[Event]()
    assert measured(pool, tmp_path, events=events) == first
    assert pool.tasks == []
    assert events[0] == SweepsProgress(4, 4, share=1.0)
    assert {type(one) for one in events[1:]} == {SweepCurve}


def test_slower_sweeps_that_are_finished_are_not_run_again_either(tmp_path: Path) -> None:
    answer = flat_where(lambda task: task.ramp == RAMP)
    first = measured(SweepingPool(answer=answer), tmp_path)
    pool = SweepingPool(answer=answer)
    assert measured(pool, tmp_path) == first
    assert pool.tasks == []


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"lr": 5}', '{"lr": [1], "loss": [2]}', "null", "\0", "[" * 40],
)
def test_a_damaged_sweep_alone_is_run_again(tmp_path: Path, content: str) -> None:
    first = measured(SweepingPool(), tmp_path)
    sorted(tmp_path.iterdir())[2].write_text(content)
    pool = SweepingPool()
    assert measured(pool, tmp_path) == first
    assert len(pool.tasks) == 1


def test_a_sweep_that_is_not_text_is_run_again(tmp_path: Path) -> None:
    first = measured(SweepingPool(), tmp_path)
    sorted(tmp_path.iterdir())[0].write_bytes(b"\xff\xfe\x80")
    assert measured(SweepingPool(), tmp_path) == first


OTHERS: dict[str, tuple[list[tuple[Recipe, Ramp]], int]] = {
    "seed": (SUBJECTS, 1),
    "recipe": ([(one.model_copy(update={"batch_size": 128}), RAMP) for one, _ in SUBJECTS], 0),
    "network": (
        [(one.model_copy(update={"network": Net(channels1=3)}), RAMP) for one, _ in SUBJECTS],
        0,
    ),
    "first rate": ([(one, Ramp(1e-6, 10.0)) for one, _ in SUBJECTS], 0),
    "last rate": ([(one, Ramp(1e-5, 1.0)) for one, _ in SUBJECTS], 0),
    "steps": ([(one, Ramp(1e-5, 10.0, steps=FEW + 1)) for one, _ in SUBJECTS], 0),
    "equal steps": ([(one, Ramp(1e-5, 10.0, linear=True)) for one, _ in SUBJECTS], 0),
}


@pytest.mark.parametrize("other", OTHERS)
def test_sweeps_of_something_else_are_not_taken_for_these(other: str, tmp_path: Path) -> None:
    subjects, seed = OTHERS[other]
    measured(SweepingPool(), tmp_path)
    pool = SweepingPool()
    measured(pool, tmp_path, subjects, seed=seed)
    assert len(pool.tasks) == 4
    # And they have not taken the place of the first ones.
    again = SweepingPool()
    measured(again, tmp_path)
    assert again.tasks == []


def test_a_kept_sweep_is_what_was_measured(tmp_path: Path) -> None:
    ramp = Ramp(1e-5, 10.0, steps=60)
    swept = Sweep(ramp.rates(256), (0.1, 1 / 3), 2 / 3)
    pool = SweepingPool(answer=lambda _: SweepDone(swept))
    measured(pool, tmp_path, [(SGD, ramp)], seeds=1)
    (file,) = tmp_path.iterdir()
    assert file.name == f"{pool.tasks[0].key}.json"
    stored = json.loads(file.read_text())
    assert stored == {"lr": list(swept.lr), "loss": [0.1, 1 / 3], "epochs": 2 / 3}


# ---------------------------------------------------------------------------------- stopped


def stop_after(polls: int) -> Callable[[], bool]:
    asked = iter(range(1_000))
    return lambda: next(asked) >= polls


def test_a_stop_keeps_the_finished_sweeps(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    undisturbed = measured(SweepingPool(), whole, seeds=4)
    cut = tmp_path / "cut"
    cut.mkdir()
    pool = SweepingPool()
    with pytest.raises(StopBeforeTrials):
        measured(pool, cut, seeds=4, stop=stop_after(4))
    assert len(pool.tasks) == 6
    again, events = SweepingPool(), list[Event]()
    assert measured(again, cut, seeds=4, events=events) == undisturbed
    assert len(again.tasks) == 2
    assert progress(events)[0] == (6, 8)
    assert not {task.key for task in pool.tasks} & {task.key for task in again.tasks}


def test_a_stop_before_the_first_sweep_leaves_nothing(tmp_path: Path) -> None:
    pool = SweepingPool()
    with pytest.raises(StopBeforeTrials):
        measured(pool, tmp_path, stop=lambda: True)
    assert pool.tasks == []
    assert list(tmp_path.iterdir()) == []


def test_a_stop_among_the_slower_sweeps_keeps_the_first_ones_and_those(tmp_path: Path) -> None:
    pool = SweepingPool(answer=flat)
    with pytest.raises(StopBeforeTrials):
        measured(pool, tmp_path, stop=stop_after(4))
    assert steps(pool) == [FEW] * 4 + [SLOWER * FEW] * 2
    again = SweepingPool(answer=flat)
    findings = measured(again, tmp_path)
    assert steps(again) == [SLOWER * FEW] * 2
    assert [one.epochs for one in findings] == [pytest.approx(4 / 3)] * 2


# ------------------------------------------------------------------------------- dead and failed


def dies(times: int) -> Callable[[SweepTask], WorkerMessage]:
    """Workers of which so many die with Adam's first sweep, one after another."""
    left = [KILLED] * times
    unlucky: list[str] = []

    def answer(task: SweepTask) -> WorkerMessage:
        if task.recipe == ADAM and not unlucky:
            unlucky.append(task.key)
        return left.pop() if left and task.key in unlucky else answered(task)

    return answer


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_sweep_whose_worker_is_killed_is_tried_again(deaths: int, tmp_path: Path) -> None:
    whole, unlucky = tmp_path / "whole", tmp_path / "unlucky"
    whole.mkdir()
    unlucky.mkdir()
    pool, events = SweepingPool(answer=dies(deaths)), list[Event]()
    findings = measured(pool, unlucky, events=events)
    assert findings == measured(SweepingPool(), whole)
    assert len(pool.tasks) == 4 + deaths
    # The same sweep of the same seed, at once.
    keys = [task.key for task in pool.tasks]
    assert max(keys.count(key) for key in keys) == 1 + deaths
    assert len({task.key: task.seed for task in pool.tasks}) == 4
    assert progress(events) == [(done, 4) for done in range(5)]


def test_a_sweep_whose_worker_is_killed_three_times_is_given_up_with_the_ways_out(
    tmp_path: Path,
) -> None:
    pool = SweepingPool(answer=dies(3))
    with pytest.raises(ServiceError) as caught:
        measured(pool, tmp_path)
    text = str(caught.value)
    assert text.startswith("The LR-range test cannot be run: killed by SIGKILL.")
    assert "--lr-bounds off" in text
    assert "--lr-bounds LOW:HIGH" in text
    keys = [task.key for task in pool.tasks]
    assert max(keys.count(key) for key in keys) == 3


def test_deaths_of_different_sweeps_are_not_added_up(tmp_path: Path) -> None:
    died: set[str] = set()

    def once(task: SweepTask) -> WorkerMessage:
        if task.key in died:
            return answered(task)
        died.add(task.key)
        return KILLED

    pool = SweepingPool(answer=once)
    assert all(one.conclusive for one in measured(pool, tmp_path))
    assert len(pool.tasks) == 8


def test_a_sweep_that_fails_ends_the_test_at_once(tmp_path: Path) -> None:
    pool = SweepingPool(workers=1, answer=lambda _: Failed("out of memory: 3 GiB"))
    with pytest.raises(ServiceError, match="out of memory: 3 GiB"):
        measured(pool, tmp_path)
    assert len(pool.tasks) == 1


class Unstable(SweepingPool):
    """A worker also dies while it comes up, without a task."""

    def poll(self, seconds: float) -> list[tuple[object, object, WorkerMessage]]:  # type: ignore[override]
        heard = super().poll(seconds)
        return [(self.workers[0], None, KILLED), *heard]


def test_a_worker_that_dies_without_a_task_costs_no_sweep_an_attempt(tmp_path: Path) -> None:
    pool = Unstable()
    assert all(one.conclusive for one in measured(pool, tmp_path))
    assert len(pool.tasks) == 4

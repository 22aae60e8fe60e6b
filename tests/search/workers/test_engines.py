"""Workers do the same wherever they run: on this machine, and on the nodes of a Ray cluster."""

import os
import re
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cifar_core.checkpoint import load_state
from cifar_core.data.resident import Splits
from cifar_core.epoch import Epoch
from cifar_core.lr_range import Ramp, sweep
from cifar_core.recipe import Net
from cifar_core.trainer import Training
from search.study.confirmation import packed
from search.workers.engine import Engine, LocalEngine, RayEngine
from search.workers.messages import (
    Died,
    EpochsDone,
    Failed,
    Finished,
    SweepDone,
    SweepTask,
    TrainTask,
    Unsaved,
)
from search.workers.pool import Pool, Worker
from search.workers.shared_images import store_images
from tests.search.clusters import cluster
from tests.search.pooling import RECIPE, Said, all_ready, end_of, ready_again, task, until
from tests.search.running import needs_proc

CPU = torch.device("cpu")
TWO = RECIPE.model_copy(update={"epochs": 2})
LONG = RECIPE.model_copy(
    update={"network": Net(channels1=128, channels2=256), "batch_size": 2, "epochs": 1}
)
"""An epoch of the images here takes far longer than any test waits."""
HUGE = RECIPE.model_copy(update={"network": Net(channels1=2048, channels2=4096)})
"""Its weights alone take 840 MB."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, small_splits: Splits) -> Path:
    path = tmp_path_factory.mktemp("engines") / "images"
    store_images(small_splits, path)
    return path


@pytest.fixture(scope="module", params=["local", pytest.param("ray", marks=pytest.mark.ray)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "local":
        yield LocalEngine([CPU], 2)
        return
    with cluster() as nodes:
        yield RayEngine(nodes.address, (2, 2))  # a worker on each node


@pytest.fixture(scope="module")
def pool(engine: Engine, images: Path) -> Iterator[Pool]:
    with engine.pool(images, images.parent / "logs") as made:
        all_ready(made)
        yield made


def epochs_in(said: Said) -> list[Epoch]:
    return [epoch for _, what in said if isinstance(what, EpochsDone) for epoch in what.epochs]


def figures(epochs: list[Epoch]) -> list[tuple[float, ...]]:
    """What does not depend on a clock."""
    return [
        (one.number, one.train_loss, one.validation_loss, one.validation_accuracy) for one in epochs
    ]


def undisturbed(splits: Splits, wanted: TrainTask) -> Training:
    training = Training(wanted.recipe, splits, seed=wanted.seed, device=CPU)
    for _ in training.epochs():
        pass
    return training


def first_word(pool: Pool, worker: Worker, kind: type[object]) -> object:
    """What a worker says first of this kind; nothing is answered."""
    deadline = time.monotonic() + 120.0
    while True:
        assert time.monotonic() < deadline
        for who, _, what in pool.poll(0.25):
            assert not isinstance(what, Failed), what
            if who is worker and isinstance(what, kind):
                return what


def test_a_trial_trains_as_in_one_process_and_is_saved_before_it_is_told(
    pool: Pool, small_splits: Splits, tmp_path: Path
) -> None:
    wanted = task(tmp_path / "checkpoints", recipe=TWO, seed=7)
    worker = pool.workers[0]
    pool.assign(worker, wanted)
    told = first_word(pool, worker, EpochsDone)
    assert isinstance(told, EpochsDone)
    assert [one["number"] for one in load_state(wanted.checkpoint)["history"]] == [1]
    assert worker.waits
    pool.answer(worker, True)
    said = until(pool, end_of(worker))
    assert said[-1][1] == Finished()
    assert worker.idle
    alone = undisturbed(small_splits, wanted)
    assert figures([*told.epochs, *epochs_in(said)]) == figures(list(alone.history))
    saved, own = load_state(wanted.checkpoint), alone.state_dict()
    assert all(torch.equal(saved["network"][key], own["network"][key]) for key in own["network"])


def test_a_trial_that_is_stopped_continues_in_another_worker_where_it_was(
    pool: Pool, small_splits: Splits, tmp_path: Path
) -> None:
    wanted = task(tmp_path, 1, seed=3, recipe=TWO)
    first, second = pool.workers
    pool.assign(first, wanted)
    first_word(pool, first, EpochsDone)
    pool.answer(first, False)
    assert until(pool, end_of(first))[-1][1] == Finished()
    pool.assign(second, wanted)
    said = until(pool, end_of(second))
    told = [len(what.epochs) for _, what in said if isinstance(what, EpochsDone)]
    assert told == [1, 1]  # what was saved, then the rest
    assert figures(epochs_in(said)) == figures(list(undisturbed(small_splits, wanted).history))


@needs_proc
def test_a_worker_that_is_killed_is_replaced_and_its_trial_is_named(
    pool: Pool, tmp_path: Path
) -> None:
    worker, wanted = pool.workers[0], task(tmp_path, 2, recipe=LONG)
    pool.assign(worker, wanted)
    before = worker.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    found: list[tuple[object, Died]] = []
    deadline = time.monotonic() + 60.0
    while not found:
        assert time.monotonic() < deadline
        found = [(about, what) for _, about, what in pool.poll(0.25) if isinstance(what, Died)]
    ((about, died),) = found
    assert about == wanted
    assert died.reason.startswith("killed")
    until(pool, ready_again(worker))
    assert worker.pid not in {None, before}
    pool.assign(worker, task(tmp_path, 2))
    assert until(pool, end_of(worker))[-1][1] == Finished()


def test_a_sweep_finds_what_it_finds_in_one_process(pool: Pool, small_splits: Splits) -> None:
    wanted = SweepTask("key", RECIPE, Ramp(1e-3, 1.0, 30), 5)
    worker = pool.workers[1]
    pool.assign(worker, wanted)
    told = first_word(pool, worker, SweepDone)
    alone = Training(RECIPE, small_splits, seed=5, device=CPU)
    assert told == SweepDone(sweep(alone, wanted.ramp))
    assert worker.idle


def test_a_confirming_training_says_which_images_are_right(
    pool: Pool, small_splits: Splits, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "confirmation" / "4-1.pt"
    wanted = TrainTask(0, RECIPE, 11, checkpoint, confirms=True)
    pool.assign(pool.workers[0], wanted)
    told = until(pool, end_of(pool.workers[0]))[-1][1]
    right = undisturbed(small_splits, wanted).answers(small_splits.confirms)
    assert told == Finished(packed(right.numpy()))
    assert checkpoint.exists()


def test_an_epoch_that_cannot_be_saved_waits_for_an_answer(pool: Pool, tmp_path: Path) -> None:
    blocked = tmp_path / "checkpoints"
    blocked.write_text("no folder")
    worker, wanted = pool.workers[0], task(blocked)
    pool.assign(worker, wanted)
    for _ in range(2):
        told = first_word(pool, worker, Unsaved)
        assert isinstance(told, Unsaved)
        assert told.reason.startswith(str(wanted.checkpoint))
        assert worker.waits
        pool.answer(worker, True)
    blocked.unlink()
    said = until(pool, end_of(worker))
    assert [type(what) for _, what in said if not isinstance(what, Unsaved)][-2:] == [
        EpochsDone,
        Finished,
    ]
    assert wanted.checkpoint.exists()
    blocked_again = tmp_path / "more"
    blocked_again.write_text("no folder")
    pool.assign(worker, task(blocked_again))
    first_word(pool, worker, Unsaved)
    pool.answer(worker, False)
    assert [what for _, what in until(pool, end_of(worker))] == [Finished()]


@needs_proc
def test_a_trial_for_which_there_is_no_memory_fails_and_the_worker_goes_on(
    pool: Pool, tmp_path: Path
) -> None:
    worker = pool.workers[0]
    before = worker.pid
    assert before is not None
    now = int(Path(f"/proc/{before}/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.prlimit(before, resource.RLIMIT_AS)
    resource.prlimit(before, resource.RLIMIT_AS, (now + 2**29, most))
    pool.assign(worker, task(tmp_path, 0, recipe=HUGE))
    failed = until(pool, end_of(worker))[-1][1]
    resource.prlimit(before, resource.RLIMIT_AS, (most, most))
    assert isinstance(failed, Failed)
    assert failed.reason.startswith("out of memory: ")
    assert not failed.worker_ends
    pool.assign(worker, task(tmp_path, 1))
    assert until(pool, end_of(worker))[-1][1] == Finished()
    assert worker.pid == before


@needs_proc
@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_and_those_that_work_or_wait_are_not(
    pool: Pool, tmp_path: Path
) -> None:
    first, second = pool.workers
    pids = first.pid, second.pid
    # The first hangs in its trial; the second has finished an epoch and is not answered for long.
    pool.assign(second, task(tmp_path, 1, recipe=TWO))
    first_word(pool, second, EpochsDone)
    wanted = task(tmp_path, 0, recipe=LONG)
    pool.assign(first, wanted)
    pool.poll(0.25)
    assert pids[0] is not None
    pool._hang_after = 4.0
    os.kill(pids[0], signal.SIGSTOP)
    began, ended = time.monotonic(), list[tuple[Worker, object, Died]]()
    while not ended:
        assert time.monotonic() - began < 30.0
        said = pool.poll(0.25)
        ended = [(who, about, what) for who, about, what in said if isinstance(what, Died)]
    pool._hang_after = 300.0  # a new one may take its time to start
    assert 2.5 < time.monotonic() - began < 15.0
    ((who, about, died),) = ended
    assert (who, about) == (first, wanted)
    assert re.fullmatch(r"killed after \d+ s without a step", died.reason)
    until(pool, ready_again(first))
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert second.pid == pids[1]
    pool.answer(second, True)
    pool.assign(first, task(tmp_path, 2))
    until(pool, end_of(first, second))
    assert second.pid == pids[1]


@needs_proc
def test_workers_end_with_their_pool(engine: Engine, pool: Pool) -> None:
    """The last test here: it leaves none."""
    pids = [worker.pid for worker in pool.workers]
    pool.close()
    deadline = time.monotonic() + 20.0
    for pid in pids:
        assert pid is not None
        while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"

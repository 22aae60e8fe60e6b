"""What a worker does when a trial goes wrong: in real processes, and on GPUs that are not there."""

import errno
import sys
import traceback
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from cifar_core import trainer
from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.resident import Splits
from cifar_core.device import release_memory
from cifar_core.errors import CheckpointError
from cifar_core.lr_range import Ramp
from cifar_core.trainer import Training
from search.workers import local_pool as pools
from search.workers import worker as workers
from search.workers.local_pool import LocalPool
from search.workers.messages import (
    Beat,
    Died,
    EpochsDone,
    Failed,
    Finished,
    Ready,
    Remark,
    SweepDone,
    SweepTask,
    TrainTask,
    Unsaved,
    WorkerMessage,
)
from search.workers.shared_images import store_images
from search.workers.slots import Slot
from search.workers.worker import work
from tests.search.pooling import (
    RECIPE,
    all_ready,
    cannot_compile,
    capture_badly,
    end_of,
    ready_again,
    task,
    until,
)

CPU = torch.device("cpu")
NO_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 80 GiB."
ASSERTION = "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later."


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, small_splits: Splits) -> Path:
    path = tmp_path_factory.mktemp("worker") / "images"
    store_images(small_splits, path)
    return path


# In this process


class Talk:
    """The coordinator's end of a connection that says yes to everything, and what it has heard."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def send(self, message: object) -> None:
        self.heard.append(message)

    def recv(self) -> bool:
        return True


def outcome(
    task: TrainTask | SweepTask,
    splits: Splits,
    talk: Talk | None = None,
    compile_networks: bool = False,
) -> WorkerMessage:
    connection: Any = talk or Talk()
    return workers._outcome(task, splits, CPU, connection, compile_networks)


@contextmanager
def failing_in_a_step(error: Exception, kept: list[weakref.ref[object]]) -> Iterator[None]:
    """The third step fails, deep within, where a large tensor is in use."""
    step, steps = trainer.train_step, iter(range(100))

    def deep(network: nn.Module) -> NoReturn:
        large = torch.zeros(1000)
        kept.extend([weakref.ref(large), weakref.ref(network)])
        raise error

    def failing(network: nn.Module, *args: Any) -> tuple[Tensor, Tensor]:
        if next(steps) == 2:
            deep(network)
        return step(network, *args)

    with mock.patch.object(trainer, "train_step", failing):
        yield


class FullDisk:
    """In place of `save_state`: a disk without space for some tries."""

    def __init__(self, tries: int) -> None:
        self.tries = tries

    def __call__(self, state: dict[str, Any], path: Path) -> None:
        self.tries -= 1
        if self.tries >= 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save_state(state, path)


def test_an_epoch_is_told_only_when_its_state_is_saved(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "save_state", FullDisk(2))
    talk, wanted = Talk(), task(tmp_path)
    assert outcome(wanted, small_splits, talk) == Finished()
    unsaved = Unsaved(f"{wanted.checkpoint}: No space left on device")
    heard = [one for one in talk.heard if not isinstance(one, Beat)]
    assert heard[:2] == [unsaved, unsaved]
    assert [type(one) for one in heard[2:]] == [EpochsDone]
    assert len(load_state(wanted.checkpoint)["history"]) == 1


def test_an_epoch_that_is_given_up_is_not_told_and_what_was_saved_stays(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = task(tmp_path, recipe=RECIPE.model_copy(update={"epochs": 2}))

    class GivingUp(Talk):
        def recv(self) -> bool:
            if isinstance(
                self.heard[-1], EpochsDone
            ):  # the first epoch is saved; now the disk is full
                monkeypatch.setattr(workers, "save_state", FullDisk(1))
                return True
            return False

    talk = GivingUp()
    assert outcome(wanted, small_splits, talk) == Finished()
    heard = [type(one) for one in talk.heard if not isinstance(one, Beat)]
    assert heard == [EpochsDone, Unsaved]
    assert len(load_state(wanted.checkpoint)["history"]) == 1


def test_a_folder_of_states_that_somebody_removed_is_made_again(
    small_splits: Splits, tmp_path: Path
) -> None:
    wanted = task(tmp_path / "checkpoints")
    assert outcome(wanted, small_splits) == Finished()
    assert wanted.checkpoint.exists()


@pytest.mark.parametrize("kind", ["trial", "sweep"])
def test_steps_are_told_now_and_then(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    seconds = iter(range(10**6))
    monkeypatch.setattr(workers.time, "monotonic", lambda: 0.5 * next(seconds))
    talk, trial = Talk(), task(tmp_path)
    wanted = trial if kind == "trial" else SweepTask("key", RECIPE, Ramp(1e-4, 1e-3), 0)
    done = outcome(wanted, small_splits, talk)
    beats = sum(isinstance(one, Beat) for one in talk.heard)
    steps = len(small_splits.train) // RECIPE.batch_size
    if isinstance(done, SweepDone):
        steps = len(done.sweep.lr)
    # The clock goes on by half a second with every step, and a beat takes more than one. A sweep also looks
    # at the clock for the losses that it tells.
    assert steps // 3 <= beats <= steps // 3 + (kind == "sweep") > 0


@pytest.mark.parametrize("kind", ["trial", "sweep"])
def test_an_error_keeps_nothing_alive_once_it_is_told(
    small_splits: Splits, tmp_path: Path, kind: str
) -> None:
    """Only then can a GPU's memory be given back: a traceback holds every frame that it went through."""
    kept: list[weakref.ref[object]] = []
    todo = task(tmp_path) if kind == "trial" else SweepTask("key", RECIPE, Ramp(1e-3, 1, 30), 0)
    with failing_in_a_step(torch.OutOfMemoryError(NO_MEMORY), kept):
        told = outcome(todo, small_splits)
    release_memory(CPU)
    assert told == Failed(f"out of memory: {NO_MEMORY}")
    assert [one() for one in kept] == [None, None]


def test_the_reason_is_one_line_with_the_errors_name(small_splits: Splits, tmp_path: Path) -> None:
    with failing_in_a_step(ValueError("first\nsecond"), []):
        assert outcome(task(tmp_path), small_splits) == Failed("ValueError: first")


@pytest.mark.parametrize("still_works", [True, False])
def test_a_worker_whose_device_is_lost_says_that_it_ends(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, still_works: bool
) -> None:
    monkeypatch.setattr(workers, "still_works", lambda _: still_works)
    with failing_in_a_step(RuntimeError(ASSERTION), []):
        told = outcome(task(tmp_path), small_splits)
    reason = "RuntimeError: CUDA error: device-side assert triggered"
    assert told == Failed(reason, worker_ends=not still_works)


def test_a_lack_of_memory_while_a_state_is_loaded_does_not_start_the_trial_again(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    todo = task(tmp_path)
    training = Training(RECIPE, small_splits, seed=0, device=CPU)
    save_state(training.state_dict(), todo.checkpoint)
    begun = []

    def loading(self: Training, _: object) -> NoReturn:
        begun.append(self)
        raise CheckpointError(f"The saved state is incomplete: {NO_MEMORY}")

    monkeypatch.setattr(Training, "load_state_dict", loading)
    told = outcome(todo, small_splits)
    assert isinstance(told, Failed)
    assert told.reason.startswith("out of memory: The saved state")
    assert len(begun) == 1


def test_a_worker_takes_its_share_before_the_images(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []

    class LabelledImages:
        def to(self, device: torch.device) -> None:
            done.append(("images", device))

    def ends(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr(workers, "settle_on", lambda *args: done.append(("settled", *args)))
    monkeypatch.setattr(workers, "map_images", lambda _: LabelledImages())
    monkeypatch.setattr(workers, "_send_output_to", lambda _: None)
    monkeypatch.setattr(workers, "_end", ends)
    ours, theirs = Pipe()
    ours.close()
    with pytest.raises(SystemExit):
        work(theirs, "cuda:1", 1, 0.25, images, tmp_path / "log", False)
    gpu = torch.device("cuda", 1)
    assert done == [("settled", gpu, 0.25), ("images", gpu)]


NOT_COMPILED = Remark(
    "Networks are trained without --compile, which fails here: RuntimeError: no compiler was found"
)


def epochs_told(talk: Talk) -> list[list[int]]:
    """The numbers of the epochs in each message; all others but signs of life must be the remark."""
    others = [each for each in talk.heard if not isinstance(each, EpochsDone | Beat)]
    assert others in ([], [NOT_COMPILED])
    return [[e.number for e in each.epochs] for each in talk.heard if isinstance(each, EpochsDone)]


def test_a_trial_that_cannot_be_compiled_is_remarked_upon_once_and_trained_as_any(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, plain = RECIPE.model_copy(update={"epochs": 2}), Talk()
    assert outcome(task(tmp_path, 0, recipe=recipe), small_splits, plain) == Finished()
    monkeypatch.setattr(torch, "compile", cannot_compile)
    for number in (1, 2):
        talk, todo = Talk(), task(tmp_path, number, recipe=recipe)
        assert outcome(todo, small_splits, talk, compile_networks=True) == Finished()
        assert talk.heard[0] == NOT_COMPILED
        assert epochs_told(talk) == epochs_told(plain) == [[1], [2]]
        states = [load_state(tmp_path / f"{each}.pt") for each in (0, number)]
        one, other = (state["network"] for state in states)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("saved", ["an epoch", "nonsense"])
def test_a_trial_that_goes_on_or_begins_again_is_remarked_upon_once(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: str
) -> None:
    monkeypatch.setattr(torch, "compile", cannot_compile)
    todo = task(tmp_path, recipe=RECIPE.model_copy(update={"epochs": 2}))
    if saved == "an epoch":
        training = Training(todo.recipe, small_splits, seed=todo.seed, device=CPU)
        next(training.epochs())
        save_state(training.state_dict(), todo.checkpoint)
    else:
        todo.checkpoint.write_bytes(b"nonsense")
    talk = Talk()
    assert outcome(todo, small_splits, talk, compile_networks=True) == Finished()
    assert talk.heard[0] == NOT_COMPILED
    assert epochs_told(talk) == [[1], [2]]


def test_trials_are_compiled_where_that_is_wanted_and_sweeps_never(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []

    def eager(network: nn.Module, **_: object) -> nn.Module:
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", eager)
    talk, ramp = Talk(), SweepTask("key", RECIPE, Ramp(1e-3, 1e-2, 10), 0)
    assert isinstance(outcome(ramp, small_splits, talk, compile_networks=True), SweepDone)
    assert outcome(task(tmp_path, 0), small_splits, talk) == Finished()
    assert compiled == []
    assert outcome(task(tmp_path, 1), small_splits, talk, compile_networks=True) == Finished()
    assert len(compiled) == 1
    assert epochs_told(talk) == [[1], [1]]
    assert NOT_COMPILED not in talk.heard


NOT_CAPTURED = Remark(
    "Steps are taken without CUDA graphs, which fail here: RuntimeError: no step is captured"
)


def test_a_trial_whose_steps_cannot_be_captured_is_remarked_upon_once_and_trained_as_any(
    small_splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, talk = RECIPE.model_copy(update={"epochs": 3}), Talk()
    capture_badly(monkeypatch)
    assert outcome(task(tmp_path, 0, recipe=recipe), small_splits, talk) == Finished()
    told = [one for one in talk.heard if not isinstance(one, Beat)]
    assert told.pop(0) == NOT_CAPTURED
    assert [type(one) for one in told] == [EpochsDone] * 3


# In real processes: what they are told to do wrong stands in a task's seed


OUT_OF_MEMORY, ASSERTING = 1001, 1002


class Failing(Training):
    """A training that fails as its seed says. After a failed assertion, all of its GPU does."""

    def __init__(self, *args: Any, seed: int, device: torch.device, **options: Any) -> None:
        super().__init__(*args, seed=seed, device=CPU, **options)
        if seed == OUT_OF_MEMORY:
            raise torch.OutOfMemoryError(NO_MEMORY)
        if seed == ASSERTING:
            torch.cuda.synchronize = fails  # type: ignore[assignment]
            raise RuntimeError(ASSERTION)


def fails(*_: object) -> None:
    raise RuntimeError(ASSERTION)


def limited(fraction: float, device: torch.device) -> None:
    sys.stdout.write(f"limit: {fraction} {device}\n")
    sys.stdout.flush()


def work_on_a_gpu_that_is_not_there(connection: Connection, device: str, *args: Any) -> None:
    """A worker's process: images and networks are on the CPU, the rest takes them to be on a GPU."""
    for name in ("set_device", "empty_cache", "synchronize"):
        setattr(torch.cuda, name, lambda *_: None)
    torch.cuda.set_per_process_memory_fraction = limited  # type: ignore[assignment]
    torch.cuda.get_device_properties = lambda _: mock.Mock(total_memory=2**36)  # type: ignore[assignment, misc]
    workers.Training = Failing  # type: ignore[attr-defined]
    Splits.to = lambda self, _: self  # type: ignore[assignment, method-assign]
    try:
        work(connection, device, *args)
    except BaseException:
        traceback.print_exc()
        raise


@pytest.fixture(scope="module")
def pool(images: Path) -> Iterator[LocalPool]:
    """Two workers on one GPU, which all tests share."""
    with (
        mock.patch.object(pools, "work", work_on_a_gpu_that_is_not_there),
        LocalPool([Slot("cuda:0", 1, 0.5)] * 2, images, images.parent / "logs") as made,
    ):
        all_ready(made)
        yield made


def test_each_worker_limits_itself_to_its_slots_share(pool: LocalPool) -> None:
    for worker in pool.workers:
        said = (pool._log / f"worker-{worker.index}.log").read_text()
        assert "limit: 0.484375 cuda:0" in said  # half of 64 GiB, without 1 GiB


def test_a_lack_of_memory_fails_one_trial_and_neither_the_next_nor_the_neighbours(
    pool: LocalPool, tmp_path: Path
) -> None:
    first, neighbour = pool.workers
    pids = [first.pid, neighbour.pid]
    pool.assign(first, task(tmp_path, 0, OUT_OF_MEMORY))
    pool.assign(neighbour, task(tmp_path, 1))
    said = until(pool, end_of(first, neighbour))
    assert (first, Failed(f"out of memory: {NO_MEMORY}")) in said
    assert (neighbour, Finished()) in said
    assert first.idle
    pool.assign(first, task(tmp_path, 2))
    assert until(pool, end_of(first))[-1] == (first, Finished())
    assert [first.pid, neighbour.pid] == pids


@pytest.mark.slow
def test_a_worker_whose_gpu_is_lost_is_replaced_and_no_other_trial_is_blamed(
    pool: LocalPool, tmp_path: Path
) -> None:
    first, neighbour = pool.workers
    pid, other = first.pid, neighbour.pid
    pool.assign(first, task(tmp_path, 0, ASSERTING))
    ((_, failed),) = until(pool, end_of(first))
    assert failed == Failed("RuntimeError: CUDA error: device-side assert triggered", True)
    # From its last word on nothing may be given to it.
    assert not first.idle
    said = until(pool, ready_again(first))
    assert [what for _, what in said] == [Died("ended with exit code 1"), Ready()]
    assert first.pid != pid
    assert neighbour.pid == other
    pool.assign(first, task(tmp_path, 1))
    assert until(pool, end_of(first))[-1] == (first, Finished())

"""Several workers on one GPU: each keeps to its share, and what goes wrong in one stays there."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_core.data.resident import Splits
from cifar_core.device import CONTEXT_BYTES
from cifar_core.recipe import Net, Recipe, ResNet18Cifar
from cifar_core.trainer import Training
from search.workers import local_pool as pools
from search.workers import worker as workers
from search.workers.local_pool import LocalPool
from search.workers.messages import Died, Failed, Finished, Ready
from search.workers.shared_images import store_images
from search.workers.slots import Slot, slots_of
from search.workers.worker import work
from tests.cifar_core.test_trainer_cuda import CUDA, gpu
from tests.search.pooling import all_ready, end_of, ready_again, task, until
from tests.search.running import Database, run, space_file

pytestmark = [*gpu, pytest.mark.slow]

SMALL = Recipe(network=Net(channels1=4, channels2=4), batch_size=50, epochs=2)
LARGE = Recipe(network=ResNet18Cifar(), batch_size=300, epochs=1, precision="float32")
"""All 300 images at once: several gigabytes."""
TIGHT_BYTES = CONTEXT_BYTES
"""A share whose half, 0.5 GiB, is for tensors: plenty for the small network."""
ASSERTING = 1002

Made = Callable[[list[Slot]], AbstractContextManager[LocalPool]]


@pytest.fixture
def pool_of(tmp_path: Path, small_splits: Splits) -> Made:
    @contextmanager
    def made(slots: list[Slot]) -> Iterator[LocalPool]:
        store_images(small_splits, tmp_path / "images")
        with LocalPool(slots, tmp_path / "images", tmp_path / "logs") as pool:
            all_ready(pool)
            yield pool

    return made


def tight() -> float:
    return TIGHT_BYTES / torch.cuda.get_device_properties(CUDA).total_memory


def test_two_workers_train_on_one_gpu_at_the_same_time(pool_of: Made, tmp_path: Path) -> None:
    with pool_of(slots_of([CUDA], 2)) as pool:
        one, two = pool.workers
        pool.assign(one, task(tmp_path, 0, recipe=SMALL))
        pool.assign(two, task(tmp_path, 1, recipe=SMALL))
        said = until(pool, end_of(one, two))
    assert [what for _, what in said if not hasattr(what, "epochs")] == [Finished(), Finished()]


def test_out_of_memory_fails_one_trial_and_neither_the_next_nor_the_neighbours(
    pool_of: Made, tmp_path: Path
) -> None:
    with pool_of([Slot(str(CUDA), 1, tight()), Slot(str(CUDA), 1, 0.5)]) as pool:
        narrow, neighbour = pool.workers
        pid = narrow.pid
        pool.assign(narrow, task(tmp_path, 0, recipe=LARGE))
        pool.assign(neighbour, task(tmp_path, 1, recipe=SMALL))
        said = until(pool, end_of(narrow, neighbour))
        (failed,) = (what for who, what in said if isinstance(what, Failed))
        assert failed.reason.startswith("out of memory: ")
        assert not failed.worker_ends
        assert (neighbour, Finished()) in said
        # The same process has its memory back, whatever the failed network had of it.
        for number in (2, 3):
            pool.assign(narrow, task(tmp_path, number, recipe=SMALL))
            assert until(pool, end_of(narrow))[-1] == (narrow, Finished())
        assert narrow.pid == pid


class Asserting(Training):
    """A training in which a kernel's assertion fails, if its seed says so."""

    def __init__(self, *args: Any, seed: int, device: torch.device, **options: Any) -> None:
        super().__init__(*args, seed=seed, device=device, **options)
        if seed == ASSERTING:
            nowhere = torch.full((1,), 99, device=device)
            torch.zeros(4, device=device).index_select(0, nowhere).sum().item()


def work_asserting(*arguments: Any) -> None:
    workers.Training = Asserting  # type: ignore[attr-defined]
    work(*arguments)


def test_a_worker_whose_cuda_context_is_lost_is_replaced(
    pool_of: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "work", work_asserting)
    with pool_of(slots_of([CUDA], 2)) as pool:
        lost, neighbour = pool.workers
        pool.assign(lost, task(tmp_path, 0, ASSERTING))
        pool.assign(neighbour, task(tmp_path, 1, recipe=SMALL))
        said = until(pool, lambda said: ready_again(lost)(said) and end_of(neighbour)(said))
        mine = [what for who, what in said if who is lost]
        assert isinstance(mine[0], Failed)
        assert "device-side assert" in mine[0].reason
        assert mine == [Failed(mine[0].reason, True), Died("ended with exit code 1"), Ready()]
        assert (neighbour, Finished()) in said
        pool.assign(lost, task(tmp_path, 2, recipe=SMALL))
        assert until(pool, end_of(lost))[-1] == (lost, Finished())


def test_a_search_runs_with_two_workers_on_one_gpu(plain_images: Path, tmp_path: Path) -> None:
    result = run(
        *("start", "--space", space_file(tmp_path), "--home", tmp_path, "--lr-bounds", "off"),
        *("--train-images", 400, "--trials", 4, "--device", "cuda:0", "--workers", 2),
        folder=tmp_path,
        data=plain_images,
    )
    assert result.code == 0, result
    assert set(Database(tmp_path).finished()) == {0, 1, 2, 3}
    assert "FAIL" not in Database(tmp_path).finished().values()

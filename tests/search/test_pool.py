"""What a pool gives its worker processes: their environment, and whether to compile networks."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from cifar_core.data.resident import Splits
from cifar_core.pages import TUNABLE, VARIABLE
from search import pool as pools
from search.messages import Died, EpochsDone, Finished, Ready, Remark
from search.pictures import store_pictures
from search.pool import Pool, Slot
from tests.search.pooling import (
    all_ready,
    end_of,
    ready_again,
    task,
    until,
    work_without_a_compiler,
)
from tests.search.running import needs_proc


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, small_splits: Splits) -> Path:
    path = tmp_path_factory.mktemp("pool") / "pictures"
    store_pictures(small_splits, path)
    return path


@pytest.fixture(scope="module")
def pool(pictures: Path) -> Iterator[Pool]:
    """A worker that is to compile and cannot, begun in an environment without the variable."""
    without = {name: value for name, value in os.environ.items() if name != VARIABLE}
    with (
        mock.patch.dict(os.environ, without, clear=True),
        mock.patch.object(pools, "work", work_without_a_compiler),
        Pool([Slot("cpu", 1)], pictures, pictures.parent, compile_networks=True) as made,
    ):
        all_ready(made)
        yield made


def environment_of(pid: int | None) -> dict[str, str]:
    """The variables that a process was started with."""
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


@needs_proc
def test_workers_and_those_who_replace_them_use_large_pages_and_the_coordinator_does_not(
    pool: Pool,
) -> None:
    (worker,) = pool.workers
    first = worker.pid
    assert environment_of(first)[VARIABLE] == f"{TUNABLE}=1" == "glibc.malloc.hugetlb=1"
    assert VARIABLE not in os.environ
    assert first is not None
    os.kill(first, signal.SIGKILL)
    said = until(pool, ready_again(worker))
    assert [what for _, what in said] == [Died("killed by SIGKILL"), Ready()]
    assert worker.pid != first
    assert environment_of(worker.pid)[VARIABLE] == f"{TUNABLE}=1"
    assert VARIABLE not in os.environ


def test_a_worker_that_cannot_compile_says_so_once_a_trial_and_trains(
    pool: Pool, tmp_path: Path
) -> None:
    (worker,) = pool.workers
    for number in range(2):
        pool.assign(worker, task(tmp_path, number))
        remark, epochs, end = [what for _, what in until(pool, end_of(worker))]
        assert remark == Remark(
            "Networks are trained without --compile, which fails here: "
            "RuntimeError: no compiler was found"
        )
        assert isinstance(epochs, EpochsDone)
        assert [epoch.number for epoch in epochs.epochs] == [1]
        assert end == Finished()
        assert worker.idle

"""What a pool gives its worker processes: their environment, and whether to compile networks."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from cifar_core.data.resident import Splits
from cifar_core.pages import TUNABLE, VARIABLE
from search.workers import local_pool as pools
from search.workers.local_pool import LocalPool
from search.workers.messages import Died, EpochsDone, Finished, Ready, Remark
from search.workers.shared_images import store_images
from search.workers.slots import Slot
from tests.search.pooling import (
    all_ready,
    end_of,
    ready_again,
    task,
    until,
    work_without_a_compiler,
)
from tests.search.running import needs_proc
from tests.search.script import HandClock


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, small_splits: Splits) -> Path:
    path = tmp_path_factory.mktemp("pool") / "images"
    store_images(small_splits, path)
    return path


@pytest.fixture(scope="module")
def pool(images: Path) -> Iterator[LocalPool]:
    """A worker that is to compile and cannot, begun in an environment without the variable."""
    without = {name: value for name, value in os.environ.items() if name != VARIABLE}
    with (
        mock.patch.dict(os.environ, without, clear=True),
        mock.patch.object(pools, "work", work_without_a_compiler),
        LocalPool([Slot("cpu", 1)], images, images.parent, compile_networks=True) as made,
    ):
        all_ready(made)
        yield made


def environment_of(pid: int | None) -> dict[str, str]:
    """The variables that a process was started with."""
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


@needs_proc
@pytest.mark.slow
def test_workers_and_those_who_replace_them_use_large_pages_and_the_coordinator_does_not(
    pool: LocalPool,
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
    pool: LocalPool, tmp_path: Path
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


def test_while_the_coordinator_was_stopped_nobody_was_silent(images: Path) -> None:
    """Ctrl-Z and fg after an hour, or a machine that slept."""
    clock = HandClock()
    pool = LocalPool([Slot("cpu", 1)], images, images.parent, hang_after=60.0, clock=clock)
    (worker,) = pool.workers
    clock.now += 3600.0
    assert pool._hanging([]) == []
    assert worker.silent == 5.0
    for _ in range(55):
        clock.now += 1.0
        assert pool._hanging([]) == []
    clock.now += 1.0
    assert pool._hanging([]) == [worker]
    assert pool._hanging([worker.index]) == []
    assert worker.silent == 0.0


@needs_proc
@pytest.mark.slow
def test_a_worker_that_has_not_come_up_yet_ends_with_its_coordinator(
    images: Path, tmp_path: Path
) -> None:
    """It is still importing PyTorch, which takes seconds, when there is nobody left to work for."""
    script = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from search.workers.local_pool import LocalPool, Slot\n"
        "if __name__ == '__main__':\n"
        "    pool = LocalPool([Slot('cpu', 1)], Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "    with pool:\n"
        "        print(pool.workers[0].pid, flush=True)\n"
        "        time.sleep(float(sys.argv[3]))\n"
        "        os._exit(0)\n"
    )
    program = tmp_path / "coordinator.py"
    program.write_text(script)
    command = [sys.executable, program, images, tmp_path, "0.3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path.cwd())
    pid, deadline = int(done.stdout), time.monotonic() + 5.0
    while Path(f"/proc/{pid}/stat").exists():
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            break
        assert time.monotonic() < deadline, "an orphan was left"
        time.sleep(0.02)
    # It ended before it could have come up by itself, so this was not the end of its connection.
    assert not list(tmp_path.glob("*.log"))


def test_a_worker_that_cannot_be_started_is_the_systems_error(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with few open files (`ulimit -n`): the cause is told, and the pool ends in order."""

    def refuse(_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(pools.SpawnProcess, "start", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        LocalPool([Slot("cpu", 1)], images, images.parent).__enter__()

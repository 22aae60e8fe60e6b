"""Which engine options ask for, and what goes into a Ray worker's mailbox; no cluster is started."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cifar_core.data.resident import Splits
from cifar_core.epoch import Epoch
from search.errors import UsageError
from search.workers import engine
from search.workers.engine import LocalEngine, RayEngine, engine_of
from search.workers.engine_options import EngineOptions
from search.workers.messages import Beat, EpochsDone, Ready
from search.workers.ray_actor import Letter, Mailbox, remove_leftovers
from search.workers.ray_cluster import connect
from search.workers.shared_images import map_images, splits_in, store_images
from search.workers.slots import Slot
from tests.search.pooling import task

EPOCH = EpochsDone((Epoch(1, 2.0, 0.1, 2.1, 0.1, 0.01, 1.5, 1000.0),))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the cluster has that engines find."""
    resources: dict[str, float] = {}

    def connected(_address: str) -> Mapping[str, float]:
        return resources

    monkeypatch.setattr(engine, "connect", connected)
    return resources


def slots_in(made: RayEngine, most: int | None = None) -> list[Slot]:
    return made._slots[:most]


# ------------------------------------------------------------------------------------ which engine


def test_by_default_workers_are_processes_of_this_machine() -> None:
    made = engine_of(EngineOptions(workers=2), "cpu")
    assert isinstance(made, LocalEngine)
    assert made.described().startswith("2 workers on cpu, ")


@pytest.mark.parametrize(
    ("options", "device", "words"),
    [
        (EngineOptions(ray_address="auto"), "cpu", "--ray-address is for --engine ray"),
        (EngineOptions(cpus_per_worker=2.0), "cpu", "--cpus-per-worker is for --engine ray"),
        (EngineOptions(gpus_per_worker=0.0), "cpu", "--gpus-per-worker is for --engine ray"),
        (EngineOptions(workers=(4, 64)), "cpu", "--workers 4..64 is for --engine ray"),
        (EngineOptions("ray"), "cuda:0", "--device cuda:0 names a device of this machine"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: EngineOptions, device: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        engine_of(options, device)


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'cifar-search\[ray\]'"):
        connect("auto")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "127.0.0.1:1",
            "There is no Ray cluster at 127.0.0.1:1 .*Connection refused.*ray start --head",
        ),
        ("nowhere", "--ray-address must be auto or HOST:PORT, but got 'nowhere'"),
    ],
)
def test_an_address_without_a_cluster_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, words: str
) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(UsageError, match=words):
        connect(address)


def test_a_cluster_with_gpus_trains_on_them_as_many_workers_as_there_is_room_for(
    cluster: dict[str, float],
) -> None:
    cluster.update(CPU=16.0, GPU=2.0)
    assert slots_in(RayEngine()) == [Slot("cuda:0", 1, 1.0)] * 2
    shared = RayEngine(gpus=0.25)
    assert slots_in(shared) == [Slot("cuda:0", 1, 0.25)] * 8
    assert shared.described() == "up to 8 workers of a Ray cluster on cuda, 0.25 GPU each"
    # A third of a GPU: three workers have room on each, and the CPUs of the fewest decide.
    assert len(slots_in(RayEngine(gpus=0.3))) == 6
    assert len(slots_in(RayEngine(gpus=0.25, cpus=4.0))) == 4
    assert slots_in(RayEngine(gpus=0.0, cpus=4.0)) == [Slot("cpu", 4)] * 4


def test_what_has_no_room_is_refused_unless_a_number_says_that_nodes_will_come(
    cluster: dict[str, float],
) -> None:
    cluster.update(CPU=4.0)
    with pytest.raises(UsageError, match=r"4 CPUs and 0 GPUs, .* a worker of 1 CPUs and 0.5 GPUs"):
        RayEngine(gpus=0.5)
    made = engine_of(EngineOptions("ray", (4, 64), gpus_per_worker=0.5))
    assert made.described() == "4 to 64 workers of a Ray cluster on cuda, 0.5 GPU each"
    assert made.devices[0].type == "cuda"


# ------------------------------------------------------------------------------------- the mailbox


def test_a_state_is_sent_with_the_epoch_that_it_belongs_to_and_once(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    wanted = task(Path("/coordinators"), 3)
    box.coming.put(Letter(wanted))
    found = box.recv()
    assert found == replace(wanted, checkpoint=found.checkpoint)
    assert found.checkpoint.parent == tmp_path
    assert not found.checkpoint.exists()
    found.checkpoint.write_bytes(b"after epoch 1")
    box.send(EPOCH)
    box.send(EPOCH)
    assert [box.going.get() for _ in range(2)] == [Letter(EPOCH, b"after epoch 1"), Letter(EPOCH)]
    box.coming.put(Letter(True))
    assert box.recv() is True


def test_a_trial_that_continues_has_its_state_and_the_one_before_leaves_none(
    tmp_path: Path,
) -> None:
    box = Mailbox(tmp_path)
    box.coming.put(Letter(task(tmp_path, 0), b"of trial 0"))
    found = box.recv()
    assert found.checkpoint.read_bytes() == b"of trial 0"
    box.send(EPOCH)  # the epochs so far: the coordinator has their state
    assert box.going.get() == Letter(EPOCH)
    box.coming.put(Letter(task(tmp_path, 1)))
    assert not box.recv().checkpoint.exists()


def test_folders_of_workers_that_were_killed_are_removed_and_no_others(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    names = [f"cifar-search-worker-{pid}-x" for pid in (dead.pid, os.getpid())]
    for name in (*names, "cifar-search-worker-notes-x", "another"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.pt").touch()
    remove_leftovers(tmp_path)
    left = {names[1], "cifar-search-worker-notes-x", "another"}
    assert {one.name for one in tmp_path.iterdir()} == left


def test_signs_of_life_are_rare_and_other_words_are_not_held_back(tmp_path: Path) -> None:
    box = Mailbox(tmp_path, seconds_between_beats=60.0)
    for message in (Beat(), Ready(), Beat()):
        box.send(message)
    assert [box.going.get().message for _ in range(box.going.qsize())] == [Ready()]


def test_images_in_memory_that_nobody_may_write_are_those_of_the_file(
    small_splits: Splits, tmp_path: Path
) -> None:
    """As in Ray's object store, which all workers of a node read."""
    store_images(small_splits, tmp_path / "images")
    content = np.fromfile(tmp_path / "images", dtype=np.uint8)
    content.flags.writeable = False
    found, mapped = splits_in(content), map_images(tmp_path / "images")
    assert found.digest == mapped.digest
    assert bool((found.train.images == mapped.train.images).all())
    assert bool((found.validation.labels == mapped.validation.labels).all())

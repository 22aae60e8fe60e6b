"""The default number of workers, and their equal shares of threads and GPU memory."""

import pytest
import torch

from search.workers import slots as slots_module
from search.workers.slots import Slot, slots_of

CPU = [torch.device("cpu")]


@pytest.mark.parametrize(
    ("cores", "workers", "slots"),
    [
        (1, None, [Slot("cpu", 1)]),
        (2, None, [Slot("cpu", 1)] * 2),
        (8, None, [Slot("cpu", 1)] * 8),
        (32, None, [Slot("cpu", 4)] * 8),
        (8, 2, [Slot("cpu", 4)] * 2),
        (2, 5, [Slot("cpu", 1)] * 5),
        (7, 2, [Slot("cpu", 3)] * 2),
    ],
)
def test_cpu_workers_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int | None, slots: list[Slot]
) -> None:
    monkeypatch.setattr(slots_module, "available_cores", lambda: cores)
    assert slots_of(CPU, workers) == slots


@pytest.mark.parametrize(
    ("gpus", "workers", "devices"),
    [
        (1, None, ["cuda:0"]),
        (1, 3, ["cuda:0"] * 3),
        (2, None, ["cuda:0", "cuda:1"]),
        (2, 3, ["cuda:0", "cuda:1", "cuda:0"]),
        (3, 2, ["cuda:0", "cuda:1"]),
    ],
)
def test_gpu_workers_take_turns_on_the_gpus(
    gpus: int, workers: int | None, devices: list[str]
) -> None:
    found = slots_of([torch.device("cuda", index) for index in range(gpus)], workers)
    assert [(slot.device, slot.threads) for slot in found] == [(device, 1) for device in devices]


def test_an_apple_gpu_has_one_worker_unless_more_are_wanted() -> None:
    apple = [torch.device("mps", 0)]
    assert slots_of(apple, None) == [Slot("mps:0", 1)]
    assert slots_of(apple, 2) == [Slot("mps:0", 1)] * 2


@pytest.mark.parametrize(
    ("devices", "workers", "shares"),
    [
        (["cuda:0"], None, [1.0]),
        (["cuda:0"], 4, [0.25] * 4),
        (["cuda:0", "cuda:1"], None, [1.0, 1.0]),
        (["cuda:0", "cuda:1"], 4, [0.5] * 4),
        (["cuda:0", "cuda:1"], 3, [0.5, 1.0, 0.5]),
        (["cuda:0", "cpu"], 3, [0.5, None, 0.5]),
        (["cpu"], 2, [None, None]),
        (["mps:0"], 2, [None, None]),
    ],
)
def test_the_workers_of_a_gpu_share_its_memory_equally(
    devices: list[str], workers: int | None, shares: list[float | None]
) -> None:
    slots = slots_of([torch.device(device) for device in devices], workers)
    assert [slot.memory_share for slot in slots] == shares

"""What processes that share a GPU do about its memory, and about errors that it does not survive."""

import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cifar_core.device import (
    CONTEXT_BYTES,
    ran_out_of_memory,
    release_memory,
    settle_on,
    still_works,
)

CPU = torch.device("cpu")
GPU = torch.device("cuda", 1)
MPS = torch.device("mps", 0)
Calls = list[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def _settings_of_the_process() -> Iterator[None]:
    """Puts back the settings that hold for the whole process."""
    precision, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn
    tf32, benchmark = cudnn.allow_tf32, cudnn.benchmark
    yield
    torch.set_float32_matmul_precision(precision)
    cudnn.allow_tf32, cudnn.benchmark = tf32, benchmark


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What PyTorch is asked to do to a GPU of 80 GiB that is not there."""
    made: Calls = []
    properties = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    for name in ("set_device", "set_per_process_memory_fraction", "empty_cache", "synchronize"):

        def note(*arguments: Any, name: str = name) -> None:
            made.append((name, *arguments))

        monkeypatch.setattr(torch.cuda, name, note)
    return made


@pytest.mark.parametrize(
    ("share", "fraction"),
    [(1.0, 79 / 80), (0.5, 39 / 80), (0.25, 19 / 80), (1 / 60, 1 / 120), (1 / 256, 1 / 512)],
)
def test_a_share_of_a_gpu_is_what_tensors_may_take_and_what_the_context_needs(
    calls: Calls, share: float, fraction: float
) -> None:
    """Of a small share the context takes half at most, so that something can be tried at all."""
    assert CONTEXT_BYTES == 2**30
    settle_on(GPU, share)
    assert calls == [
        ("set_device", GPU),
        ("set_per_process_memory_fraction", pytest.approx(fraction), GPU),
    ]


@pytest.mark.parametrize("workers", [1, 2, 7, 40])
def test_equal_shares_leave_room_for_the_contexts_of_all(calls: Calls, workers: int) -> None:
    settle_on(GPU, 1 / workers)
    tensors = calls[-1][1] * 80 * 2**30
    assert workers * (tensors + CONTEXT_BYTES) == pytest.approx(80 * 2**30)


def test_without_a_share_there_is_no_limit(calls: Calls) -> None:
    settle_on(GPU, None)
    assert calls == [("set_device", GPU)]


def test_a_gpu_gets_tf32_and_cudnns_choice_of_algorithms_and_the_cpu_changes_nothing(
    calls: Calls,
) -> None:
    cudnn = torch.backends.cudnn
    cudnn.benchmark, cudnn.allow_tf32 = False, False
    torch.set_float32_matmul_precision("highest")

    def settings() -> tuple[bool, bool, str]:
        return cudnn.benchmark, cudnn.allow_tf32, torch.get_float32_matmul_precision()

    settle_on(CPU)
    assert settings() == (False, False, "highest")
    settle_on(GPU)
    assert settings() == (True, True, "high")
    assert calls == [("set_device", GPU)]


def test_on_a_cpu_there_is_nothing_to_settle_or_to_release(calls: Calls) -> None:
    settle_on(CPU, None)
    settle_on(CPU, 0.5)
    release_memory(CPU)
    assert still_works(CPU)
    assert calls == []


def test_an_apple_gpu_is_waited_for_and_released_and_nothing_else_is_settled(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("synchronize", "empty_cache"):
        monkeypatch.setattr(torch.mps, name, lambda name=name: calls.append((f"mps.{name}",)))
    precision = torch.get_float32_matmul_precision()
    settle_on(MPS, 0.5)
    assert torch.get_float32_matmul_precision() == precision
    assert calls == []
    assert still_works(MPS)
    release_memory(MPS)
    assert calls == [("mps.synchronize",), ("mps.empty_cache",)]


def test_what_is_released_is_collected_before_the_cache_is_emptied(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cycle:
        pass

    one = Cycle()
    one.itself = one  # type: ignore[attr-defined]
    left = weakref.ref(one)
    seen = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: seen.append(left()))
    gc.disable()
    try:
        del one
        release_memory(GPU)
    finally:
        gc.enable()
    assert seen == [None]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported elsewhere"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("cuDNN error: X\nCUDA ran out of memory outside PyTorch's allocator."),
        RuntimeError("FIND was unable to find an engine to execute this computation"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB, max allowed: 9 GB)."),
    ],
    ids=lambda error: str(error)[:40] or "MemoryError",
)
def test_memory_runs_out_in_many_words(error: Exception) -> None:
    assert ran_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("`epochs` must be at least 1, but got 0."),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
    ids=lambda error: str(error)[:40],
)
def test_other_errors_are_not_taken_for_a_lack_of_memory(error: Exception) -> None:
    assert not ran_out_of_memory(error)


def test_a_real_lack_of_memory_is_known_as_one() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert ran_out_of_memory(caught.value)


def test_a_gpu_that_answers_works(calls: Calls) -> None:
    assert still_works(GPU)
    assert calls == [("synchronize", GPU)]


def test_a_gpu_on_which_every_call_fails_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "synchronize", fails)
    assert not still_works(GPU)

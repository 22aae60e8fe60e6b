"""Devices by name, and what is done differently on a GPU."""

import inspect
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cifar_core import device as devices
from cifar_core.device import (
    Backend,
    available_cores,
    backend_of,
    captures_steps,
    has_memory_shares,
    is_gpu,
    resolve_devices,
    sent,
    visible_gpus,
    with_float64,
)
from cifar_core.errors import DeviceError
from cifar_core.recipe import Recipe

CPU = torch.device("cpu")
MPS = torch.device("mps", 0)
GPUS = [torch.device("cuda", 0), torch.device("cuda", 1)]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    # A driver without a usable GPU can still count some.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def an_apple_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("wanted", "devices"),
    [
        ("auto", GPUS),
        ("cuda", GPUS),
        ("cuda:0", GPUS[:1]),
        ("cuda:1", GPUS[1:]),
        ("cuda:1,cuda:0", GPUS[::-1]),
        (" cuda:0 , cuda:1 ", GPUS),
        ("cpu", [CPU]),
        ("cpu,cuda:1", [CPU, GPUS[1]]),
    ],
)
def test_with_two_gpus_a_word_names(wanted: str, devices: list[torch.device]) -> None:
    assert resolve_devices(wanted) == devices


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("wanted", ["auto", "cpu"])
def test_without_a_gpu_the_cpu_is_taken(wanted: str) -> None:
    assert resolve_devices(wanted) == [CPU]


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "cpu,cuda:0"])
def test_a_gpu_that_is_asked_for_and_not_there_is_an_error_with_the_ways_out(wanted: str) -> None:
    with pytest.raises(DeviceError) as caught:
        resolve_devices(wanted)
    assert str(caught.value) == (
        "The device cuda:0 was asked for, but PyTorch sees no CUDA device here. "
        "Use cpu, or auto to take what there is."
    )


@pytest.mark.usefixtures("no_gpu", "an_apple_gpu")
@pytest.mark.parametrize(
    ("wanted", "devices"),
    [
        ("mps", [MPS]),
        ("mps:0", [MPS]),
        ("cpu,mps", [CPU, MPS]),
        ("auto", [CPU]),  # it has never been tried, so nobody gets it without asking
    ],
)
def test_an_apple_gpu_is_taken_where_it_is_asked_for(
    wanted: str, devices: list[torch.device]
) -> None:
    assert resolve_devices(wanted) == devices
    assert visible_gpus() == [MPS]


@pytest.mark.usefixtures("two_gpus")
def test_an_apple_gpu_that_is_not_there_is_an_error_that_names_no_other_gpu() -> None:
    with pytest.raises(
        DeviceError, match="mps:0 was asked for, but PyTorch sees no Apple GPU here"
    ):
        resolve_devices("mps")


@pytest.mark.usefixtures("two_gpus", "an_apple_gpu")
def test_a_missing_cuda_gpu_is_told_with_the_cuda_gpus_alone() -> None:
    with pytest.raises(DeviceError, match=r"cuda:7 .* sees cuda:0, cuda:1 here"):
        resolve_devices("cuda:7")


def test_an_apple_gpu_is_used_without_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast, shares of its memory, CUDA graphs, pinned memory and float64."""
    monkeypatch.setattr(devices, "CAPTURE_STEPS", True)
    backend = backend_of(Recipe(), MPS)
    assert (backend.autocast, backend.fewer_kernels) == (None, True)
    assert [has_memory_shares(one) for one in (CPU, MPS, GPUS[1])] == [False, False, True]
    assert [captures_steps(one) for one in (CPU, MPS, GPUS[1])] == [False, False, True]
    assert [is_gpu(one) for one in (CPU, MPS, GPUS[1])] == [False, True, True]
    with pytest.raises(DeviceError, match="precision bfloat16 is not available on mps"):
        backend_of(Recipe(precision="bfloat16"), MPS)
    moved = []

    class OnMps:
        device = MPS

        def cpu(self) -> str:
            return "on the CPU"

    monkeypatch.setattr(torch, "from_numpy", lambda _: mock.Mock(to=moved.append))
    sent(np.zeros(1), MPS)
    assert moved == [MPS]  # and nothing was pinned
    images: Any = OnMps()
    assert with_float64(images) == "on the CPU"
    here = torch.zeros(1)
    assert with_float64(here) is here


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_too_many_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(
        DeviceError, match="cuda:2 was asked for, but PyTorch sees cuda:0, cuda:1 here"
    ):
        resolve_devices("cuda:0,cuda:2")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("wanted", ["cuda:256", "cuda:257"])
def test_a_number_that_is_far_too_large_is_not_taken_for_another_gpu(wanted: str) -> None:
    with pytest.raises(DeviceError, match=wanted):
        resolve_devices(wanted)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("wanted", ["cuda:0,cuda:0", "cpu,cpu", "cuda,cuda:0"])
def test_a_device_named_twice_is_an_error(wanted: str) -> None:
    with pytest.raises(DeviceError, match=f"'{wanted}' names a device twice"):
        resolve_devices(wanted)


def test_the_cpu_is_one_device_whatever_its_name() -> None:
    with pytest.raises(DeviceError):
        resolve_devices("cpu,cpu:0")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    "wanted",
    ["", "gpu", "meta", "CPU", "cpu,", "cuda:", "cuda:-1", "cuda:x", "mps:1", "0", "auto,cpu"],
)
def test_what_is_no_device_of_ours_is_an_error_with_the_words_there_are(wanted: str) -> None:
    with pytest.raises(DeviceError) as caught:
        resolve_devices(wanted)
    assert str(caught.value) == (
        "A device must be auto, cpu, cuda, mps, or a list such as cuda:0,cuda:1, "
        f"but got {wanted!r}."
    )


@given(wanted=st.text(max_size=12))
def test_any_text_names_devices_or_is_a_device_error(wanted: str) -> None:
    with suppress(DeviceError):
        assert resolve_devices(wanted)


def test_there_is_at_least_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


@pytest.mark.parametrize(
    ("precision", "device", "autocast"),
    [
        ("auto", "cpu", None),
        ("auto", "cuda", torch.bfloat16),
        ("float32", "cpu", None),
        ("float32", "cuda", None),
        ("bfloat16", "cpu", torch.bfloat16),
        ("bfloat16", "cuda", torch.bfloat16),
        ("auto", "mps", None),
        ("float32", "mps", None),
    ],
)
def test_the_type_that_is_computed_in(
    precision: str, device: str, autocast: torch.dtype | None
) -> None:
    recipe = Recipe.read({"precision": precision})
    assert backend_of(recipe, torch.device(device)).autocast is autocast


def test_a_look_at_a_backend_changes_no_setting_of_the_process() -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32, torch.get_float32_matmul_precision()
    backend_of(Recipe(), torch.device("cuda"))
    assert (cudnn.benchmark, cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before


def test_settings_of_the_process_are_made_where_it_settles_and_nowhere_else() -> None:
    setting = re.compile(
        r"set_float32_matmul_precision\(|backends\.[\w.]+ = |set_per_process_memory_fraction\("
        r"|cuda\.set_device\(|use_deterministic_algorithms\(|set_default_d\w+\("
    )
    root = Path(devices.__file__).parents[1]
    found = {
        path.relative_to(root).as_posix(): len(setting.findall(path.read_text(encoding="utf-8")))
        for package in ("cifar_core", "spaces", "search")
        for path in (root / package).rglob("*.py")
        if path.parent.name != "standalone"  # of programs that are processes of their own
    }
    settled = len(setting.findall(inspect.getsource(devices.settle_on)))
    assert settled == 5
    assert {path: count for path, count in found.items() if count} == {
        "cifar_core/device.py": settled
    }


def test_bfloat16_is_what_convolutions_compute_in_only_within_precision() -> None:
    network, images = nn.Conv2d(3, 4, 5), torch.zeros(1, 3, 32, 32)
    for autocast, expected in ((torch.bfloat16, torch.bfloat16), (None, torch.float32)):
        with Backend(CPU, autocast, 1).precision():
            assert network(images).dtype == expected
    assert network(images).dtype == torch.float32


def test_networks_are_placed_channels_last() -> None:
    network = backend_of(Recipe(), CPU).place(nn.Conv2d(3, 4, 5))
    assert next(network.parameters()).is_contiguous(memory_format=torch.channels_last)

"""What the machine has for a search."""

import json
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from search.doctor import machine
from search.doctor.check import Check
from search.doctor.machine import lacks_for_compiling, machine_checks, scale_check, version_checks
from search.plan import plan_of
from search.request import StartRequest
from search.workers.slots import Slot
from spaces.files import load_space

CPU = [torch.device("cpu")]
SLOTS = [Slot("cpu", 1)]


@pytest.fixture(autouse=True)
def two_idle_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine is like."""
    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.1, 0.1))


def checks(wanted: str = "auto", slots: list[Slot] = SLOTS) -> dict[str, Check]:
    found = machine_checks(wanted, CPU, slots)
    assert len({one.name for one in found}) == len(found)
    json.dumps([one.to_dict() for one in found])
    return {one.name: one for one in found}


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, *gpus: SimpleNamespace) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(gpus))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpus[index])


def test_every_version_that_a_figure_depends_on_is_told() -> None:
    found = {one.name: one for one in version_checks()}
    assert found["python"].facts["version"] == ".".join(map(str, sys.version_info[:3]))
    for name in ("cifar-search", "torch", "torchvision", "optuna", "optuna-dashboard"):
        assert found[name].facts["version"] == version(name)
    assert {one.verdict for one in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("name", "verdict"), [("optuna-dashboard", "warning"), ("torchvision", "failed")]
)
def test_a_package_that_is_not_there_fails_unless_a_search_does_without_it(
    monkeypatch: pytest.MonkeyPatch, name: str, verdict: str
) -> None:
    def lookup(package: str) -> str:
        if package == name:
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(machine, "version", lookup)
    found = {one.name: one for one in version_checks()}
    assert (found[name].verdict, found[name].found) == (verdict, "not installed")
    assert found[name].advice
    assert [one.name for one in found.values() if one.verdict != "ok"] == [name]


def test_cores_are_those_that_the_process_may_use() -> None:
    cpu = checks()["CPU"]
    assert (cpu.verdict, cpu.facts["cores"]) == ("ok", 2)
    assert cpu.found.startswith("2 cores available to this process (")
    assert cpu.facts["model"]


def test_a_busy_machine_is_told_beside_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1.2, 0.0, 0.0))
    cpu = checks()["CPU"]
    assert cpu.verdict == "warning"
    assert "load 1.2" in cpu.found


def test_gpus_are_listed_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    big = SimpleNamespace(name="Big", total_memory=80 * 2**30)
    pretend_gpus(monkeypatch, big, SimpleNamespace(name="Small", total_memory=8 * 2**30))
    gpu = checks()["GPU"]
    assert (gpu.verdict, gpu.found) == ("ok", "cuda:0 Big (80 GiB), cuda:1 Small (8 GiB)")
    assert gpu.facts["gpus"][1] == {"device": "cuda:1", "name": "Small", "memory_bytes": 8 * 2**30}


def test_an_apple_gpu_is_listed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 16 * 2**30)
    assert checks()["GPU"].found == "mps:0 Apple GPU (16 GiB)"


def test_a_machine_without_a_gpu_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    gpu = checks()["GPU"]
    assert (gpu.verdict, gpu.found, gpu.facts["gpus"]) == ("ok", "none", [])


def test_a_gpu_that_pytorch_cannot_see_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert checks()["GPU"].verdict == "warning"


def test_a_driver_that_does_not_work_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> bool:
        raise RuntimeError("CUDA unknown error\nmore of it")

    monkeypatch.setattr(torch.cuda, "is_available", broken)
    gpu = checks()["GPU"]
    assert (gpu.verdict, gpu.found) == ("warning", "CUDA unknown error")


def test_the_device_in_use_is_told_with_what_was_asked_for() -> None:
    assert checks("auto")["device"].found == "cpu"
    asked = checks("cpu")["device"]
    assert asked.found == "cpu, as requested"
    assert asked.facts == {"wanted": "cpu", "used": ["cpu"]}


def test_precision_is_that_of_the_default_recipe_on_the_device() -> None:
    assert checks()["precision"].facts == {"precision": "float32"}
    before = torch.get_float32_matmul_precision()
    try:
        on_gpu = machine_checks("auto", [torch.device("cuda", 0)], [Slot("cuda:0", 1)])
    finally:
        torch.set_float32_matmul_precision(before)
    found = next(one for one in on_gpu if one.name == "precision")
    assert found.found == "bfloat16"


def test_workers_are_told_with_their_threads_and_too_many_are_a_warning() -> None:
    found = checks(slots=[Slot("cpu", 1)] * 2)["workers"]
    assert (found.verdict, found.found) == ("ok", "2 workers with 1 CPU thread each")
    assert found.facts["workers"] == [{"device": "cpu", "threads": 1}] * 2
    assert checks(slots=[Slot("cpu", 2)])["workers"].found == "1 worker with 2 CPU threads each"
    many = checks(slots=[Slot("cpu", 1)] * 3)["workers"]
    assert many.verdict == "warning"
    assert "--workers 2" in str(many.advice)


@pytest.mark.parametrize(
    ("device", "tools", "lacking"),
    [
        ("cpu", {"g++", "clang++"}, []),
        ("cpu", {"gcc"}, ["a C++ compiler"]),
        ("cuda", {"gcc"}, []),
        ("cuda", {"clang"}, []),
        ("cuda", {"g++"}, ["a C compiler"]),
        ("mps", {"g++", "clang++"}, []),
    ],
)
def test_compiling_needs_the_compiler_of_its_device(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    device: str,
    tools: set[str],
    lacking: list[str],
) -> None:
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: name if name in tools else None)
    monkeypatch.setattr(machine, "find_spec", lambda _: object())
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    found = lacks_for_compiling(device)
    assert [one.partition(" (")[0] for one in found] == lacking
    for name in ("CC", "CXX"):
        monkeypatch.setenv(name, "mine")
    assert len(lacks_for_compiling(device)) == 1
    monkeypatch.setattr(shutil, "which", {"mine": "/mine"}.get)
    assert lacks_for_compiling(device) == []


def test_compiling_needs_pythons_headers_and_on_a_gpu_triton(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(machine, "find_spec", lambda _: None)
    headers = "Python's header files (Python.h)"
    assert lacks_for_compiling("cpu") == [headers]
    assert lacks_for_compiling("cuda") == ["the package triton", headers]
    found = checks()["torch.compile"]
    assert (found.verdict, found.facts["lacks"]) == ("warning", [headers])
    assert found.found == f"could not work here without {headers}"
    (tmp_path / "Python.h").touch()
    assert checks()["torch.compile"].verdict == "ok"


@pytest.mark.parametrize(
    ("scale", "words", "facts"),
    [
        ("quick", "6 epochs of 10,000 training images", ("quick", 6, 10_000)),
        ("full", "12 epochs of all training images", ("full", 12, None)),
    ],
)
def test_the_scale_of_a_search_is_told(scale: str, words: str, facts: tuple[object, ...]) -> None:
    request = StartRequest("baseline_constrained", scale=scale)  # type: ignore[arg-type]
    found = scale_check(plan_of(request, load_space("baseline_constrained"), CPU))
    assert words in found.found
    assert tuple(found.facts[key] for key in ("scale", "epochs", "train_images")) == facts

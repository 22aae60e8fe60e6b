"""Checks of the machine: versions, devices, precision, workers, a compiler."""

import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from cifar_core.device import available_cores, backend_of, visible_gpus
from cifar_core.recipe import Recipe
from cifar_core.text_files import first_line
from search.doctor.check import Check, Verdict
from search.plan import Plan
from search.workers.slots import Slot

__all__ = ["cpu_name", "lacks_for_compiling", "machine_checks", "scale_check", "version_checks"]

PACKAGES = ("cifar-search", "torch", "torchvision", "optuna", "optuna-dashboard")
OPTIONAL = {"optuna-dashboard"}
GIBIBYTE = 2**30
BUSY = 0.5
"""Share of cores in use by other programs from which on measured speeds suffer."""


def version_checks() -> list[Check]:
    """Check Python and the packages that a search depends on."""
    python = platform.python_version()
    found = [Check("versions", "python", "ok", python, facts={"version": python})]
    for name in PACKAGES:
        try:
            number = version(name)
        except PackageNotFoundError:
            verdict: Verdict = "warning" if name in OPTIONAL else "failed"
            found.append(
                Check(
                    "versions",
                    name,
                    verdict,
                    "not installed",
                    "Install it into this environment with make start, or with pip install --editable .",
                    {"version": None},
                )
            )
        else:
            found.append(Check("versions", name, "ok", number, facts={"version": number}))
    return found


def machine_checks(
    wanted: str, devices: Sequence[torch.device], slots: Sequence[Slot]
) -> list[Check]:
    """Check devices, precision, workers, and whether torch.compile could work.

    Args:
        wanted: The value of ``--device``.
        devices: The devices that it means here.
        slots: The workers of a search.
    """
    used = [str(device) for device in devices]
    found = ", ".join(used) if wanted == "auto" else f"{', '.join(used)}, as requested"
    return [
        _cpu(),
        _gpus(),
        Check("machine", "device", "ok", found, facts={"wanted": wanted, "used": used}),
        _precision(devices[0]),
        _workers(slots),
        _compiler(devices[0]),
    ]


def scale_check(plan: Plan) -> Check:
    """Report which version of its space a search takes here."""
    epochs, images = plan.space.epochs, plan.train_images
    size = f"{epochs} epochs of {'all' if images is None else f'{images:,}'} training images"
    if plan.scale == "quick":
        found = f"quick, as no GPU is used: {size}"
        advice = "For the full search, which takes long on a CPU, use --scale full."
    else:
        found, advice = f"full: {size}", None
    facts = {"scale": plan.scale, "epochs": epochs, "train_images": images}
    return Check("machine", "scale", "ok", found, advice, facts)


def lacks_for_compiling(device: str) -> list[str]:
    """Return what torch.compile needs on `device`, ``cpu``, ``cuda`` or ``mps``, and is missing here.

    Nothing is compiled, so that an empty list is a good sign but no proof.
    """
    # PyTorch itself looks for these: torch/_inductor/config.py for C++, and Triton's build for C.
    if device != "cuda":
        name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
        lacking = [] if shutil.which(name) else [f"a C++ compiler ({name})"]
    else:
        own = os.environ.get("CC")
        names = [own] if own else ["gcc", "clang"]
        lacking = [] if any(map(shutil.which, names)) else [f"a C compiler ({' or '.join(names)})"]
        if find_spec("triton") is None:
            lacking.append("the package triton")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        lacking.append("Python's header files (Python.h)")
    return lacking


def _cpu() -> Check:
    cores = available_cores()
    name = cpu_name()
    found = f"{cores} core{'s' if cores > 1 else ''} available to this process ({name})"
    load = os.getloadavg()[0]
    facts = {"cores": cores, "model": name, "load": round(load, 2)}
    if load < BUSY * cores:
        return Check("machine", "CPU", "ok", found, facts=facts)
    return Check(
        "machine",
        "CPU",
        "warning",
        f"{found}; other programs use it (load {load:.1f} in the last minute)",
        "The speeds below would be higher without them.",
        facts,
    )


def cpu_name() -> str:
    """Return the name of the processor, as far as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _gpus() -> Check:
    try:
        gpus = _visible_gpus()
    except RuntimeError as error:  # a driver that does not work
        advice = "Does nvidia-smi work? Without it: --device cpu"
        return Check("machine", "GPU", "warning", first_line(error), advice, {"gpus": []})
    if gpus:
        found = ", ".join(
            f"{one['device']} {one['name']} ({one['memory_bytes'] / GIBIBYTE:.0f} GiB)"
            for one in gpus
        )
        return Check("machine", "GPU", "ok", found, facts={"gpus": gpus})
    if shutil.which("nvidia-smi"):
        built = "is built without CUDA" if torch.version.cuda is None else "does not see it"
        return Check(
            "machine",
            "GPU",
            "warning",
            f"there is an NVIDIA driver, but this PyTorch {built}",
            "See https://pytorch.org/get-started/locally, and check CUDA_VISIBLE_DEVICES.",
            {"gpus": []},
        )
    return Check("machine", "GPU", "ok", "none", facts={"gpus": []})


def _visible_gpus() -> list[dict[str, Any]]:
    return [_described(gpu) for gpu in visible_gpus()]


def _described(gpu: torch.device) -> dict[str, Any]:
    if gpu.type == "mps":
        memory = torch.mps.recommended_max_memory()
        return {"device": str(gpu), "name": "Apple GPU", "memory_bytes": memory}
    properties = torch.cuda.get_device_properties(gpu.index)
    return {
        "device": str(gpu),
        "name": properties.name,
        "memory_bytes": properties.total_memory,
    }


def _precision(device: torch.device) -> Check:
    autocast = backend_of(Recipe(), device).autocast
    name = "float32" if autocast is None else str(autocast).removeprefix("torch.")
    return Check("machine", "precision", "ok", name, facts={"precision": name})


def _workers(slots: Sequence[Slot]) -> Check:
    count, threads = len(slots), slots[0].threads
    found = (
        f"{count} worker{'s' if count > 1 else ''} with "
        f"{threads} CPU thread{'s' if threads > 1 else ''} each"
    )
    facts = {"workers": [{"device": one.device, "threads": one.threads} for one in slots]}
    cores = available_cores()
    if count > cores:
        advice = f"They have to take turns; --workers {cores} starts one per core."
        return Check("machine", "workers", "warning", f"{found} on {cores} cores", advice, facts)
    return Check("machine", "workers", "ok", found, facts=facts)


def _compiler(device: torch.device) -> Check:
    lacking = lacks_for_compiling(device.type)
    if not lacking:
        return Check("machine", "torch.compile", "ok", "could work here", facts={"lacks": []})
    found = f"could not work here without {', '.join(lacking)}"
    advice = "A search does not need it."
    return Check("machine", "torch.compile", "warning", found, advice, {"lacks": lacking})

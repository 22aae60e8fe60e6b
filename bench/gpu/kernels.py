"""Activity of a GPU during our training's steps: kernels, their time, and the time between them."""

from itertools import pairwise
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from cifar_core.device import wait_for
from cifar_core.trainer import Training

__all__ = ["kernels_of", "summary_of"]

STEPS = 30


def kernels_of(training: Training, device: torch.device) -> dict[str, Any]:
    """Profile some steps of a training that has been trained before.

    Returns:
        As `summary_of`.
    """
    steps = training.steps([1e-5] * (2 * STEPS))
    for _ in range(STEPS):
        next(steps)  # what is made once is made
    wait_for(device)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        for _ in range(STEPS):
            next(steps)
        wait_for(device)
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in profiled.events()
        if event.device_type.name == "CUDA"
    ]
    return summary_of(spans, STEPS)


def summary_of(spans: list[tuple[float, float]], steps: int) -> dict[str, Any]:
    """Summarize when kernels ran.

    Args:
        spans: Start and end of each kernel and copy, in microseconds, in any order.
        steps: Optimizer steps in which they ran.

    Returns:
        ``per_step`` kernels, ``busy`` share of the time from the first to the last in [0, 1],
        ``microseconds`` of a kernel and ``gap`` between two, both means.

    >>> summary_of([(0, 4), (6, 8), (3, 5)], steps=1)
    {'per_step': 3.0, 'busy': 0.875, 'microseconds': 2.67, 'gap': 0.5}
    """
    if len(spans) < 2:
        return {"per_step": len(spans) / steps}
    spans = sorted(spans)
    whole = max(end for _, end in spans) - spans[0][0]
    latest, idle = spans[0][1], 0.0
    for _, (start, end) in pairwise(spans):
        idle += max(0.0, start - latest)
        latest = max(latest, end)
    return {
        "per_step": round(len(spans) / steps, 1),
        "busy": round(1 - idle / whole, 3),
        "microseconds": round(sum(end - start for start, end in spans) / len(spans), 2),
        "gap": round(idle / (len(spans) - 1), 2),
    }

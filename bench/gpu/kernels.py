"""Activity of a GPU during our training's steps: kernels, their time, and the time between them."""

from itertools import pairwise
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from bench.contenders import Ours
from cifar_core.device import wait_for

__all__ = ["kernels_of", "summary_of"]


def kernels_of(training: Ours, steps: int, device: torch.device) -> dict[str, Any]:
    """Profile one epoch of a training.

    Args:
        training: A contender.
        steps: The steps of its epoch, some dozens.
        device: A CUDA GPU.

    Returns:
        As `summary_of`.
    """
    training.turn()  # what is made once is made
    wait_for(device)
    # Of the host nothing is recorded, which would slow it down.
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        training.turn()
        wait_for(device)
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in profiled.events()
        # Marks of PyTorch's own, such as around an optimizer's step, span the gaps between kernels.
        if event.device_type.name == "CUDA" and not event.is_user_annotation
    ]
    return summary_of(spans, steps)


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

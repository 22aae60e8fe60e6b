"""Reasons for which a process has died, as far as the system tells them."""

import re
import signal
from pathlib import Path

__all__ = ["exit_reason", "oom_kills"]

COUNTERS = (
    Path("/proc/vmstat"),
    Path("/sys/fs/cgroup/memory.events"),
    Path("/sys/fs/cgroup/memory/memory.oom_control"),
)
"""Of the machine, and of the container that this process runs in (cgroups 2 and 1)."""


def exit_reason(exit_code: int | None, oom_kills_before: int = 0) -> str:
    """Return the end of a process in words that follow "it was".

    Args:
        exit_code: As `multiprocessing` has it: negative after a signal; None if it does not end.
        oom_kills_before: Result of `oom_kills` when the process started.
    """
    if exit_code is None:
        return "killed, and does not end"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    if exit_code == -signal.SIGKILL and oom_kills() > oom_kills_before:
        return f"killed by {name} when the machine was out of memory"
    return f"killed by {name}"


def oom_kills() -> int:
    """Return how often Linux has killed a process for lack of memory; 0 where it does not count.

    The kernel tells the reason neither to the victim nor to its parent, but it counts.
    """
    found = 0
    for counter in COUNTERS:
        try:
            text = counter.read_text(encoding="ascii")
        except (OSError, ValueError):
            continue
        found += sum(int(number) for number in re.findall(r"^oom_kill (\d+)$", text, re.MULTILINE))
    return found

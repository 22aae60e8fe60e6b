"""The ways in which a search is disturbed, each with how often it is drawn and what must come of it."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal, get_args

import numpy as np

from tests.chaos.moments import Phase
from tests.search.running import Running

__all__ = ["Kind", "draw_kind", "ends", "kills_workers", "strike", "wrong_code"]

Kind = Literal[
    "SIGKILL to the coordinator",
    "SIGKILL to the group",
    "SIGKILL to a worker",
    "SIGKILL to all workers",
    "SIGTERM",
    "SIGTERM to the group",
    "SIGINT",
    "SIGINT twice",
    "SIGHUP",
    "SIGSTOP for a second",
]
KINDS: Mapping[Kind, float] = {
    "SIGKILL to the coordinator": 5,
    "SIGKILL to the group": 4,
    "SIGKILL to a worker": 4,
    "SIGKILL to all workers": 2,
    "SIGTERM": 1.5,
    "SIGTERM to the group": 1.5,
    "SIGINT": 1.5,
    "SIGINT twice": 1.5,
    "SIGHUP": 1,
    "SIGSTOP for a second": 1,
}
"""How often each is drawn."""
assert KINDS.keys() == set(get_args(Kind))

INTERRUPTED = 130
NOBODY_LISTENS: set[Phase] = {"before the study", "start", "end"}
"""While a command starts, and when its trials are over, a signal ends it without a word: all is saved."""


def draw_kind(random: np.random.Generator, *, only_kills: bool, fails: bool) -> Kind:
    """What to do next.

    Args:
        random: Where the draw comes from.
        only_kills: Nothing that the processes could hear of.
        fails: Trials shall fail: single workers are killed five times as often.
    """
    kinds = [kind for kind in KINDS if "SIGKILL" in kind or not only_kills]
    weights = np.array([KINDS[kind] for kind in kinds])
    weights[kinds.index("SIGKILL to a worker")] *= 5 if fails else 1
    return kinds[int(random.choice(len(kinds), p=weights / weights.sum()))]


def kills_workers(kind: Kind) -> bool:
    """Only workers are killed; the coordinator goes on with others."""
    return kind in {"SIGKILL to a worker", "SIGKILL to all workers"}


def ends(kind: Kind) -> bool:
    """The command ends."""
    return not kills_workers(kind) and kind != "SIGSTOP for a second"


def strike(
    kind: Kind, running: Running, workers: Sequence[int], random: np.random.Generator
) -> None:
    """Do it.

    Args:
        kind: What.
        running: The command.
        workers: Its workers that may be killed.
        random: Decides between workers, and how long it takes to press Ctrl-C again.
    """
    match kind:
        case "SIGKILL to the coordinator":
            running.signal(signal.SIGKILL)
        case "SIGKILL to the group":
            _tell(running, signal.SIGKILL)
        case "SIGKILL to a worker":
            _kill(workers[int(random.integers(len(workers)))])
        case "SIGKILL to all workers":
            for worker in workers:
                _kill(worker)
        case "SIGTERM" | "SIGINT" | "SIGHUP":
            running.signal(signal.Signals[kind])
        case "SIGTERM to the group":
            _tell(running, signal.SIGTERM)
        case "SIGINT twice":
            running.signal(signal.SIGINT)
            time.sleep(float(random.uniform(0.0, 0.4)))
            running.signal(signal.SIGINT)
        case "SIGSTOP for a second":
            running.signal(signal.SIGSTOP)
            time.sleep(1.0)
            running.signal(signal.SIGCONT)


def wrong_code(kind: Kind | None, phase: Phase, code: int) -> str | None:
    """What is wrong with a command's exit code.

    Args:
        kind: What was done to it; None if it was left to end by itself.
        phase: How far it was then.
        code: Its exit code; negative if a signal has ended it.
    """
    allowed = {0}  # it may have been done at that moment
    if kind is not None and "SIGKILL" in kind:
        allowed |= {-signal.SIGKILL}
    elif kind is not None:
        allowed |= {INTERRUPTED}
        if phase in NOBODY_LISTENS:
            allowed |= {-signal.Signals[kind.split()[0]]}
    return (
        None if code in allowed else f"The exit code is {code}, and not one of {sorted(allowed)}."
    )


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(process, signal.SIGKILL)


def _tell(running: Running, number: signal.Signals) -> None:
    """Send a signal to every process of the command."""
    if running.alive:
        os.killpg(running.pid, number)

"""The faults that are injected into a search: how often each is drawn, and the exit codes it may cause."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal, get_args

import numpy as np

from tests.chaos.hands import HANDS, Hand, takes_file
from tests.chaos.timing import Phase
from tests.search.running import Running

__all__ = ["FAILED", "Fault", "draw_fault", "ends", "inject", "kills_workers", "wrong_code"]

Signal = Literal[
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
Fault = Signal | Hand
FAULTS: Mapping[Fault, float] = {
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
    "a trial told to fail": 2,
    "a trial told to be complete": 1.5,
    "a trial deleted": 1.5,
    "a value outside enqueued": 1,
    "a misspelled parameter enqueued": 1,
    "a foreign trial added": 1,
    "the database removed": 1,
    "the database replaced": 1,
}
"""The relative frequency of each."""
assert FAULTS.keys() == {*get_args(Signal), *HANDS}

FAILED, INTERRUPTED = 1, 130
NOBODY_LISTENS: set[Phase] = {"before the study", "start", "end"}
"""Phases in which a signal ends a command without a message: everything is saved."""


def draw_fault(random: np.random.Generator, *, only_kills: bool, fails: bool) -> Fault:
    """Return the next fault.

    Args:
        random: The generator to draw from.
        only_kills: Draw only what the processes cannot notice.
        fails: Trials are to fail: single workers are killed five times as often.
    """
    kinds = [kind for kind in FAULTS if "SIGKILL" in kind or not only_kills]
    weights = np.array([FAULTS[kind] for kind in kinds])
    weights[kinds.index("SIGKILL to a worker")] *= 5 if fails else 1
    return kinds[int(random.choice(len(kinds), p=weights / weights.sum()))]


def kills_workers(kind: Fault) -> bool:
    """Return whether only workers are killed, so that the coordinator continues with others."""
    return kind in {"SIGKILL to a worker", "SIGKILL to all workers"}


def ends(kind: Fault) -> bool:
    """Return whether the command ends."""
    goes_on = kills_workers(kind) or kind == "SIGSTOP for a second" or kind in HANDS
    return not goes_on or takes_file(kind)


def inject(
    kind: Fault, running: Running, workers: Sequence[int], random: np.random.Generator
) -> None:
    """Inject a fault that is a signal.

    Args:
        kind: The fault.
        running: The command.
        workers: Its workers that may be killed.
        random: Chooses between workers, and the time until Ctrl-C is pressed again.
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


def wrong_code(kind: Fault | None, phase: Phase, code: int) -> str | None:
    """Return what is wrong with a command's exit code, or None.

    Args:
        kind: The fault; None if the command ended by itself.
        phase: How far the command was then.
        code: The exit code; negative if a signal ended the command.
    """
    allowed = {0}  # it may have been done at that moment
    if kind is not None and "SIGKILL" in kind:
        allowed |= {-signal.SIGKILL}
    elif kind is not None and takes_file(kind):
        allowed |= {FAILED}
    elif kind is not None and kind not in HANDS:
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

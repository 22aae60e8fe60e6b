"""Parts of the GPU benchmark: one process each, with a time limit, its output in a file as it goes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Done", "Part", "run_all"]

GRACE = 5.0
"""Seconds between asking a part to end and killing it."""


@dataclass(frozen=True)
class Part:
    """One process of the benchmark.

    Attributes:
        name: Names its files.
        arguments: What Python runs, such as ``("-m", "pytest", "-m", "gpu")``.
        seconds: Its time limit, above 0.
        told: Whether it is told its limit, as ``--seconds``, to fill it.
    """

    name: str
    arguments: tuple[str, ...]
    seconds: float
    told: bool = True


@dataclass(frozen=True)
class Done:
    """The end of a part.

    Attributes:
        name: The part's.
        code: Its exit code; None if it was ended at its limit.
        seconds: How long it took.
        limit: How long it might have taken.
    """

    name: str
    code: int | None
    seconds: float
    limit: float


def run_all(parts: Sequence[Part], seconds: float, out: Path) -> list[Done]:
    """Run the parts one after another; whatever one does, the next is run.

    The time that is left is shared out in proportion to the parts' own limits, so that one that ends early
    leaves its time to those after it.

    Args:
        parts: In their order.
        seconds: For all of them together.
        out: Folder for ``NAME.log``, and ``parts.json`` with how each ended, which is written anew after
            each part.
    """
    ends, done = time.monotonic() + seconds, list[Done]()
    for index, part in enumerate(parts):
        later = sum(one.seconds for one in parts[index + 1 :])
        left = ends - time.monotonic()
        limit = max(1.0, left * part.seconds / (part.seconds + later))
        print(f"{part.name}: at most {limit:.0f} s", flush=True)
        done.append(_run(part, limit, out / f"{part.name}.log"))
        ended = "ended at its limit" if done[-1].code is None else f"exit code {done[-1].code}"
        print(f"{part.name}: {ended} after {done[-1].seconds:.0f} s", flush=True)
        text = json.dumps([asdict(one) for one in done], indent=2)
        (out / "parts.json").write_text(text + "\n", encoding="utf-8")
    return done


def _run(part: Part, limit: float, log: Path) -> Done:
    began = time.monotonic()
    seconds = ("--seconds", f"{limit:.1f}") if part.told else ()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", *part.arguments, *seconds],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that all of its processes can be ended together
        )
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
    return Done(part.name, code, round(time.monotonic() - began, 1), round(limit, 1))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part and all the processes it has started: politely first, so that they can save."""
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    process.wait()

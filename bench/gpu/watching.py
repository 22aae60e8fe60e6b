"""A GPU's own word on its use, memory and power while something runs, from nvidia-smi."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["gpu_watched"]

PROGRAM = "nvidia-smi"
FIELDS = "timestamp,index,utilization.gpu,utilization.memory,memory.used,power.draw,clocks.sm"
MILLISECONDS = 500


@contextmanager
def gpu_watched(file: Path) -> Iterator[None]:
    """Write a line of figures twice a second while this is open; nothing where there is no nvidia-smi.

    Args:
        file: What to write, as CSV.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        yield
        return
    with file.open("wb") as output:
        words = (f"--query-gpu={FIELDS}", "--format=csv,nounits", f"--loop-ms={MILLISECONDS}")
        process = subprocess.Popen(
            [program, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()

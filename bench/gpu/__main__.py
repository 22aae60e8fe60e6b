"""Test and measure everything that needs a GPU, in one command of at most eight minutes.

    python -m bench.gpu --out DIR [--device cuda:0] [--minutes 7.9] [--data DIR] [--only PART ...]
        [--rehearse]

(a) the tests that need a GPU; (b) the trainer against its limit; (c) workers that share the GPU; (d) the
main search at full scale, and the final training of its winner; (e) the fast network's full run. Each part
has a time limit and writes ``DIR/PART.log``, and what it measured to ``DIR/PART.json``, as it goes. A part
that fails does not stop the next. ``DIR/gpu.csv`` has the GPU's own word on its use, where nvidia-smi is.
With ``--rehearse`` everything is tiny and runs on the CPU. docs/GPU.md has all of it.
"""

import argparse
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from bench.gpu.running import Part, run_all
from bench.gpu.watching import gpu_watched

__all__ = ["parts_of"]

MINUTES = 7.9
"""Of eight: the last part may need some seconds to end."""
PROCESSES = 4
"""Of the tests, where pytest-xdist is: most of their time goes into starting workers."""


def gpu_tests() -> list[str]:
    """Return the test files that name the marker: to collect all of them takes half of the time."""
    files = sorted(Path("tests").rglob("test_*.py"))
    return [str(one) for one in files if re.search(r"\bgpu\b", one.read_text(encoding="utf-8"))]


def parts_of(out: Path, device: str, data: str | None, rehearse: bool) -> list[Part]:
    """Return the parts in their order; their limits come to 474 seconds.

    Args:
        out: Folder for all that is written.
        device: Such as ``cuda:0``.
        data: Folder of the images; None for the one that ``CIFAR_SEARCH_DATA`` names.
        rehearse: Make everything tiny.
    """
    common = ("--device", device, "--data", data or os.environ.get("CIFAR_SEARCH_DATA", "auto"))
    tiny = ("--rehearse",) if rehearse else ()

    def part(name: str, module: str, seconds: float, *more: str) -> Part:
        own = ("--json", str(out / f"{name}.json"), *common, *tiny, *more)
        return Part(name, ("-m", f"bench.gpu.{module}", *own), seconds)

    processes = ("-n", str(2 if rehearse else PROCESSES)) if find_spec("xdist") else ()
    pytest = ("-m", "pytest", "-m", "gpu", "-v", "-p", "no:cacheprovider", "--durations=10")
    junit = f"--junitxml={out / 'tests.xml'}"
    home = ("--home", str(out / "home"))
    return [
        Part("tests", (*pytest, *processes, junit, *gpu_tests()), 60.0, told=False),
        part("trainer", "trainer", 80.0),
        part("workers", "workers", 42.0),
        part("search", "search", 240.0, *home, "--workers-from", str(out / "workers.json")),
        part("final", "final", 30.0, *home, "--folder", str(out / "final")),
        part("speednet", "final", 22.0, "--folder", str(out / "speednet")),
    ]


def main() -> None:
    """Read the command line, run the parts, and say how each ended."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--device", help="such as cuda:0, which is the default")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all parts together")
    parser.add_argument("--data", help="folder of the images")
    parser.add_argument("--only", nargs="+", metavar="PART", help="run these parts alone")
    parser.add_argument("--rehearse", action="store_true", help="tiny, and on the CPU")
    wanted = parser.parse_args()
    if wanted.minutes <= 0:
        parser.error("--minutes must be above 0.")
    wanted.out.mkdir(parents=True, exist_ok=True)
    out = wanted.out.resolve()
    device = wanted.device or ("cpu" if wanted.rehearse else "cuda:0")
    parts = parts_of(out, device, wanted.data, wanted.rehearse)
    names = [one.name for one in parts]
    if unknown := set(wanted.only or ()) - set(names):
        parser.error(f"--only takes {', '.join(names)}, but got {', '.join(sorted(unknown))}.")
    chosen = [one for one in parts if wanted.only is None or one.name in wanted.only]
    with gpu_watched(out / "gpu.csv"):
        done = run_all(chosen, 60 * wanted.minutes, out)
    sys.exit(0 if all(one.code == 0 for one in done) else 1)


if __name__ == "__main__":
    main()

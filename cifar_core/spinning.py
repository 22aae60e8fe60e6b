"""The time that threads wait for each other before they sleep.

The threads of one operation wait for the last of them, and GNU's OpenMP, which PyTorch has on Linux, lets
them spin some 300,000 times meanwhile. On an idle machine that is the quickest; where other programs have
the processor, the one that is waited for does not run, and the others burn what the process gets.
"""

import os

__all__ = ["spin_briefly"]

VARIABLE = "GOMP_SPINCOUNT"
ROUNDS = 10_000
"""As quick as OpenMP's own number where two threads have the processor to themselves, and less than half of
its cost where they share it: docs/PERFORMANCE.md has the figures of `bench.spinning`."""


def spin_briefly() -> None:
    """Shorten the wait of this process's threads, if PyTorch is not loaded yet, and of those it starts.

    A choice that the user has made stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(VARIABLE, str(ROUNDS))

"""Memory in large pages, for processes that train on a CPU.

A layer's activations are some megabytes, and going through them in pages of 4 KB is one miss of the
processor's address cache after another. docs/PERFORMANCE.md has what it costs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["large_pages"]

VARIABLE = "GLIBC_TUNABLES"
TUNABLE = "glibc.malloc.hugetlb"


@contextmanager
def large_pages() -> Iterator[None]:
    """Processes that are started within this context get pages of 2 MB where the system has them.

    The C library reads the variable when a program starts (glibc 2.35 and later; others don't know it), and
    Linux follows it where transparent huge pages are set to ``madvise``. A choice that the user has made
    there stays.
    """
    before = os.environ.get(VARIABLE)
    if before is None or TUNABLE not in before:
        os.environ[VARIABLE] = ":".join(filter(None, [before, f"{TUNABLE}=1"]))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before

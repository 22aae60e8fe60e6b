"""The entry point of a worker's process. It imports nothing slow."""

import os
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any

__all__ = ["work"]


def work(*args: Any) -> None:
    """Run `search.workers.worker.work` for as long as the coordinator lives.

    Importing PyTorch takes seconds, on a busy machine many. A worker whose coordinator dies meanwhile
    must end as well.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from search.workers.worker import work

    work(*args)


def _end_with_parent() -> None:
    """End with the parent: nobody can use what an orphan trains, and checkpoints are always whole."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

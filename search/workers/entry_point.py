"""The first thing that a worker's process does. It imports nothing slow."""

import os
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any

__all__ = ["work"]


def work(*args: Any) -> None:
    """Be a worker, as `search.workers.worker.work` describes it, for as long as the coordinator lives.

    PyTorch takes seconds to be imported, on a busy machine many. A worker whose coordinator dies
    meanwhile must end as well.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from search.workers.worker import work

    work(*args)


def _end_with_parent() -> None:
    """Nobody can use what an orphan trains; checkpoints are whole at every moment."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

"""Trained networks that outlive their trials: those of the best."""

from pathlib import Path

from search.errors import ServiceError
from search.rows import Row, best_rows

__all__ = ["Kept", "export_weights"]


class Kept:
    """Which trials' states are kept when they are complete: those of the best.

    Args:
        rows: The trials so far.
        count: How many are kept.
    """

    def __init__(self, rows: list[Row], count: int) -> None:
        self._count = count
        self._ranks = [
            (-(row.validation_accuracy or 0.0), row.number) for row in best_rows(rows, count)
        ]

    @property
    def numbers(self) -> set[int]:
        """The trials."""
        return {number for _, number in self._ranks}

    def add(self, number: int, accuracy: float) -> None:
        """Another trial is complete; it may take the place of one that was kept until now."""
        self._ranks = sorted([*self._ranks, (-accuracy, number)])[: self._count]


def export_weights(checkpoint: Path, path: Path) -> Path | None:
    """Write the network of a trial as a file of its own, if its state has been kept.

    Args:
        checkpoint: The trial's state.
        path: The file to write: a dictionary of tensors, as `Module.load_state_dict` takes it.

    Returns:
        `path`; None if there is no state. A file that was there for another trial is then removed.

    Raises:
        ServiceError: The file cannot be written, or the state is damaged.
    """
    if not checkpoint.exists():
        path.unlink(missing_ok=True)
        return None
    from cifar_core.checkpoint import load_state, save_state  # which load PyTorch
    from cifar_core.errors import CheckpointError

    try:
        save_state(load_state(checkpoint)["network"], path)
    except (CheckpointError, KeyError) as error:
        raise ServiceError(f"The trained network cannot be exported: {error}") from error
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}.") from error
    return path

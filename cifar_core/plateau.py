"""The plateau schedule: divide the learning rate once validation accuracy has really stopped rising.

This is how a learning rate is lowered by hand: wait some epochs longer than the first stall, then continue
from the best checkpoint so far with a smaller rate, until a smaller rate no longer helps.
"""

import copy
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cifar_core.recipe import Plateau

__all__ = ["PlateauControl", "Verdict"]

Verdict = Literal["best", "wait", "divide", "converged"]


@dataclass
class _Standing:
    """The schedule's position, as plain values.

    Attributes:
        factor: What the learning rate is multiplied by.
        waited: Epochs since the last that was better than all before it.
        risen: Something better has come since the last division.
        epoch: Number of the best epoch so far; 0 before the first.
        loss: Its validation loss.
        accuracy: Its validation accuracy, 0-1.
    """

    factor: float = 1.0
    waited: int = 0
    risen: bool = False
    epoch: int = 0
    loss: float = 0.0
    accuracy: float = -1.0


class PlateauControl:
    """Judges each epoch of a training, and keeps the state of the best one.

    Args:
        record: Patience and divisor.
    """

    def __init__(self, record: Plateau) -> None:
        self._patience = record.patience
        self._divisor = record.divisor
        self._standing = _Standing()
        self._kept: Any = None

    @property
    def factor(self) -> float:
        """The current factor on the recipe's learning rate."""
        return self._standing.factor

    @property
    def best(self) -> tuple[int, float, float]:
        """Number, validation loss and validation accuracy of the best epoch so far."""
        return self._standing.epoch, self._standing.loss, self._standing.accuracy

    def judge(self, number: int, loss: float, accuracy: float) -> Verdict:
        """Take in an epoch, and say what follows from it.

        Args:
            number: Its number, counted from 1.
            loss: Its validation loss.
            accuracy: Its validation accuracy, 0-1.

        Returns:
            ``best`` where the state after this epoch is the one to keep, which an equal one is too: of
            equals the later one counts. ``divide`` and ``converged`` where training goes back to
            the kept state, with a smaller rate or for good.
        """
        standing = self._standing
        rose = accuracy > standing.accuracy
        is_best = accuracy >= standing.accuracy
        if is_best:
            standing.epoch, standing.loss, standing.accuracy = number, loss, accuracy
        if rose:
            standing.waited, standing.risen = 0, True
            return "best"
        standing.waited += 1
        if standing.waited < self._patience:
            return "best" if is_best else "wait"
        if not standing.risen:
            return "converged"
        standing.factor /= self._divisor
        standing.waited, standing.risen = 0, False
        return "divide"

    def keep(self, state: Any) -> None:
        """Keep a copy of the best epoch's state."""
        self._kept = copy.deepcopy(state)

    def kept(self) -> Any:
        """A copy of the best epoch's state."""
        return copy.deepcopy(self._kept)

    def state_dict(self) -> dict[str, Any]:
        """Everything that later verdicts depend on, and the kept state."""
        return {"standing": asdict(self._standing), "kept": self.kept()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._standing = _Standing(**state["standing"])
        self.keep(state["kept"])

"""The record of one epoch of training. No torch is imported here, so that records are read fast."""

import math
from dataclasses import dataclass

__all__ = ["Epoch"]


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch of training.

    Attributes:
        number: Counted from 1.
        train_loss: Mean loss over the epoch's steps, as trained on (with label smoothing).
        train_accuracy: Share of augmented training images classified right during the epoch, 0-1.
        validation_loss: Mean cross-entropy on the validation part, of the network as it stands after the
            epoch.
        validation_accuracy: Share of validation images that this network classifies right, 0-1.
        lr: Learning rate of the epoch's last step.
        seconds: Time of training and validation together.
        images_per_second: Training images per second of training time.
        back_to: The epoch whose network a plateau schedule went back to after this one; None if it did
            not. The validation figures are then that network's.
        converged: The plateau schedule has ended the training; no epoch follows.
    """

    number: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    lr: float
    seconds: float
    images_per_second: float
    back_to: int | None = None
    converged: bool = False

    @property
    def is_last(self) -> bool:
        """No epoch follows, whatever the recipe's number of epochs."""
        return self.converged or self.diverged

    @property
    def diverged(self) -> bool:
        """The loss became non-finite, which no later epoch can repair."""
        return not (math.isfinite(self.train_loss) and math.isfinite(self.validation_loss))

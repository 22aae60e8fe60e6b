"""The record of a learning-rate range: measured, given, or the space's own."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Bounds"]


@dataclass(frozen=True)
class Bounds:
    """The range in which one learning rate is searched.

    Attributes:
        parameter: The space's parameter, such as ``sgd_lr``.
        optimizer: The optimizer it belongs to.
        low: Lower end, in real units.
        high: Upper end.
        suggested: A rate to start with; None unless measured.
        conclusive: Measured by the LR-range test.
        how: Origin of the range, in words.
        spread: Factor by which the best rate is likely to be off the suggested one, either way; None where
            nothing is suggested, and in studies from before it was noted.
    """

    parameter: str
    optimizer: str
    low: float
    high: float
    suggested: float | None
    conclusive: bool
    how: str
    spread: float | None = None

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Bounds":
        """Read what `to_dict` wrote."""
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Return the range as plain values."""
        return asdict(self)

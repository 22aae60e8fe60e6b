"""The interface of trackers: runs with parameters, figures by step, and an end."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from spaces.space import Values

__all__ = ["End", "Run", "State", "Subject", "Tracker"]

State = Literal["complete", "pruned", "failed", "paused", "stopped", "winner", "tied", "behind"]
"""The end of a run: of a trial, `paused` or `stopped` while it can continue; of a confirmation, by rank."""


@dataclass(frozen=True)
class Subject:
    """The study that is followed.

    Attributes:
        study: Its name.
        identity: Its identity, which tells it from an earlier study of the same name.
        home: The home's folder, in which trackers keep their files unless they are told another place.
    """

    study: str
    identity: str
    home: Path


@dataclass(frozen=True)
class Run:
    """A trial, or the confirming trainings of one configuration.

    Attributes:
        kind: Which of the two.
        trial: The trial, or the one that the configuration comes from.
        label: Name of a known configuration, or of what suggested it; None if the sampler chose it.
        parameters: The searched parameters.
    """

    kind: Literal["trial", "confirmation"]
    trial: int
    label: str | None
    parameters: Values

    @property
    def name(self) -> str:
        """Its name, unique in its study: ``trial-7`` or ``confirmation-7``."""
        return f"{self.kind}-{self.trial}"


@dataclass(frozen=True)
class End:
    """The end of a run, for good or until a search continues it.

    Attributes:
        state: How it stands.
        reason: The reason in words; None for the usual end.
    """

    state: State
    reason: str | None = None

    @property
    def continues(self) -> bool:
        """The run may be begun again."""
        return self.state in {"paused", "stopped"}


class Tracker(Protocol):
    """Keeps the runs of one study. Every method may fail with any error, which ends the tracking."""

    def begin(self, run: Run) -> None:
        """Begin a run, or continue the one that this study has under its name already."""

    def log(self, run: Run, step: int, figures: Mapping[str, float]) -> None:
        """Keep figures of a run that has begun.

        Args:
            run: The run.
            step: The epoch, or which of the confirming trainings it is, from 1 on.
            figures: Values by name, which may be infinite or NaN.
        """

    def end(self, run: Run, end: End) -> None:
        """End a run that has begun."""

    def close(self) -> None:
        """Write what is not written yet; all runs have ended."""

"""A check: one thing that was looked at, what was found, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Check", "Section", "Verdict"]

Verdict = Literal["ok", "warning", "failed"]
Section = Literal["versions", "machine", "images", "places", "speed"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        section: What it is shown with.
        name: What was looked at; no two checks have the same.
        verdict: ``failed`` if a search cannot run because of it; ``warning`` if it can, but somebody
            should know.
        found: What was found, in a sentence or less.
        advice: What to do about it; None where there is nothing to do.
        facts: What was found, as plain JSON.
    """

    section: Section
    name: str
    verdict: Verdict
    found: str
    advice: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The check as plain JSON, without its name."""
        return {
            "section": self.section,
            "verdict": self.verdict,
            "found": self.found,
            "advice": self.advice,
            **self.facts,
        }

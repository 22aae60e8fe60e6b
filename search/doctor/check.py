"""A check: one result of an examination, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Check", "Section", "Verdict"]

Verdict = Literal["ok", "warning", "failed"]
Section = Literal["versions", "machine", "images", "places", "speed"]


@dataclass(frozen=True)
class Check:
    """One result of an examination.

    Attributes:
        section: The section in which it is shown.
        name: Its unique name.
        verdict: ``failed`` if a search cannot run because of it; ``warning`` if it can, with a
            disadvantage.
        found: The result in a sentence or less.
        advice: What to do about it, or None.
        facts: The result as plain JSON.
    """

    section: Section
    name: str
    verdict: Verdict
    found: str
    advice: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain JSON, without its name."""
        return {
            "section": self.section,
            "verdict": self.verdict,
            "found": self.found,
            "advice": self.advice,
            **self.facts,
        }

"""The process that runs a study, as it is noted in the study's folder and in its storage."""

import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from search.home import Home

__all__ = ["Owner"]


@dataclass(frozen=True)
class Owner:
    """The process that runs a study; a field is None if it is unknown.

    Attributes:
        pid: Its process id.
        host: The machine that it runs on.
        since: When it took the study, in ISO 8601.
        home: Its home; None also if it is the home in which the note was found.
    """

    pid: int | None = None
    host: str | None = None
    since: str | None = None
    home: str | None = None

    @classmethod
    def this_process(cls, home: Home) -> "Owner":
        """Return this process, as of now."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), since, str(home.root.resolve()))

    @classmethod
    def read(cls, note: Any) -> "Owner":
        """Return the owner that a note names, as far as it can be read."""
        if not isinstance(note, dict):
            return cls()
        pid, texts = note.get("pid"), [note.get(key) for key in ("host", "since", "home")]
        return cls(
            pid if isinstance(pid, int) else None,
            *(text if isinstance(text, str) else None for text in texts),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the known fields as plain values."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        home = "" if self.home is None else f", home {self.home}"
        return (
            f"process {self.pid or 'unknown'} on {self.host or 'an unknown machine'}{home}, "
            f"since {self.since or 'a moment ago'}"
        )

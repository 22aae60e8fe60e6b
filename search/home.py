"""The home: the one folder that holds everything the service writes."""

import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import ServiceError, UsageError

__all__ = [
    "DEFAULT_HOME",
    "EVENTS",
    "REPORT",
    "STORAGE_VARIABLE",
    "STORAGE_VARIABLES",
    "TO_STORAGE_VARIABLE",
    "Home",
    "StudyFolder",
    "safe_name",
]

DEFAULT_HOME = Path("runs")
REPORT = "report.html"
EVENTS = "events.jsonl"
STORAGE_VARIABLES = (STORAGE_VARIABLE, TO_STORAGE_VARIABLE) = (
    "CIFAR_SEARCH_STORAGE",
    "CIFAR_SEARCH_TO_STORAGE",
)
LONGEST_NAME = 512
"""Characters of a study's name in Optuna's databases."""
FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
IDENTITY = "identity"
"""The key of a study's identity, in its folder's note and among its own."""


@dataclass(frozen=True)
class Home:
    """The folder of studies, checkpoints, exports and logs.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def database(self) -> Path:
        """The database of all studies that have no storage of their own."""
        return self.root / "studies.db"

    @property
    def artifacts(self) -> Path:
        """Files that belong to studies and are shown in the dashboard."""
        return self.root / "artifacts"

    @property
    def flag(self) -> str:
        """The option by which further commands find this home; empty for the default one."""
        return "" if self.root == DEFAULT_HOME else f" --home {shlex.quote(str(self.root))}"

    def storage_url(self) -> str:
        """Return the URL of the default storage."""
        return f"sqlite:///{self.database}"

    def create(self) -> None:
        """Create the folder.

        Raises:
            ServiceError: It cannot be created or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError(
                f"The home {self.root} cannot be created: {error.strerror}. "
                "Choose another with --home or CIFAR_SEARCH_HOME."
            ) from error
        if not os.access(self.root, os.W_OK):
            raise ServiceError(
                f"The home {self.root} cannot be written to. "
                "Choose another with --home or CIFAR_SEARCH_HOME."
            )

    def study(self, name: str, identity: str | None = None) -> "StudyFolder":
        """Return the folder of a study's own files, which need not exist.

        Args:
            name: The study's name.
            identity: The study's identity, by which its folder is found after the study was renamed. None
                for a study that has none yet.

        Raises:
            UsageError: No study can have this name.
        """
        named = StudyFolder(self.root / "studies" / safe_name(name))
        if identity is None or named.identity == identity:
            return named
        for root in sorted(path.parent for path in named.root.parent.glob("*/holder.json")):
            if StudyFolder(root).identity == identity:
                return StudyFolder(root)
        if named.identity is None:
            return named
        return StudyFolder(named.root.with_name(f"{named.root.name}-{identity[:8]}"))

    def exports(self, study: str) -> Path:
        """Return the folder that a study's configurations are exported to."""
        return self.root / "exports" / safe_name(study)

    def report(self, study: str) -> Path:
        """Return the file of a study's report, beside its exported configurations."""
        return self.exports(study) / REPORT


@dataclass(frozen=True)
class StudyFolder:
    """A study's own files: what it needs to continue, its logs, and a note of the process that runs it.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def identity(self) -> str | None:
        """The identity of the study that the folder belongs to; None if it has no note."""
        found = self.read_note().get(IDENTITY)
        return found if isinstance(found, str) else None

    @property
    def images(self) -> Path:
        """The prepared images that all workers map; they exist while the study runs."""
        return self.root / "images"

    @property
    def sweeps(self) -> Path:
        """The finished sweeps of the LR-range test; they exist until the study is finished."""
        return self.root / "sweeps"

    @property
    def stop_request(self) -> Path:
        """A file whose presence asks the coordinator to stop."""
        return self.root / "stop"

    @property
    def logs(self) -> Path:
        """The folder of the study's log and of the workers' logs."""
        return self.root / "logs"

    @property
    def log(self) -> Path:
        """The study's log: what is said of its searches, in all sessions."""
        return self.logs / "search.log"

    @property
    def events(self) -> Path:
        """The events of the study's searches, in all sessions, from which its log is made."""
        return self.logs / EVENTS

    def checkpoint(self, trial: int) -> Path:
        """Return the file of a trial's state after its last epoch: unfinished and best trials have one."""
        return self.root / "checkpoints" / f"{trial}.pt"

    def checkpoints(self) -> set[int]:
        """Return the numbers of the trials that have a checkpoint."""
        files = (self.root / "checkpoints").glob("*.pt")
        return {int(file.stem) for file in files if file.stem.isdecimal()}

    def confirmation(self, trial: int, repeat: int) -> Path:
        """Return the file of a confirming training's state after its last epoch.

        Args:
            trial: The trial whose configuration is confirmed.
            repeat: Which of its trainings it is, from 1 on.
        """
        return self.root / "confirmation" / f"{trial}-{repeat}.pt"

    def confirmations(self) -> list[Path]:
        """Return the states of confirming trainings that are there."""
        return sorted((self.root / "confirmation").glob("[0-9]*-[0-9]*.pt"))

    def create(self) -> None:
        """Create the folder and those inside it.

        Raises:
            ServiceError: They cannot be created.
        """
        try:
            for folder in (self.sweeps, self.root / "checkpoints", self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError(f"{self.root} cannot be created: {error.strerror}.") from error

    @property
    def lock(self) -> Path:
        """The file that the process which runs the study keeps locked."""
        return self.root / "lock"

    @property
    def note(self) -> Path:
        """The file that says which study the folder belongs to, and which process ran it last."""
        return self.root / "holder.json"

    def read_note(self) -> dict[str, Any]:
        """Return the content of `note`; nothing if it is missing or damaged."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def remove_half_written(self) -> None:
        """Remove what a process that was killed left half written; only who holds the study may do so."""
        for name in (self.note.name, self.images.name):
            for file in self.root.glob(f".{name}.*"):
                file.unlink(missing_ok=True)

    def tidy(self, keep: Container[int] = (), confirmed: int | None = None) -> None:
        """Remove what only an unfinished study needs.

        Args:
            keep: The trials whose checkpoints stay.
            confirmed: The trial whose first confirming training keeps its state; None for none.
        """
        half_written = [
            *(self.root / "checkpoints").glob(".*"),
            *(self.root / "confirmation").glob(".*"),
        ]
        kept = None if confirmed is None else self.confirmation(confirmed, 1)
        states = (self.checkpoint(number) for number in self.checkpoints() if number not in keep)
        before = self.root / "pictures"  # the prepared images of an earlier version that was killed
        repeats = (file for file in self.confirmations() if file != kept)
        for file in (self.images, before, self.stop_request, *half_written, *states, *repeats):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.sweeps, ignore_errors=True)


def safe_name(name: str) -> str:
    """Return a study's name as a file's: unchanged if it can be one, else a readable part and a digest.

    >>> safe_name("baseline_constrained"), safe_name("My try / v2")
    ('baseline_constrained', 'My-try-v2-9ac9532f')

    Raises:
        UsageError: No study can have this name.
    """
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        encoded = b""
    if not encoded or "\0" in name or len(name) > LONGEST_NAME:
        raise UsageError(
            f"A study's name has 1 to {LONGEST_NAME} characters in UTF-8, none of them NUL, "
            f"but got {name[:100]!r}."
        )
    if FOLDER_NAME.fullmatch(name):
        return name
    readable = re.sub("[^A-Za-z0-9._-]+", "-", name).strip("-._")[:40] or "study"
    return f"{readable}-{hashlib.sha256(encoded).hexdigest()[:8]}"

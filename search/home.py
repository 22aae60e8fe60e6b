"""The home: the one folder that holds everything the service writes."""

import json
import os
import re
import shlex
import shutil
import socket
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cifar_core.files import write_atomically
from search.command_lines import command_line
from search.errors import ServiceError, StudyHeldError, UsageError

__all__ = [
    "DEFAULT_HOME",
    "STORAGE_VARIABLE",
    "STORAGE_VARIABLES",
    "TO_STORAGE_VARIABLE",
    "Home",
    "StudyFolder",
    "held_error",
    "process_of",
]

DEFAULT_HOME = Path("runs")
STORAGE_VARIABLES = (STORAGE_VARIABLE, TO_STORAGE_VARIABLE) = (
    "CIFAR_SEARCH_STORAGE",
    "CIFAR_SEARCH_TO_STORAGE",
)
SECONDS_OF_A_LOOK = 1.0
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True)
class Home:
    """Where studies, checkpoints, exports and logs are kept.

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
        """What further commands must add to find this home; nothing for the default one."""
        return "" if self.root == DEFAULT_HOME else f" --home {shlex.quote(str(self.root))}"

    def storage_url(self) -> str:
        """The default storage, in SQLAlchemy's words."""
        return f"sqlite:///{self.database}"

    def create(self) -> None:
        """Make the folder.

        Raises:
            ServiceError: It cannot be made or written to.
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

    def study(self, name: str) -> "StudyFolder":
        """The folder of a study's own files.

        Raises:
            UsageError: The name cannot be a folder's.
        """
        if not STUDY_NAME.fullmatch(name):
            raise UsageError(
                f"A study's name has 1 to 80 letters, digits, dots, dashes or underscores and starts "
                f"with a letter or digit, but got {name!r}."
            )
        return StudyFolder(self.root / "studies" / name)

    def exports(self, study: str) -> Path:
        """Where a study's configurations are exported to."""
        return self.root / "exports" / study


@dataclass(frozen=True)
class StudyFolder:
    """A study's own files: what is needed to go on, what was logged, and who runs it.

    Attributes:
        root: The folder.
    """

    root: Path

    @property
    def images(self) -> Path:
        """The prepared images that all workers map; there while the study runs."""
        return self.root / "images"

    @property
    def sweeps(self) -> Path:
        """Finished sweeps of the LR-range test; there until its bounds are stored."""
        return self.root / "sweeps"

    @property
    def stop_request(self) -> Path:
        """A file whose presence asks the coordinator to stop."""
        return self.root / "stop"

    @property
    def logs(self) -> Path:
        """The folder of the workers' logs."""
        return self.root / "logs"

    def checkpoint(self, trial: int) -> Path:
        """The state of a trial after its last epoch: of the unfinished ones and the best."""
        return self.root / "checkpoints" / f"{trial}.pt"

    def checkpoints(self) -> set[int]:
        """The trials of which there is a state."""
        files = (self.root / "checkpoints").glob("*.pt")
        return {int(file.stem) for file in files if file.stem.isdecimal()}

    def create(self) -> None:
        """Make the folder and those inside of it.

        Raises:
            ServiceError: They cannot be made.
        """
        try:
            for folder in (self.sweeps, self.root / "checkpoints", self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError(f"{self.root} cannot be created: {error.strerror}.") from error

    def holder(self) -> dict[str, Any] | None:
        """Who runs the study now (`pid`, `host`, `since`), or None if nobody does."""
        if not self.root.is_dir():
            return None
        lock = FileLock(self.root / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return self._read_holder()
        lock.release()
        return None

    @contextmanager
    def held(self, where: str = "", storage: str = "") -> Iterator[None]:
        """Hold the study. The operating system lets go when this process ends, however it ends.

        Args:
            where: What further commands must name to find the study.
            storage: What tells the study's storage from others.

        Raises:
            StudyHeldError: Another process holds it.
            UsageError: The folder has states of a study of the same name in another storage.
        """
        lock = FileLock(self.root / "lock")
        try:
            # A `status` that looks who holds the study takes the lock for a moment.
            lock.acquire(timeout=SECONDS_OF_A_LOOK)
        except Timeout as error:
            who = {"host": "this machine", **self._read_holder()}
            raise held_error(self.root.name, who, where) from error
        try:
            before = self._read_holder().get("storage", storage)
            if before != storage and self.checkpoints():
                raise UsageError(
                    f"{self.root} has states of another study named {self.root.name}, which is in "
                    f"{before}. Choose another --study or --home, or, if that study is gone, "
                    "remove that folder."
                )
            holder = {
                "storage": storage,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "since": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            write_atomically(self.root / "holder.json", json.dumps(holder).encode())
            self.stop_request.unlink(missing_ok=True)
            # Written only by who holds the study, and left by one that was killed.
            for name in ("holder.json", self.images.name):
                for half_written in self.root.glob(f".{name}.*"):
                    half_written.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def tidy(self, keep: Container[int] = ()) -> None:
        """Remove what only an unfinished study needs.

        Args:
            keep: The trials whose states stay.
        """
        half_written = (self.root / "checkpoints").glob(".*")
        states = (self.checkpoint(number) for number in self.checkpoints() if number not in keep)
        # Version 0.x named the prepared images so; one that was killed has left them.
        before = self.root / "pictures"
        for file in (self.images, before, self.stop_request, *half_written, *states):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.sweeps, ignore_errors=True)

    def _read_holder(self) -> dict[str, Any]:
        try:
            holder = json.loads((self.root / "holder.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return holder if isinstance(holder, dict) else {}


def held_error(study: str, who: Mapping[str, Any], where: str) -> StudyHeldError:
    """What to say to a process that cannot have a study.

    Args:
        study: Its name.
        who: The holder's note, as far as there is one.
        where: What further commands must name to find the study.
    """
    return StudyHeldError(
        f"Study {study} is already running: {process_of(who)}. "
        f"Watch it with: {command_line('status', study, flags=where, watch=True)}"
    )


def process_of(who: Mapping[str, Any]) -> str:
    """A holder in words."""
    home = f", home {who['home']}" if "home" in who else ""
    return (
        f"process {who.get('pid', 'unknown')} on {who.get('host', 'an unknown machine')}{home}, "
        f"since {who.get('since', 'some moments')}"
    )

"""Studies looked at from outside, without running or creating them."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from cifar_core.errors import CifarSearchError
from search.confirmation.planning import is_pending
from search.home import Home, StudyFolder
from search.results.export.configurations import exported_file
from search.results.summary import State, Summary, summarize
from search.storage.opening import existing_storage
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import StudyLock
from search.study.study import SearchStudy, newest_name, open_study, summaries

__all__ = ["StudyReader", "UnreadableStudy", "all_summaries", "open_existing"]


@dataclass(frozen=True)
class UnreadableStudy:
    """A study that cannot be read.

    Attributes:
        study: Its name.
        problem: Why it cannot be read.
        state: What a list shows as its state.
    """

    study: str
    problem: str
    state: Literal["unreadable"] = "unreadable"

    def to_dict(self) -> dict[str, Any]:
        """Return the study as plain JSON."""
        return asdict(self)


def open_existing(home: Home, url: str | None, name: str | None) -> SearchStudy:
    """Open an existing study, the newest if `name` is None."""
    return open_study(existing_storage(home, url), name)


def all_summaries(home: Home, url: str | None) -> list[Summary | UnreadableStudy]:
    """Return a summary of each study, the newest last."""
    storage = existing_storage(home, url)
    found: list[Summary | UnreadableStudy] = []
    for name in (one.study_name for one in summaries(storage)):
        try:
            found.append(StudyReader(home, url, name, storage).look())
        except CifarSearchError as error:  # one damaged study must not hide the others
            found.append(UnreadableStudy(name, str(error)))
    return found


class StudyReader:
    """Looks at one study, repeatedly if need be.

    Args:
        home: Where the study's files are.
        url: The storage; the home's own by default.
        name: The study; the newest by default.
        storage: The storage, if it is open already.
    """

    def __init__(
        self, home: Home, url: str | None, name: str | None, storage: RetryingStorage | None = None
    ) -> None:
        self._home = home
        self._url = url or home.storage_url()
        self._storage = storage or existing_storage(home, url)
        self._name = name or newest_name(self._storage)

    def folder(self) -> StudyFolder:
        """Return the study's files, in the home of the process that runs it if there is one."""
        return StudyLock(self._home, self._storage, self._name).folder_in_use()

    def look(self) -> Summary:
        """Summarize the study as it stands now."""
        return self.open()[1]

    def open(self) -> tuple[SearchStudy, Summary]:
        """Return the study as it stands now, with its summary."""
        self._storage.forget()
        study = open_study(self._storage, self._name)
        running = StudyLock(self._home, self._storage, study.name).owner() is not None
        done = study.complete and not is_pending(study)
        state: State = "running" if running else "finished" if done else "stopped"
        file = exported_file(self._home.exports(study.name))
        exported = str(file) if file.is_file() else None
        return study, summarize(study, self._url, state, exported)

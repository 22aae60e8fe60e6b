"""Looking at studies without running them: nothing is created that is not there."""

from typing import Any

from cifar_core.errors import CifarSearchError
from search.home import Home
from search.results.export import exported_file
from search.results.summary import State, summarize
from search.storage.opening import existing_storage
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import StudyLock
from search.study.rows import TrialRow
from search.study.study import SearchStudy, newest_name, open_study, summaries
from spaces.space import Space

__all__ = ["StudyReader", "all_summaries", "open_existing"]


def open_existing(home: Home, url: str | None, name: str | None) -> SearchStudy:
    """A study that is there; the newest where no name is given."""
    return open_study(existing_storage(home, url), name)


def all_summaries(home: Home, url: str | None) -> list[dict[str, Any]]:
    """A summary of each study, the newest last; of one that cannot be read, its name and why."""
    storage = existing_storage(home, url)
    found: list[dict[str, Any]] = []
    for name in (one.study_name for one in summaries(storage)):
        try:
            found.append(StudyReader(home, url, name, storage).look()[0])
        except CifarSearchError as error:  # the others are to be seen all the same
            found.append({"study": name, "state": "unreadable", "problem": str(error)})
    return found


class StudyReader:
    """Looks at one study, again and again if need be.

    Args:
        home: Where the study's files are.
        url: The storage; the home's own by default.
        name: The study; the newest by default.
        storage: The opened storage, if there is one already.
    """

    def __init__(
        self, home: Home, url: str | None, name: str | None, storage: RetryingStorage | None = None
    ) -> None:
        self._home = home
        self._url = url or home.storage_url()
        self._storage = storage or existing_storage(home, url)
        self._name = name or newest_name(self._storage)

    @property
    def space(self) -> Space:
        """What the study searches."""
        return open_study(self._storage, self._name).settings.space

    def look(self) -> tuple[dict[str, Any], list[TrialRow]]:
        """The study's summary and its trials, as they stand now."""
        self._storage.forget()
        study = open_study(self._storage, self._name)
        running = StudyLock(self._home, self._storage, study.name).owner() is not None
        state: State = "running" if running else "finished" if study.complete else "stopped"
        file = exported_file(self._home.exports(study.name))
        exported = str(file) if file.is_file() else None
        return summarize(study, self._url, state, exported), study.rows()

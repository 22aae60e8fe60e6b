"""Looking at studies without running them: nothing is created that is not there."""

from typing import Any

from cifar_core.errors import CifarSearchError
from search.errors import UsageError
from search.export import exported_file
from search.hold import holder
from search.home import Home
from search.patience import PatientStorage
from search.rows import Row
from search.storage import has_tables, open_storage, shown_url, sqlite_file
from search.study import SearchStudy, newest_name, open_study, summaries
from search.summary import State, summarize
from spaces.space import Space

__all__ = ["StudyReader", "all_summaries", "existing_storage", "open_existing"]


def existing_storage(home: Home, url: str | None) -> PatientStorage:
    """The storage of the studies, which must be there.

    Raises:
        UsageError: There is no database yet.
    """
    url = url or home.storage_url()
    path = sqlite_file(url)
    if path is not None and not path.is_file():
        raise UsageError(
            f"There are no studies yet: {path} does not exist. Start one with "
            "cifar-search start --space baseline_constrained, or name another --home."
        )
    if not has_tables(url):  # somebody else's database is left as it is
        raise UsageError(
            f"There are no studies yet in {shown_url(url)}. Start one with "
            "cifar-search start --space baseline_constrained."
        )
    return open_storage(url)


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
        self, home: Home, url: str | None, name: str | None, storage: PatientStorage | None = None
    ) -> None:
        self._home = home
        self._url = url or home.storage_url()
        self._storage = storage or existing_storage(home, url)
        self._name = name or newest_name(self._storage)

    @property
    def space(self) -> Space:
        """What the study searches."""
        return open_study(self._storage, self._name).settings.space

    def look(self) -> tuple[dict[str, Any], list[Row]]:
        """The study's summary and its trials, as they stand now."""
        study = open_study(self._storage, self._name)
        here = self._home.study(study.name).holder() is not None
        running = here or holder(self._storage, study.name) is not None
        state: State = "running" if running else "finished" if study.complete else "stopped"
        file = exported_file(self._home.exports(study.name))
        exported = str(file) if file.is_file() else None
        return summarize(study, self._url, state, exported), study.rows()

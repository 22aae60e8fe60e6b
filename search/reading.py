"""Looking at studies without running them: nothing is created that is not there."""

from typing import Any

from optuna.storages import RDBStorage

from search.errors import UsageError
from search.export import exported_file
from search.home import Home
from search.rows import Row
from search.storage import open_storage, sqlite_file
from search.study import SearchStudy, newest_name, open_study, summaries
from search.summary import State, summarize
from spaces.space import Space

__all__ = ["StudyReader", "all_summaries", "existing_storage", "open_existing"]


def existing_storage(home: Home, url: str | None) -> RDBStorage:
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
    return open_storage(url)


def open_existing(home: Home, url: str | None, name: str | None) -> SearchStudy:
    """A study that is there; the newest where no name is given."""
    return open_study(existing_storage(home, url), name)


def all_summaries(home: Home, url: str | None) -> list[dict[str, Any]]:
    """A summary of each study, the newest last."""
    storage = existing_storage(home, url)
    readers = [StudyReader(home, url, one.study_name, storage) for one in summaries(storage)]
    return [reader.look()[0] for reader in readers]


class StudyReader:
    """Looks at one study, again and again if need be.

    Args:
        home: Where the study's files are.
        url: The storage; the home's own by default.
        name: The study; the newest by default.
        storage: The opened storage, if there is one already.
    """

    def __init__(
        self, home: Home, url: str | None, name: str | None, storage: RDBStorage | None = None
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
        running = self._home.study(study.name).holder() is not None
        state: State = "running" if running else "finished" if study.complete else "stopped"
        file = exported_file(self._home.exports(study.name))
        exported = str(file) if file.is_file() else None
        return summarize(study, self._url, state, exported), study.rows()

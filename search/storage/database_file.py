"""The file of an SQLite database, watched for being removed or replaced while it is in use."""

from search.errors import StudyGoneError
from search.storage.urls import sqlite_file

__all__ = ["DatabaseFile"]


class DatabaseFile:
    """The file of an open database. A server's database has none, and every check of it passes.

    Args:
        url: The database.
    """

    def __init__(self, url: str) -> None:
        self._path = sqlite_file(url)
        self._first = self._identity()

    def check(self) -> None:
        """Make sure that the file is still the one that was opened.

        Raises:
            StudyGoneError: It was removed or replaced.
        """
        if self._path is None or (now := self._identity()) == self._first:
            return
        what = "was removed" if now is None else "was replaced by another file"
        raise StudyGoneError(
            f"The database {self._path} {what} while the search ran. The search stops, because nothing can "
            "be saved in it. Put the original file back and run cifar-search resume; without it, what it "
            "held is lost."
        )

    def _identity(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

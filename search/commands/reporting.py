"""The part that `report`, `start` and `resume` share: a study's report, written and kept."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from search.commands import options
from search.errors import ServiceError
from search.home import Home
from search.results.shares import Importance, Unknown
from search.results.summary import Summary
from search.study.study import SearchStudy

__all__ = ["Report", "make_report"]


@dataclass(frozen=True)
class Report:
    """A written report.

    Attributes:
        path: The file.
        importance: What mattered, as it says.
        problem: Why it is not among the study's artifacts, in a sentence; None if it is, or need not be.
    """

    path: Path
    importance: Importance | Unknown
    problem: str | None = None


def make_report(
    study: SearchStudy,
    summary: Summary,
    home: Home,
    url: str,
    data: str | None,
    out: Path | None = None,
) -> Report:
    """Write a study's report, and keep it among the study's artifacts unless a process runs the study.

    Args:
        study: The study.
        summary: The same as it stands now.
        home: The home of its files.
        url: Its storage.
        data: The value of ``--data``, or None.
        out: The file; by default beside the study's exported configurations.

    Raises:
        ServiceError: The file cannot be written.
    """
    from search.report.file import keep_as_artifact, write_report
    from search.report.gathering import gather
    from search.storage.urls import where_flags

    record = gather(
        study,
        summary,
        home,
        where=where_flags(home, url),
        data=data,
        folder=options.images_folder(),
        made=datetime.now().astimezone(),
    )
    path = out or home.report(study.name)
    write_report(record, path)
    problem = None
    if summary.state != "running":
        try:
            keep_as_artifact(study, home.artifacts, path)
        except ServiceError as error:
            problem = str(error)
    return Report(path, record.importance, problem)

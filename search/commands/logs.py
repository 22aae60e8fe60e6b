"""`cifar-search logs`."""

import time
from typing import IO

import click

from search.commands import options
from search.home import Home

__all__ = ["logs"]

SECONDS_BETWEEN_LOOKS = 0.5


@click.command()
@options.study_argument
@options.storage
@options.home
@click.option(
    "--follow", "-f", is_flag=True, help="Go on with what is written, until the search ends."
)
def logs(study: str | None, storage: str | None, home: Home, follow: bool) -> None:
    """Print the log of a study.

    Every search writes it, also those that run in the foreground. The newest study is taken by default.
    """
    from search.commands.study_log import is_being_written
    from search.errors import UsageError
    from search.storage.opening import existing_storage
    from search.storage.study_lock import StudyLock
    from search.study.study import open_study

    opened = existing_storage(home, storage)
    name = open_study(opened, study).name
    lock = StudyLock(home, opened, name)
    log = lock.folder_in_use().log
    if not log.is_file():
        raise UsageError(
            f"Study {name} has no log here: {log}. Its searches ran in another home, or were of a version "
            "that kept none."
        )
    with log.open(encoding="utf-8", errors="replace") as file:
        _print_rest(file)
        while follow:
            # Asked first, so that nothing is missed.
            ended = lock.owner() is None and not is_being_written(file)
            _print_rest(file)
            if ended:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _print_rest(file: IO[str]) -> None:
    """Print what a log has by now, without control characters."""
    from cifar_core.text_files import one_line

    # A line may be half written: what there is of it is printed, and the rest with the next look.
    while text := file.readline():
        line = text.removesuffix("\n")
        shown = line if line.isprintable() else one_line(line)
        click.echo(shown, nl=text.endswith("\n"))

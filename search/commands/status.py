"""`cifar-search status`."""

import json
import time

import click

from search.commands import options
from search.home import Home

__all__ = ["status"]

SECONDS_BETWEEN_LOOKS = 2.0


@click.command()
@options.study_argument
@options.storage
@options.home
@click.option("--watch", is_flag=True, help="Refresh every two seconds until the search ends.")
@options.json_output
def status(study: str | None, storage: str | None, home: Home, watch: bool, as_json: bool) -> None:
    """Show the progress and results of a study.

    The newest study is shown by default.
    """
    from rich.live import Live

    from search.commands.printing import page_console
    from search.results.reader import StudyReader
    from search.storage.urls import where_flags
    from search.views.study_pages import study_page

    reader = StudyReader(home, storage, study)
    summary = reader.look()
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=2))
        return
    console = page_console()
    where = where_flags(home, storage or home.storage_url())
    if not watch:
        console.print(study_page(summary, where), crop=False)
        return
    with Live(study_page(summary, where), console=console, auto_refresh=False) as live:
        while summary.state == "running":
            time.sleep(SECONDS_BETWEEN_LOOKS)
            summary = reader.look()
            live.update(study_page(summary, where), refresh=True)

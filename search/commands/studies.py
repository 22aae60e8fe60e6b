"""`cifar-search studies`."""

import json

import click

from search.commands import options
from search.home import Home

__all__ = ["studies"]


@click.command()
@options.storage
@options.home
@options.json_output
def studies(storage: str | None, home: Home, as_json: bool) -> None:
    """List all studies of a home or storage.

    The newest comes last.
    """
    from search.commands.printing import page_console
    from search.results.reader import all_summaries
    from search.storage.urls import shown_url
    from search.views.study_pages import study_list

    summaries = all_summaries(home, storage)
    if as_json:
        click.echo(json.dumps([one.to_dict() for one in summaries], indent=2))
    else:
        place = str(home.root) if storage is None else shown_url(storage)
        page_console().print(study_list(summaries, place))

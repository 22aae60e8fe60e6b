"""What `start` and `resume` share: showing a search while it runs, and its result."""

import json
import os
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console

from cifar_core.data.dataset import AUTO, DEFAULT_FOLDER, SYNTHETIC
from search.coordinator import Outcome
from search.dashboard import serving
from search.events import Event, Notice, Observer, SearchStarted, SweepsProgress
from search.export import export_best
from search.home import Home
from search.live import view_for
from search.result import closing_words
from search.rows import best_rows
from search.storage import open_storage, shown_url
from search.study import SearchStudy
from search.summary import summarize

__all__ = ["run_search"]

INTERRUPTED = 130
Search = Callable[[Observer, Path], tuple[SearchStudy, Outcome]]


def run_search(
    home: Home, url: str, data: str | None, search: Search, *, serve: bool, as_json: bool
) -> int:
    """Run a search, show it, and say what it came to.

    Args:
        home: Where exports go.
        url: The studies' storage.
        data: Where the user said that the pictures are.
        search: Does the work.
        serve: Serve the dashboard meanwhile.
        as_json: Print one JSON document instead of words; progress goes to standard error.

    Returns:
        The exit code.
    """
    console = Console(stderr=as_json, highlight=False)
    folder = Path(os.environ.get("CIFAR_SEARCH_DATA", DEFAULT_FOLDER))
    with ExitStack() as stack:
        view = view_for(console, plain=as_json or not console.is_terminal)
        stack.enter_context(view)
        served = not serve

        def observe(event: Event) -> None:
            nonlocal served
            view(event)
            if not served and isinstance(event, SweepsProgress | SearchStarted):
                served = True  # from here on there is a study to look at
                address = stack.enter_context(serving(open_storage(url), 0, home.artifacts))
                view(Notice(f"The dashboard is at {address} while the search runs."))

        try:
            study, outcome = search(observe, folder)
        except KeyboardInterrupt:
            click.echo("Interrupted. Every epoch that was finished is saved.", err=True)
            return INTERRUPTED
    exported = None
    if best_rows(study.rows()):
        exported = str(export_best(study, home.exports(study.name))[0])
    summary = summarize(study, url, outcome, exported)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        kind = summary["data"]["name"]
        words = closing_words(
            summary, study.rows(), study.settings.space, _where(home, url), _data_flag(kind, data)
        )
        # Not cropped: a proposed command must be whole to be copied.
        console.print(words, crop=False)
    return 0 if outcome == "finished" else INTERRUPTED


def _where(home: Home, url: str) -> str:
    """What further commands must name because it is not the default."""
    return home.flag if url == home.storage_url() else f"{home.flag} --storage {shown_url(url)}"


def _data_flag(kind: str, data: str | None) -> str:
    """What further commands must name to train on the same pictures."""
    if kind == SYNTHETIC:
        return f" --data {SYNTHETIC}"
    return "" if data in {None, AUTO} else f" --data {shlex.quote(str(data))}"

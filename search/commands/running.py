"""The part that `start` and `resume` share: a search shown while it runs, and its result."""

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console, RenderableType

from cifar_core.data.dataset import AUTO, SYNTHETIC, folder_of
from cifar_core.errors import CifarSearchError
from search.commands import options
from search.commands.background import Background
from search.commands.error_messages import for_terminal
from search.commands.reporting import Report, make_report
from search.commands.study_log import StudyLog
from search.dashboard.access import access_to, chosen_password
from search.dashboard.public_url import PublicUrl
from search.dashboard.server import LOOPBACK, place_of
from search.errors import ServiceError
from search.events import (
    ConfirmationStarted,
    Event,
    Notice,
    Observer,
    SearchStarted,
    SessionStarted,
    SweepsProgress,
)
from search.execution.coordinator import Outcome
from search.home import Home
from search.results.export.configurations import export_best
from search.results.summary import Summary, summarize
from search.storage.opening import open_storage
from search.storage.urls import hide_secrets, where_flags
from search.study.rows import best_rows
from search.study.study import SearchStudy
from search.views.closing import closing_words
from search.views.live import view_for

__all__ = ["ServeWish", "run_search", "serve_wish"]

INTERRUPTED = 130
INTERRUPTED_WORDS = "Interrupted. Every finished epoch is saved."
BEGINNINGS = SweepsProgress | SearchStarted | ConfirmationStarted
Search = Callable[[Observer, Path], tuple[SearchStudy, Outcome]]


@dataclass(frozen=True)
class ServeWish:
    """Dashboard to be served while a search runs.

    Attributes:
        port: Port on this machine; 0 for a free one.
        public: Address that browsers open, if a reverse proxy is in front.
    """

    port: int = 0
    public: PublicUrl | None = None


def serve_wish(dashboard: bool, port: int, url: str | None) -> ServeWish | None:
    """Return the dashboard that the options ask for; None for none.

    Raises:
        UsageError: The public address cannot be used.
    """
    if url is not None:
        return ServeWish(port, PublicUrl.parse(url, "--dashboard-url"))
    return ServeWish(port) if dashboard else None


def run_search(
    home: Home,
    url: str,
    data: str | None,
    search: Search,
    *,
    serve: ServeWish | None,
    as_json: bool,
    space: str | None = None,
    background: Background | None = None,
) -> int:
    """Run a search, show it, and print its result.

    Args:
        home: Where exports go.
        url: The studies' storage.
        data: The value of ``--data``, or None.
        search: Does the work.
        serve: Dashboard to be served meanwhile; None for none.
        as_json: Print one JSON document instead of words; progress goes to standard error.
        space: The value of ``--space``, or None.
        background: Told when the search has begun, if this process then leaves its terminal.

    Returns:
        The exit code.

    Raises:
        UsageError: The dashboard's password cannot be used.
    """
    password = chosen_password() if serve else None
    console = Console(stderr=as_json, highlight=False)
    folder = options.images_folder()
    plain = as_json or background is not None or not console.is_terminal

    def in_foreground() -> bool:
        return background is None or not background.begun

    with StudyLog() as log:
        with ExitStack() as stack:
            view = view_for(console, plain=plain)
            stack.enter_context(view)
            served = False

            def observe(event: Event) -> None:
                nonlocal served
                log(event)
                # A full disk or a closed pipe must not end a search.
                with suppress(OSError):
                    if in_foreground():
                        view(event)
                if isinstance(event, SessionStarted) and log.problem is not None:
                    observe(Notice(log.problem))
                if serve and not served and isinstance(event, SweepsProgress | SearchStarted):
                    served = True  # the study exists from here on
                    words = _serve(serve, url, home, password, stack)
                    with suppress(OSError):
                        view(Notice(words))  # not into the log, as it may have the password
                if background and in_foreground() and isinstance(event, BEGINNINGS):
                    background.begin(log.study, log.path, where_flags(home, url))

            try:
                study, outcome = search(observe, folder)
            except KeyboardInterrupt:
                log.say(INTERRUPTED_WORDS)
                if in_foreground():
                    click.echo(INTERRUPTED_WORDS, err=True)
                return INTERRUPTED
            except CifarSearchError as error:
                if in_foreground():  # in the background it is printed, which is into the log
                    log.say(f"the search ended: {hide_secrets(str(error), url)}")
                raise
        summary, words = _result(study, outcome, home, url, data, space)
        log.end_with(words)
        if in_foreground() and as_json:
            click.echo(json.dumps(summary.to_dict(), indent=2))
        elif in_foreground():
            # Not cropped: a proposed command must be whole to be copied.
            console.print(words, crop=False)
    return 0 if outcome == "finished" else INTERRUPTED


def _serve(wish: ServeWish, url: str, home: Home, password: str | None, stack: ExitStack) -> str:
    """Serve the dashboard until the stack is left, and return where it is, or why there is none."""
    from search.dashboard.app import serving  # takes seconds where scikit-learn is

    try:
        place = place_of(LOOPBACK, wish.port)
        access, generated = access_to(place, password, read_only=False, public=wish.public)
        address = stack.enter_context(serving(open_storage(url), place, home, access))
    except CifarSearchError as error:
        # Nor must a dashboard that cannot be served.
        return f"There is no dashboard: {error}"
    words = f"The dashboard is at {wish.public or address} while the search runs."
    if wish.public:
        words += f" The proxy must pass requests on to {address}."
    if generated:
        words += f" Its password, with any user name, is: {access.password}"
    return words


def _result(
    study: SearchStudy, outcome: Outcome, home: Home, url: str, data: str | None, space: str | None
) -> tuple[Summary, RenderableType]:
    """Export the best of a search that has ended, write its report, and return what is said of it."""
    exported = None
    if best_rows(study.rows()):
        own = study.folder(home)
        try:
            exported = str(export_best(study, own, home.exports(study.name)).paths[0])
        except ServiceError as error:  # the result is shown nevertheless
            click.echo(f"note: {for_terminal(str(error))}", err=True)
    summary = summarize(study, url, outcome, exported)
    report = _report(study, summary, home, url, data) if outcome == "finished" else None
    words = closing_words(
        summary,
        where_flags(home, url),
        _data_value(summary.settings.data.name, data),
        space,
        mattered=None if report is None else report.importance,
        report=None if report is None else str(report.path),
    )
    return summary, words


def _report(
    study: SearchStudy, summary: Summary, home: Home, url: str, data: str | None
) -> Report | None:
    """Write the report of a finished search; the result is shown even where that fails."""
    try:
        made = make_report(study, summary, home, url, _data_value(study.data.name, data))
    except (CifarSearchError, OSError) as error:
        click.echo(f"note: the report cannot be written: {for_terminal(str(error))}", err=True)
    except KeyboardInterrupt:
        click.echo("note: the report was not written, as you interrupted it.", err=True)
    else:
        if made.problem is not None:
            click.echo(f"note: {for_terminal(made.problem)}", err=True)
        return made
    return None


def _data_value(kind: str, data: str | None) -> str | None:
    """The value of ``--data`` with which further commands train on the same images."""
    if kind == SYNTHETIC:
        return SYNTHETIC
    return None if data in {None, AUTO} else str(folder_of(str(data)))

"""`cifar-search status`."""

import json
import time
from contextlib import ExitStack

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
@click.option(
    "--top",
    type=click.IntRange(1),
    metavar="N",
    help="Show only the first N trials, the best first unless --sort says otherwise.",
)
@click.option(
    "--sort",
    metavar="KEY",
    help=(
        "Sort trials by number, accuracy (complete trials first), epochs, seconds, state, or the name of a "
        "parameter.  [default: number; accuracy with --top]"
    ),
)
@click.option(
    "--trial",
    type=click.IntRange(0),
    metavar="N",
    help="Show trial N alone: its parameters and epochs.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the trials as CSV on standard output.")
@options.json_output
def status(
    study: str | None,
    storage: str | None,
    home: Home,
    watch: bool,
    top: int | None,
    sort: str | None,
    trial: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show the progress and results of a study.

    The newest study is shown by default.
    """
    from rich.live import Live

    from search.commands.printing import page_console
    from search.commands.study_log import following
    from search.errors import UsageError
    from search.results.importance import what_mattered
    from search.results.reader import StudyReader
    from search.results.trial_list import listed, row_to_dict, rows_to_csv, trial_of
    from search.storage.urls import where_flags
    from search.views.progress import Progress
    from search.views.stage import progress_to_dict
    from search.views.study_pages import study_page
    from search.views.trial_page import trial_page

    if as_csv and (as_json or watch):
        raise UsageError("Give only one of --csv, --json and --watch.")
    if trial is not None and (watch or top is not None or sort is not None):
        raise UsageError("--trial shows one trial; leave out --top, --sort and --watch.")
    reader = StudyReader(home, storage, study)
    summary = reader.look()
    names = list(summary.settings.space.parameters)
    if trial is not None:
        rows = [trial_of(summary.rows, trial, summary.study)]
    else:
        rows = listed(summary.rows, names, sort, top)
    chosen = None if sort is None and top is None else rows
    if as_csv:
        click.echo(rows_to_csv(rows, names), nl=False)
        return
    stack = click.get_current_context().with_resource(ExitStack())
    followed = None if summary.state != "running" else following(reader.folder(), stack)

    def progress() -> Progress | None:
        return None if followed is None or summary.state != "running" else followed.look()

    if as_json:
        now = progress()
        found = {
            **summary.to_dict(),
            "progress": None if now is None else progress_to_dict(now),
            "trial_list": [row_to_dict(row) for row in rows],
        }
        click.echo(json.dumps(row_to_dict(rows[0]) if trial is not None else found, indent=2))
        return
    console = page_console()
    where = where_flags(home, storage or home.storage_url())
    if trial is not None:
        console.print(trial_page(summary, rows[0]), crop=False)
        return
    file = home.report(summary.study)
    report = str(file) if file.is_file() else None
    if not watch:
        mattered = what_mattered(summary)
        page = study_page(
            summary, where, rows=chosen, mattered=mattered, report=report, progress=progress()
        )
        console.print(page, crop=False)
        return
    page = study_page(summary, where, rows=chosen, report=report, progress=progress())
    with Live(page, console=console, auto_refresh=False) as live:
        while summary.state == "running":
            time.sleep(SECONDS_BETWEEN_LOOKS)
            summary = reader.look()
            if chosen is not None:
                chosen = listed(summary.rows, names, sort, top)
            page = study_page(summary, where, rows=chosen, report=report, progress=progress())
            live.update(page, refresh=True)

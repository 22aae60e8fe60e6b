"""`cifar-search report`."""

from pathlib import Path

import click

from search.commands import options
from search.home import Home

__all__ = ["report"]


@click.command()
@options.study_argument
@options.storage
@options.home
@options.data_folder
@options.trust
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="File to write.  [default: HOME/exports/STUDY/report.html]",
)
def report(
    study: str | None,
    storage: str | None,
    home: Home,
    data: str | None,
    trust: bool,
    out: Path | None,
) -> None:
    """Write the report of a study as one HTML page.

    It needs no network and no other file. A search writes its report at its end; this command writes it
    anew, of a running search too. The newest study is taken by default.
    """
    from search.commands.error_messages import for_terminal
    from search.commands.reporting import make_report
    from search.errors import UsageError
    from search.own_code import trust_code_of
    from search.results.reader import StudyReader

    if out is not None and out.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"--out must end in .html, but got {out}.")
    reader = StudyReader(home, storage, study)
    found, summary = reader.open()
    if trust:
        trust_code_of(found)
    made = make_report(found, summary, home, storage or home.storage_url(), data, out)
    if made.problem is not None:
        click.echo(f"note: {for_terminal(made.problem)}", err=True)
    click.echo(str(made.path))

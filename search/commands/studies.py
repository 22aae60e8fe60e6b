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
@click.option(
    "--delete", metavar="STUDY", help="Delete this study with its checkpoints; exports stay."
)
@click.option("--rename", nargs=2, metavar="STUDY NAME", help="Give this study another name.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def studies(
    storage: str | None,
    home: Home,
    as_json: bool,
    delete: str | None,
    rename: tuple[str, str] | None,
    yes: bool,
) -> None:
    """List all studies of a home or storage, or delete or rename one.

    The newest comes last.
    """
    from search.commands.printing import page_console
    from search.errors import UsageError

    if sum(map(bool, (delete, rename, as_json))) > 1:
        raise UsageError("Give only one of --delete, --rename and --json.")
    if yes and not delete:
        raise UsageError("--yes is for --delete STUDY.")
    if delete:
        _delete(home, storage, delete, yes)
        return
    if rename:
        _rename(home, storage, *rename)
        return
    from search.results.reader import all_summaries
    from search.storage.urls import shown_url
    from search.views.study_pages import study_list

    summaries = all_summaries(home, storage)
    if as_json:
        click.echo(json.dumps([one.to_dict() for one in summaries], indent=2))
    else:
        place = str(home.root) if storage is None else shown_url(storage)
        page_console().print(study_list(summaries, place))


def _delete(home: Home, storage: str | None, name: str, yes: bool) -> None:
    from search.formatting import counted, one_line
    from search.storage.opening import existing_storage
    from search.storage.study_removal import delete_study
    from search.study.study import open_study

    opened = existing_storage(home, storage)
    trials = len(open_study(opened, name).optuna.get_trials(deepcopy=False))
    what = f"study {one_line(name)} with {counted(trials, 'trial')}"
    if not yes:
        click.confirm(f"Delete {what} and its checkpoints for good?", abort=True, err=True)
    delete_study(home, opened, name)
    exports = home.exports(name)
    rest = f" Its exported files are still in {exports}." if exports.exists() else ""
    click.echo(f"Deleted: {what}.{rest}")


def _rename(home: Home, storage: str | None, name: str, new: str) -> None:
    from search.command_lines import command_line
    from search.formatting import one_line
    from search.storage.opening import existing_storage
    from search.storage.study_removal import rename_study
    from search.storage.urls import where_flags

    opened = existing_storage(home, storage)
    rename_study(home, opened, name, new)
    click.echo(f"Renamed: study {one_line(name)} is now {one_line(new)}.")
    look = command_line("status", new, flags=where_flags(home, opened.url))
    click.echo(f"Look at it with: {look}")

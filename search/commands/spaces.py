"""`cifar-search spaces`."""

import json
from pathlib import Path

import click

from search.commands import options

__all__ = ["spaces"]


@click.command()
@click.argument("name", required=False, metavar="[NAME|FILE]")
@click.option(
    "--new",
    "new_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a commented space file to begin with.",
)
@click.option(
    "--fields",
    is_flag=True,
    help="List every field of a space file with its range, default and meaning (Markdown).",
)
@options.json_output
def spaces(name: str | None, new_file: Path | None, fields: bool, as_json: bool) -> None:
    """List the spaces, or show one in full."""
    from search.errors import UsageError

    if sum(one not in {None, False} for one in (name, new_file, fields)) > 1:
        raise UsageError("Give either a space, or --new, or --fields.")
    if new_file is not None:
        _write_template(new_file)
    elif fields:
        from spaces.fields import fields_page

        click.echo(fields_page(), nl=False)
    else:
        _show(name, as_json=as_json)


def _show(name: str | None, *, as_json: bool) -> None:
    from search.commands.printing import page_console
    from search.views.space_pages import space_list, space_page
    from spaces.files import load_space, shipped_names

    if name is None:
        found = [load_space(one) for one in shipped_names()]
        document: object = [{"name": one.name, "title": one.title} for one in found]
        shown = space_list(found)
    else:
        space = load_space(name)
        document, shown = space.model_dump(mode="json", exclude_none=True), space_page(space, name)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        page_console().print(shown)


def _write_template(path: Path) -> None:
    from cifar_core.files import write_atomically
    from search.command_lines import command_line
    from search.errors import UsageError
    from spaces.files import template

    if path.exists():
        raise UsageError(f"{path} is there already; name another file.")
    try:
        write_atomically(path, template().encode())
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
    shown = str(path) if "/" in str(path) or path.suffix == ".toml" else f"./{path}"
    click.echo(f"Written to {path}. Edit it, check it, and search it:")
    click.echo(f"  {command_line('spaces', shown)}")
    click.echo(f"  {command_line('start', space=shown)}")

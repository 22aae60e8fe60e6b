"""`cifar-search spaces`."""

import json

import click

from search.commands import options

__all__ = ["spaces"]


@click.command()
@click.argument("name", required=False, metavar="[NAME|FILE]")
@options.json_output
def spaces(name: str | None, as_json: bool) -> None:
    """List the spaces, or show one in full."""
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

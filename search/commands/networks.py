"""`cifar-search networks`."""

import json
from typing import Any

import click

from search.commands import options

__all__ = ["networks"]


@click.command()
@options.json_output
def networks(as_json: bool) -> None:
    """List the networks that a recipe can name.

    Shows each network's size with its default options.
    """
    from rich.table import Table
    from rich.text import Text

    from cifar_core.models import TITLES
    from cifar_core.models.counting import count
    from cifar_core.recipe import Recipe
    from search.commands.printing import page_console

    found: list[dict[str, Any]] = []
    for name, title in TITLES.items():
        record = Recipe.read({"network": {"name": name}}).network
        counts = count(record)
        found.append(
            {
                "name": name,
                "title": title,
                "parameters": counts.parameters,
                "multiply_adds": counts.multiply_adds,
                "options": record.model_dump(mode="json", exclude={"name"}),
            }
        )
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for heading in ("network", "parameters", "multiply-adds", "description", "options"):
        right = heading in {"parameters", "multiply-adds"}
        table.add_column(heading, justify="right" if right else "left", no_wrap=right)
    for one in found:
        sizes = (f"{one['parameters']:,}", f"{one['multiply_adds']:,}")
        table.add_row(*map(Text, (one["name"], *sizes, one["title"], ", ".join(one["options"]))))
    console = page_console()
    console.print(table)
    console.print("Multiply-adds are per 32x32 image.", style="dim")

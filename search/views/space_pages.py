"""Tables and pages of spaces for the terminal."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cifar_core.records import flatten
from search.command_lines import command_line
from search.formatting import counted, one_line, short
from spaces.space import Space

__all__ = ["space_list", "space_page"]


def space_list(spaces: list[Space]) -> RenderableType:
    """List spaces, a line each."""
    table = Table.grid(padding=(0, 2))
    for space in spaces:
        table.add_row(Text(space.name, style="bold"), Text(space.title))
    return Group(table, Text(), Text("Show one: cifar-search spaces NAME", style="dim"))


def space_page(space: Space, given: str) -> RenderableType:
    """Show one space in full.

    Args:
        space: The space.
        given: The name or file by which it was asked for.
    """
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    believed = any(parameter.prior is not None for parameter in space.parameters.values())
    for heading in ("parameter", "searched", *(["expected"] * believed), "sets", "when"):
        table.add_column(heading, overflow="fold")
    for name, parameter in space.parameters.items():
        conditions = ", ".join(
            f"{other} is {' or '.join(map(str, wanted))}"
            for other, wanted in parameter.when.items()
        )
        searched = parameter.described() + (" (measured)" if parameter.measured else "")
        sets = ", ".join(sorted(parameter.fields()))
        prior = parameter.prior
        expected = "" if prior is None else prior.described(log=parameter.log)
        row = (name, searched, *([expected] * believed), sets, conditions)
        table.add_row(*(Text(one_line(part)) for part in row))
    fixed = Table.grid(padding=(0, 2))
    for key, value in flatten(space.recipe).items():
        fixed.add_row(*(Text(one_line(str(part))) for part in (key, value)))
    parts: list[RenderableType] = [Text.assemble((space.name, "bold"), f": {space.title}")]
    if space.about:
        parts.append(Text(f"\n{space.about}"))
    parts += [Text(), table]
    if believed:
        parts.append(
            Text(
                "\nWhat is expected decides where a search looks first, and counts less with each trial."
            )
        )
    for name, parameter in space.parameters.items():
        if parameter.variants is not None:
            parts += [Text(f"\n{name}", style="bold"), _variants(parameter.variants)]
    if space.recipe:
        parts += [Text("\nFixed", style="bold"), fixed]
    if space.known:
        parts.append(Text("\nTried first", style="bold"))
    for known in space.known:
        parts.append(Text.assemble((known.name, "bold"), f": {known.about or short(known.values)}"))
    if space.grid is not None:
        cells, seeds = space.cell_count, space.grid.seeds
        parts.append(
            Text(
                f"\nA grid: {cells} cells, each trained to the end over {seeds} "
                f"seed{'s' if seeds > 1 else ''} (--seeds)"
                f"{', beside the published figures' if space.grid.published else ''}."
            )
        )
    if space.quick:
        changes = [f"{name} {_changed(new)}" for name, new in space.quick.ranges.items()]
        if space.grid is None:
            changes.insert(0, f"{space.quick.trials} trials")
        parts.append(
            Text(
                f"\nWithout a GPU (--scale quick): {counted(space.quick.epochs, 'epoch')}, "
                f"{'; '.join([f'{space.quick.train_images:,} training images', *changes])}"
            )
        )
    parts.append(
        Text(
            f"\nRun it: {command_line('start', space=given, trust=bool(space.builders))}",
            style="dim",
        )
    )
    return Group(*parts)


def _variants(variants: dict[str, dict[str, Any]]) -> Table:
    """The changes of each variant."""
    table = Table.grid(padding=(0, 2))
    for name, changes in variants.items():
        said = ", ".join(f"{field} {value}" for field, value in flatten(changes).items())
        table.add_row(Text(one_line(name)), Text(one_line(said) or "no change"))
    return table


def _changed(new: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in new.items())

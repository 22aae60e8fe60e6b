"""The conclusion of a confirmation in words and as a table."""

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from search.formatting import one_line, percent
from search.study.confirmation import Confirmation, Confirmed

__all__ = ["confirmation_table", "confirmation_words", "spread"]

NARROW = 75
"""Columns below which the table has no room for what is less important."""


def confirmation_words(confirmation: Confirmation) -> list[RenderableType]:
    """Return what a page shows of a confirmation: verdict, winner, table, and what its figures are.

    Args:
        confirmation: The conclusion, or what is known so far.
    """
    lead = "Confirmed: " if confirmation.ended else "Confirmation so far: "
    lines: list[RenderableType] = [
        Text.assemble((lead, "bold"), (one_line(confirmation.verdict), "bold green"))
    ]
    if (choice := _choice(confirmation)) is not None:
        lines.append(Text(f"  {one_line(choice)}"))
    lines.append(_Fitted(confirmation))
    lines.append(Text(f"  {_about(confirmation)}", style="dim"))
    for name, reason in confirmation.failures.items():
        lines.append(Text(f"  {one_line(name)} could not be trained: {one_line(reason)}", "red"))
    return lines


class _Fitted:
    """The table in the columns that fit where it is printed."""

    def __init__(self, confirmation: Confirmation) -> None:
        self._confirmation = confirmation

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        yield confirmation_table(self._confirmation, narrow=options.max_width < NARROW)


def confirmation_table(confirmation: Confirmation, narrow: bool = False) -> Table:
    """Return the contenders, the highest mean first.

    Args:
        confirmation: What is known of them.
        narrow: Leave out all but name, accuracy and number of seeds.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("", overflow="fold")
    headings = ["confirmed", "seeds", "in the\nsearch", "shrink-\nage", "multiply-\nadds"]
    compares = confirmation.reference is not None and len(confirmation.ranking) > 1
    headings += ["differ-\nence"] * compares
    for heading in headings[:2] if narrow else headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in confirmation.ranking:
        wins = one.contender.trial == confirmation.winner
        cells = [
            f"  {one_line(one.contender.name)}",
            spread(one),
            str(one.seeds),
            percent(one.contender.search_accuracy),
            f"{one.shrinkage:+z.1f}",
            f"{one.contender.multiply_adds / 1e6:.1f} M",
        ]
        if compares:
            cells.append(_against(one))
        style = "bold" if wins else "" if one.tied_with_leader else "dim"
        table.add_row(*(Text(cell) for cell in cells[: len(table.columns)]), style=style)
    return table


def spread(one: Confirmed) -> str:
    """Return a contender's mean accuracy and its interval."""
    return f"{100 * one.mean:.1f} +- {100 * one.half_width:.1f} %"


def _against(one: Confirmed) -> str:
    if one.difference is None:
        return "-"
    return f"{one.difference.points:+z.1f} +- {one.difference.half_width:.1f}"


def _choice(confirmation: Confirmation) -> str | None:
    """Return the reason why the winner is not the highest mean, or not the best of the search."""
    winner, leader = confirmation.of(confirmation.winner), confirmation.ranking[0]
    if winner is None:
        return None
    name = winner.contender.name
    if winner != leader:
        return (
            f"Winner: {name}, the cheapest of those that cannot be told apart from "
            f"{leader.contender.name}."
        )
    if confirmation.winner != confirmation.search_best:
        best = confirmation.of(confirmation.search_best)
        also = "" if best is None else f"; the best of the search was {best.contender.name}"
        return f"Winner: {name}{also}."
    return f"Winner: {name}, which was also the best of the search."


def _about(confirmation: Confirmation) -> str:
    trainings = f"{confirmation.trainings} training{'' if confirmation.trainings == 1 else 's'}"
    words = (
        f"{trainings} on fresh seeds, accuracy on {confirmation.images.described()}; +-: "
        f"{100 * confirmation.level:.0f} % intervals of seed and image noise"
    )
    reference = confirmation.reference
    to = None if reference is None else confirmation.of(reference)
    if to is not None and len(confirmation.ranking) > 1:
        words += f"; differences are to {to.contender.name}"
    if not confirmation.images.took_no_part:
        words += ". The seeds are fresh, the images are not: expect a little less on new ones"
    return f"{words}."

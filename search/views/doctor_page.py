"""The results of an examination as sections for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cifar_core.recipe import Augmentation, Net, Recipe
from search.command_lines import command_line
from search.doctor.check import Check, Section, Verdict
from search.doctor.estimate import Outlook
from search.doctor.examine import SPACE, Examination
from search.doctor.speed import Speed
from search.formatting import about, about_range, counted, one_line, short
from search.plan import Plan
from search.service.effort import seconds_of_search

__all__ = ["examination_page", "examination_to_dict"]

HEADINGS: dict[Section, str] = {
    "versions": "Versions",
    "machine": "Machine",
    "images": "Images",
    "places": "Files of a search",
    "speed": "Speed",
}
STYLES: dict[Verdict, str] = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def examination_page(found: Examination) -> RenderableType:
    """Return the whole examination: checks, speeds, estimates, and whether a search can run."""
    parts: list[RenderableType] = []
    for section, heading in HEADINGS.items():
        checks = [one for one in found.checks if one.section == section]
        parts += [Text(heading, style="bold"), _rows(checks), Text()]
    if found.outlook is not None:
        parts += [_speed_table(found.speeds), Text(), Text("Estimates", style="bold")]
        parts += [Text(f"  {line}") for line in _meaning(found.outlook, found.plan, found.speeds)]
        parts.append(Text())
    return Group(*parts, _verdict(found))


def examination_to_dict(found: Examination) -> dict[str, Any]:
    """Return the whole examination as plain JSON, with all figures of its page."""
    content = found.to_dict()
    if found.outlook is not None:
        least, most = _seconds_of_search(found.outlook, found.plan, found.speeds)
        whole = {"seconds_least": round(least, 1), "seconds_most": round(most, 1)}
        content["outlook"]["whole_search"] = {"trials": found.outlook.trials, **whole}
    return content


def _rows(checks: Sequence[Check]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in checks:
        said = Text(one_line(one.found))
        if one.advice is not None:
            said.append(f"\n{one_line(one.advice)}", style="dim")
        table.add_row(Text(f"  {one.verdict}", style=STYLES[one.verdict]), Text(one.name), said)
    return table


def _speed_table(speeds: Sequence[Speed]) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for heading, right in (
        ("images/s", False),
        ("training", True),
        ("each worker", True),
        ("scoring", True),
        ("trained as", False),
    ):
        table.add_column(heading, justify="right" if right else "left", no_wrap=right)
    for one in speeds:
        each = " ".join(f"{worker.training:,.0f}" for worker in one.workers)
        figures = (f"{one.training:,.0f}", each, f"{one.evaluation:,.0f}")
        table.add_row(*map(Text, (one.name, *figures, _described(one.recipe))))
    return table


def _meaning(outlook: Outlook, plan: Plan, speeds: Sequence[Speed]) -> list[str]:
    default, trial = outlook.default, outlook.trial
    size = f"{counted(default.epochs, 'epoch')} of {default.train_images:,} images, validation included"
    lines = [f"The default network for {size}: {about(outlook.default_seconds)}."]
    narrow, wide = outlook.trial_seconds
    if trial != default:
        size = f"{counted(trial.epochs, 'epoch')} of {trial.train_images:,} images"
        lines.append(f"A trial of a search here ({size}): {_span(narrow, wide)}.")
    else:
        lines.append(f"A trial of a search here, of the same length: {_span(narrow, wide)}.")
    whole = _seconds_of_search(outlook, plan, speeds)
    lines += [
        f"A search of {outlook.trials} trials of {SPACE}: {about_range(*whole)}, including the LR-range",
        "test, the trials that are stopped early, and the confirmation.",
    ]
    return lines


def _seconds_of_search(
    outlook: Outlook, plan: Plan, speeds: Sequence[Speed]
) -> tuple[float, float]:
    trial = outlook.trial
    return seconds_of_search(plan, (trial.train_images, trial.validation_images), speeds)


def _span(narrow: float, wide: float) -> str:
    first, last = about(narrow), about(wide)
    return first if first == last else f"{first} to {last.removeprefix('about ')}"


def _described(recipe: Recipe) -> str:
    """The fields of a recipe that decide its speed."""
    network = recipe.network
    channels = (
        {"channels1": network.channels1, "channels2": network.channels2}
        if isinstance(network, Net)
        else {}
    )
    values = {"optimizer": recipe.optimizer.name, "batch_size": recipe.batch_size, **channels}
    words = short({**values, "batch_norm": network.has_batch_norm})
    return words if recipe.augmentation == Augmentation() else f"{words} augmented"


def _verdict(found: Examination) -> Text:
    if found.works:
        command = command_line("start", space=SPACE)
        return Text.assemble(
            ("A search can run here.", "bold green"),
            f" Start one, with the same options: {command}",
        )
    failed = ", ".join(one.name for one in found.checks if one.verdict == "failed")
    return Text(f"A search cannot run here. Failed: {failed}", style="bold red")

"""The section on how to make all of this again: versions, commands, and the winner's recipe."""

import json
from collections.abc import Iterator

from search.command_lines import command_line
from search.report.markup import Markup, element
from search.report.parts import section
from search.report.record import ReportRecord
from search.views.next_steps import has_own_code, next_steps
from spaces.files import shipped_names

__all__ = ["reproduction"]


def reproduction(record: ReportRecord) -> Markup:
    """Return the section."""
    return section(
        "reproduce",
        "Reproduce it",
        *_commands(record),
        element("h3", "Versions"),
        element(
            "p",
            ", ".join(f"{name} {version}" for name, version in record.versions.items())
            or "not noted by the version that made this study",
        ),
        *_recipe(record),
    )


def _commands(record: ReportRecord) -> Iterator[Markup]:
    summary = record.summary
    settings, budget = summary.settings, summary.budget
    grid = settings.seeds is not None
    shipped = settings.space.name in shipped_names()
    start = command_line(
        "start",
        flags=record.where,
        space=settings.space.name if shipped else f"{settings.space.name}.toml",
        study=f"{summary.study}-again",
        data=record.data,
        scale=settings.scale,
        trials=None if grid else budget.trials,
        epochs=settings.space.epochs,
        train_images=settings.data.train,
        sampler=None if grid else settings.sampler,
        pruner=None if grid else settings.pruner,
        lr_bounds=settings.lr_bounds,
        confirm=None if grid else budget.confirm or "off",
        known=None if settings.known == "on" else settings.known,
        seed=settings.seed,
        seeds=settings.seeds,
        trust=has_own_code(summary),
    )
    words = "The same search from the beginning, as a study of another name"
    own = "" if shipped else f"; {settings.space.name}.toml is your space file"
    yield element("p", f"{words}{own}:")
    yield element("pre", element("code", start))
    steps = next_steps(summary, record.where, record.data)
    if steps:
        lines = "\n".join(f"{one.command}  # {one.purpose}" for one in steps)
        yield element("p", "What can be done with this study:")
        yield element("pre", element("code", lines))


def _recipe(record: ReportRecord) -> Iterator[Markup]:
    winner = record.winner
    if winner is None or winner.recipe is None:
        return
    yield element("h3", f"Recipe of trial {winner.number}")
    inside = element("pre", element("code", json.dumps(winner.recipe, indent=2)))
    summary = element("summary", f"All fields, trained with seed {winner.seed}")
    yield element("details", summary, inside)

"""Notes on studies and trials, in Markdown, as the dashboard shows them."""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence

from cifar_core.recipe import Recipe
from search.command_lines import command_line
from search.formatting import duration, how_it_ended, number, one_line, percent, short, why
from search.study.rows import TrialRow, best_rows
from search.study.study import SearchStudy

__all__ = ["attributes_of", "study_attributes", "study_note", "trial_note"]

READING = (
    "The line of best values counts complete trials only; a trial that was stopped early may lie above it.",
    "A paused trial is shown as *Running*; its attribute `status` says *paused*.",
    "The durations in the timeline include pauses; the attribute `seconds` is the time of training.",
    (
        "Hyperparameter importance compares complete trials only: with fewer than some 50 of them it is a "
        "hint, and a parameter that hardly varied among them gets 0."
    ),
)
"""Traps in optuna-dashboard's own plots."""


def attributes_of(row: TrialRow) -> dict[str, str | float]:
    """Return a trial's attributes in short: numbers, which sort, and a few words.

    The order is that in which the dashboard shows them.
    """
    last = row.history[-1] if row.history else {}
    found: dict[str, str | float | None] = {
        "status": how_it_ended(row),
        "name": row.label,
        "epochs": row.epochs,
        "seconds": round(row.seconds, 1),
        "accuracy": row.validation_accuracy,
        "train accuracy": last.get("train_accuracy"),
        "validation loss": last.get("validation_loss"),
        "reason": row.reason,
    }
    return {name: value for name, value in found.items() if value is not None}


def trial_note(row: TrialRow, searched: Container[str]) -> str:
    """Return a trial's note: its end, its last epoch and its configuration.

    Args:
        row: The trial.
        searched: Fields of the recipe that the space's parameters set, such as ``network.channels1``.
    """
    epochs = (row.recipe or {}).get("epochs")
    reason = why(row)  # not the pruner, which the first words name
    trained = f"epoch {row.epochs} of {epochs}" if epochs else f"epoch {row.epochs}"
    lines = [
        f"**{_plain(how_it_ended(row).capitalize())}** after {trained}, {duration(row.seconds)} of training"
        + (f": {_plain(reason)}" if reason else "")
        + ".",
    ]
    if row.validation_accuracy is not None:
        lines += ["", f"After its last epoch: {_last_epoch(row)}."]
    if row.label:
        lines += ["", f"Configuration: {_plain(row.label)}."]
    if row.values:
        lines += ["", f"Searched: {_plain(short(row.values))}."]
    fixed = ", ".join(f"{name} {_value(value)}" for name, value in _fixed(row, searched))
    if fixed:
        lines += ["", f"Fixed by the space: {_plain(fixed)}."]
    if row.seed is not None:
        lines += ["", f"Seed: {row.seed}."]
    return "\n".join(lines)


def study_attributes(study: SearchStudy, rows: Sequence[TrialRow]) -> dict[str, str | float]:
    """Return a study's attributes in short."""
    settings = study.settings
    best = next(iter(best_rows(list(rows))), None)
    found: dict[str, str | float | None] = {
        "trials": f"{sum(row.finished for row in rows)} of {study.budget.trials} finished",
        "best accuracy": None if best is None else percent(best.validation_accuracy),
        "searched for": duration(study.seconds),
        "images": settings.data.described(),
        "space": settings.space.name,
        "sampler": settings.sampler,
        "pruner": settings.pruner,
        "seed": settings.seed,
    }
    return {name: value for name, value in found.items() if value is not None}


def study_note(
    study: SearchStudy,
    rows: Sequence[TrialRow],
    plots: Mapping[str, str],
    where: str,
    report: str | None = None,
) -> str:
    """Return a study's note: what is searched, how it stands, how to continue.

    Args:
        study: The study.
        rows: Its trials.
        plots: Address by file name of the plots of the LR-range test.
        where: Flags that commands need to find the study.
        report: Address of the study's report; None without one.
    """
    space = study.settings.space
    ranges = [
        f"`{_code(one.parameter)}` {number(one.low)} to {number(one.high)} ({_plain(one.how)})"
        for one in study.lr_bounds() or []
    ]
    lines = [
        f"**{_plain(space.title)}**",
        "",
        "### What is searched",
        f"{len(space.parameters)} parameters of space `{_code(space.name)}`: "
        + ", ".join(f"`{_code(name)}`" for name in space.parameters)
        + ".",
        "",
        f"Images: {_plain(study.settings.data.described())}.",
    ]
    if ranges:
        lines += ["", f"Learning rates: {'; '.join(ranges)}."]
    if plots:
        shown = (f"[{_plain(name)}]({address})" for name, address in plots.items())
        lines += ["", f"Plots of the LR-range test: {', '.join(shown)}."]
    if report is not None:
        lines += ["", f"Report, to save and open in a browser: [report.html]({report})."]
    lines += [
        "",
        "### How it stands",
        *_standing(study, rows),
        "",
        "### How to continue",
        *_code_block(
            (command_line("status", study.name, flags=where), "trials, the best, what is left"),
            (
                command_line(
                    "resume", study.name, flags=where, trust=bool(study.settings.space.builders)
                ),
                "continue the search",
            ),
            (command_line("export", study.name, flags=where), "the best configuration as files"),
        ),
        "",
        "### How to read the plots",
        *(f"- {sentence}" for sentence in READING),
    ]
    return "\n".join(lines)


def _standing(study: SearchStudy, rows: Sequence[TrialRow]) -> Iterator[str]:
    states = Counter(how_it_ended(row) for row in rows)
    counted = ", ".join(f"{count} {state}" for state, count in states.most_common())
    finished = sum(row.finished for row in rows)
    yield (
        f"{finished} of {study.budget.trials} trials are finished"
        + (f" ({counted})" if counted else "")
        + f", after {duration(study.seconds)}."
    )
    best = next(iter(best_rows(list(rows))), None)
    if best is not None:
        name = f" ({_plain(best.label)})" if best.label else ""
        yield ""
        yield (
            f"Best so far: trial {best.number}{name} with "
            f"{percent(best.validation_accuracy)} validation accuracy. The best of many single runs is "
            "partly luck; retrain it over several seeds before trusting it."
        )


def _last_epoch(row: TrialRow) -> str:
    last = row.history[-1] if row.history else {}
    found = [f"{percent(row.validation_accuracy)} validation accuracy"]
    if isinstance(last.get("train_accuracy"), int | float):
        found.append(f"{percent(last['train_accuracy'])} training accuracy")
    for key, name in (("validation_loss", "validation loss"), ("train_loss", "training loss")):
        if isinstance(last.get(key), int | float):
            found.append(f"{name} {last[key]:.3f}")
    return ", ".join(found)


def _fixed(row: TrialRow, searched: Container[str]) -> list[tuple[str, object]]:
    """Return the recipe's fields that differ from their defaults and were not searched."""
    if row.recipe is None:
        return []
    defaults = dict(_flat(Recipe().model_dump(mode="json")))
    return [
        (name, value)
        for name, value in _flat(row.recipe)
        if name not in searched and defaults.get(name, value) != value
    ]


def _flat(plain: Mapping[str, object], before: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in plain.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}.")
        else:
            found.append((f"{before}{name}", value))
    return found


def _code_block(*commands: tuple[str, str]) -> Iterator[str]:
    width = max(len(command) for command, _ in commands)
    yield "```"
    for command, meaning in commands:
        yield f"{one_line(command).ljust(width)}  # {meaning}"
    yield "```"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(text: str) -> str:
    """Return a text in which no character means anything to Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!])", r"\\\1", one_line(text))


def _code(text: str) -> str:
    return one_line(text).replace("`", "'")

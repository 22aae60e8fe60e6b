"""The section on what was searched: parameters with their ranges, what was fixed, and the images."""

from collections.abc import Iterator

from search.formatting import number, one_line
from search.report.markup import Markup, element
from search.report.parts import section, table, value_words
from search.report.record import ReportRecord
from spaces.parameter import Parameter

__all__ = ["searched"]

POLICIES = {
    "freeze-thaw": "freeze-thaw: a model of all training curves chooses what is trained next",
    "promotion": "promotion: trials pause at rungs and the best continue",
    "halving": "successive halving, which stops trials for good",
    "hyperband": "hyperband, which stops trials for good",
    "median": "the median rule, which stops trials for good",
    "none": "none: every trial is trained to its end",
}


def searched(record: ReportRecord) -> Markup:
    """Return the section."""
    settings, winner = record.summary.settings, record.winner
    found = {} if winner is None else winner.values
    rows = [
        (one_line(name), _range(one), _when(one), value_words(found.get(name)))
        for name, one in record.space.parameters.items()
    ]
    headings = ("parameter", "searched", "applies", "winner" if winner else "-")
    facts = element(
        "dl",
        *(
            element("div", element("dt", name), element("dd", words))
            for name, words in _facts(record)
        ),
        class_="facts",
    )
    about = [element("p", one_line(settings.space.about))] if settings.space.about else []
    return section(
        "searched",
        "What was searched, and what won" if winner else "What was searched",
        *about,
        facts,
        table(headings, rows, caption=f"{len(rows)} parameters of {settings.space.name}"),
    )


def _facts(record: ReportRecord) -> Iterator[tuple[str, str]]:
    settings = record.summary.settings
    yield "images", settings.data.described()
    scale = (
        "" if settings.scale == "full" else " (a quick run: smaller than the space's full version)"
    )
    yield "space", f"{settings.space.name}{scale}"
    yield "epochs of a complete trial", str(settings.space.epochs)
    if settings.seeds is not None:
        yield "trainings of each cell", str(settings.seeds)
    else:
        yield "early stopping", POLICIES.get(settings.pruner, settings.pruner)
    yield "seed", str(settings.seed)
    if settings.space.known:
        yield "tried first", ", ".join(one_line(one.name) for one in settings.space.known)
    for one in record.summary.bounds if not record.lr_curves else ():
        low, high = number(one.low), number(one.high)
        yield one_line(one.parameter), f"{low} to {high}, {one_line(one.how)}"


def _range(parameter: Parameter) -> str:
    if parameter.options is not None:
        return ", ".join(one_line(one) for one in parameter.choice_names)
    low, high = parameter.extremes()
    log = ", log" if parameter.log else ""
    zero = "" if parameter.zero is None else f", or 0 ({100 * parameter.zero:g} %)"
    return f"{value_words(low)} to {value_words(high)}{log}{zero}"


def _when(parameter: Parameter) -> str:
    words = [
        f"{name} {' or '.join(value_words(one) for one in wanted)}"
        for name, wanted in parameter.when.items()
    ]
    return f"with {' and '.join(map(one_line, words))}" if words else "always"

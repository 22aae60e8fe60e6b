"""An LR-range test as words, a table and charts."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cifar_core.plots.lr_curve import Curve
from search.chart import chart
from search.corners import curves_document
from search.lr_report import Report
from search.wording import number, one_line, short

__all__ = ["curves_of", "report_page", "stored_curves"]

READ = (
    *("lr", "loss", "smoothed", "start"),
    *("steepest", "minimum", "divergence", "low", "high", "suggested"),
)
CHART_HEIGHT = 14
WIDEST_CHART = 100


def report_page(report: Report, width: int, *, ascii_only: bool) -> RenderableType:
    """The whole report: a chart for each learning rate, a table, and what to do.

    Args:
        report: What was found.
        width: Columns there are.
        ascii_only: The terminal cannot show braille.
    """
    parts: list[RenderableType] = []
    for parameter, curves in curves_of(report).items():
        bounds = next((one for one in report.bounds if one.parameter == parameter), None)
        parts += [
            Text(f"\n{one_line(parameter)}: loss against learning rate", style="bold"),
            chart(
                curves,
                min(width, WIDEST_CHART),
                CHART_HEIGHT,
                bounds=(bounds.low, bounds.high) if bounds else None,
                suggested=bounds.suggested if bounds else None,
                ascii_only=ascii_only,
            ),
        ]
    parts += [Text(), _table(report), Text(), *_advice(report), Text()]
    seeds = f"{report.seeds} seed{'s' if report.seeds > 1 else ''} each"
    parts.append(
        Text(
            f"Losses on training pictures of {report.data.described()}; {seeds}, from {report.seed}. "
            f"Cost: {report.epochs:.1f} epochs.",
            style="dim",
        )
    )
    return Group(*parts)


def curves_of(report: Report) -> dict[str, list[Curve]]:
    """The curves of each learning-rate parameter."""
    return stored_curves(curves_document(report.corners, report.findings)["corners"])


def stored_curves(corners: Sequence[Mapping[str, Any]]) -> dict[str, list[Curve]]:
    """The curves of each learning-rate parameter, from what is kept of each corner as plain JSON."""
    found: dict[str, list[Curve]] = {}
    for corner, label in zip(corners, _labels([one["values"] for one in corners]), strict=True):
        found.setdefault(corner["parameter"], []).append(
            Curve(
                label=label or "smoothed loss",
                minima=[(one["lr"], one["loss"]) for one in corner["minima"]],
                **{name: corner[name] for name in READ},
            )
        )
    return found


def _table(report: Report) -> Table:
    labels = _labels([corner.values for corner in report.corners])
    table = Table(box=None, padding=(0, 2), pad_edge=False, header_style="bold")
    for heading in ("learning rate", *(["at"] if any(labels) else []), "steepest", "minima"):
        table.add_column(heading)
    for heading in ("back at start", "search", "start at", "epochs"):
        table.add_column(heading)
    for corner, label, finding in zip(report.corners, labels, report.findings, strict=True):
        bounds = "inconclusive"
        if finding.low is not None and finding.high is not None:
            bounds = f"{number(finding.low)} to {number(finding.high)}"
        cells = (
            one_line(corner.parameter),
            *([label] if any(labels) else []),
            _rate(finding.steepest),
            ", ".join(number(one.lr) for one in finding.minima) or "-",
            _rate(finding.divergence),
            bounds,
            _rate(finding.suggested),
            f"{finding.epochs:.1f}",
        )
        table.add_row(*map(Text, cells))
    return table


def _advice(report: Report) -> list[Text]:
    """What to do, a line for each learning rate; why not, where there is no conclusion."""
    lines = [
        Text.assemble(
            (f"{one_line(one.parameter)}: ", "bold"),
            f"search between {number(one.low)} and {number(one.high)}"
            + (f"; start at {number(one.suggested)}" if one.suggested is not None else "")
            + f" ({one.how}).",
        )
        for one in report.bounds
    ]
    if not lines:
        labels = _labels([corner.values for corner in report.corners])
        lines = [
            Text.assemble((f"{label}: " if label else "", "bold"), finding.words)
            for label, finding in zip(labels, report.findings, strict=True)
        ]
    return lines


def _labels(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """What differs between configurations; learning rates, which were swept, are left out."""
    seen: dict[str, set[Any]] = {}
    for one in values:
        for name, value in one.items():
            seen.setdefault(name, set()).add(value)
    varied = [name for name in seen if len(seen[name]) > 1 and not name.endswith("lr")]
    return [short({name: one[name] for name in varied if name in one}) for one in values]


def _rate(value: float | None) -> str:
    return "-" if value is None else number(value)

"""An LR-range test as words, a table and charts."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.formatting import number, one_line
from search.lr_range.curves import curves_of, labels_of
from search.lr_range.report import Report
from search.views.lr_chart import chart

__all__ = ["report_page"]

CHART_HEIGHT = 14
WIDEST_CHART = 100


def report_page(report: Report, width: int, *, ascii_only: bool) -> RenderableType:
    """Return the whole report: a chart for each learning rate, a table, and advice.

    Args:
        report: The report.
        width: Columns of the terminal.
        ascii_only: Avoid braille characters, which the terminal cannot show.
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
            f"Losses on training images of {report.data.described()}; {seeds}, from seed {report.seed}. "
            f"Cost: {report.epochs:.1f} epochs.",
            style="dim",
        )
    )
    return Group(*parts)


def _table(report: Report) -> Table:
    labels = labels_of([corner.values for corner in report.corners])
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
    """Advice, a line for each learning rate, or the reason why there is none."""
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
        labels = labels_of([corner.values for corner in report.corners])
        lines = [
            Text.assemble((f"{label}: " if label else "", "bold"), finding.words)
            for label, finding in zip(labels, report.findings, strict=True)
        ]
    return lines


def _rate(value: float | None) -> str:
    return "-" if value is None else number(value)

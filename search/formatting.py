"""Wording of figures, times and trials, the same in every view and report."""

import re
from collections.abc import Iterable, Sequence

from cifar_core.text_files import one_line
from search.events import BoundsFound
from search.study.rows import TrialRow
from spaces.parameter import Value
from spaces.space import Values

__all__ = [
    "about",
    "bounds_line",
    "counted",
    "cut",
    "duration",
    "how_it_ended",
    "number",
    "one_line",
    "percent",
    "points",
    "short",
    "why",
    "words_for_cut_batches",
    "words_for_foreign",
]


def percent(accuracy: float | None) -> str:
    """Format an accuracy between 0 and 1 in percent.

    >>> percent(0.5432), percent(None)
    ('54.3 %', '-')
    """
    return "-" if accuracy is None else f"{100 * accuracy:.1f} %"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "trial"), counted(2, "trial")
    ('1 trial', '2 trials')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def points(difference: float) -> str:
    """Format the difference of two accuracies, each between 0 and 1, in percentage points.

    >>> points(0.123), points(-0.0001)
    ('+12.3 points', '+0.0 points')
    """
    return f"{100 * difference:+z.1f} points"


def number(value: float) -> str:
    """Format a number with two significant digits; larger ones keep their integer part.

    >>> number(0.00213), number(0.4), number(1e-5), number(128)
    ('0.0021', '0.4', '1e-5', '128')
    """
    if abs(value) >= 99.5:
        return f"{value:.0f}"
    return f"{value:.2g}".replace("e-0", "e-")


def duration(seconds: float) -> str:
    """Format a time, to the second below an hour.

    >>> duration(45), duration(500), duration(3900), duration(90000)
    ('45 s', '8 min 20 s', '1 h 5 min', '1 d 1 h')
    """
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    counted = [(days, "d"), (hours, "h"), (minutes, "min"), (0 if hours or days else rest, "s")]
    parts = [f"{count} {unit}" for count, unit in counted if count]
    return " ".join(parts[:2]) or "0 s"


def about(seconds: float) -> str:
    """Format an estimated time, rounded to tens of seconds or to minutes.

    >>> about(42), about(500)
    ('about 40 s', 'about 8 min')
    """
    step = 60 if seconds >= 120 else 10
    return f"about {duration(max(step, step * round(seconds / step)))}"


ALIKE = 1.25
"""Two estimates of which the larger is less than this times the smaller are shown as one."""


def about_range(low: float, high: float) -> str:
    """Format an estimated time that lies between two.

    >>> about_range(400, 620), about_range(400, 410), about_range(30, 100)
    ('7 to 10 min', 'about 7 min', '30 to 100 s')
    """
    if about(low) == about(high) or high < ALIKE * low:
        return about((low + high) / 2)
    if high < 120:
        return f"{10 * round(low / 10)} to {10 * round(high / 10)} s"
    if high < 7200:
        return f"{max(1, round(low / 60))} to {round(high / 60)} min"
    return f"{low / 3600:.1f} to {high / 3600:.1f} h"


def cut(text: str, width: int) -> str:
    """Return `text` on one line of at most `width` characters.

    >>> cut("out of memory", 10)
    'out of ...'
    """
    line = one_line(text)
    return line if len(line) <= width else f"{line[: max(0, width - 3)]}..."


def short(values: Values, width: int | None = None) -> str:
    """Return parameters on one line, the most important first.

    Args:
        values: Parameters by name.
        width: Most characters, beyond which parameters are left out whole; None for no limit.

    >>> short({"sgd_lr": 0.0213, "optimizer": "sgd", "channels1": 24, "channels2": 48})
    'sgd lr 0.021 channels 24/48'
    """
    parts = [one_line(part) for part in _parts(values)]
    line = " ".join(parts)
    while width is not None and len(line) > width and len(parts) > 1:
        parts.pop()
        line = " ".join([*parts, "..."])
    return line if width is None else cut(line, width)


def how_it_ended(row: TrialRow) -> str:
    """Return the end of a trial in a word or two.

    Optuna's word for a trial that was stopped early is `pruned`.
    """
    return {"complete": "complete", "pruned": "stopped early", "failed": "failed"}.get(
        row.state, row.state
    )


def why(row: TrialRow) -> str | None:
    """Return why a trial ended before its last epoch; None if the pruner stopped it."""
    if row.reason is None or row.ending == "pruner":
        return None
    return one_line(row.reason)


def bounds_line(bounds: BoundsFound) -> str:
    """Return the range of a learning rate and its origin in a line."""
    low, high = number(bounds.low), number(bounds.high)
    return one_line(f"{bounds.optimizer} lr {low} to {high}, {bounds.how}")


def _parts(values: Values) -> Iterable[str]:
    left = dict(values)
    for name in sorted(left, key=_rank):
        if name not in left:
            continue
        stem = re.sub(r"_?\d+$", "", name)
        family = [other for other in left if re.fullmatch(rf"{re.escape(stem)}_?\d+", other)]
        if len(family) > 1:
            yield f"{_plain(stem)} {'/'.join(_value(left.pop(other)) for other in family)}"
        else:
            yield _part(name, left.pop(name))


def _rank(name: str) -> int:
    """Position of a parameter; those of equal rank keep the order of the space."""
    if _is_lr(name):
        return 1
    first = {"optimizer": 0, "batch_size": 2, "batch_norm": 4, "schedule": 5}
    return first.get(name, 3 if re.search(r"\d$", name) else 6)


def _part(name: str, value: Value) -> str:
    if name in {"optimizer", "schedule"}:
        return _plain(str(value))
    shown = "lr" if _is_lr(name) else _plain(name)
    shown = {"batch size": "batch", "batch norm": "bn"}.get(shown, shown)
    if isinstance(value, bool):
        return shown if value else f"no {shown}"
    return f"{shown} {_value(value)}"


def _is_lr(name: str) -> bool:
    """Each optimizer has its own learning rate: ``sgd_lr``, ``adam_lr``."""
    return name == "lr" or name.endswith("_lr")


def _value(value: Value) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def words_for_foreign(numbers: Sequence[int]) -> str:
    """Say that trials of another program do not count.

    >>> words_for_foreign([3]), words_for_foreign([3, 5])[:24]
    ('Trial 3 was added by another program and does not count.', 'Trials 3, 5 were added b')
    """
    listed = ", ".join(map(str, numbers))
    if len(numbers) > 1:
        return f"Trials {listed} were added by another program and do not count."
    return f"Trial {listed} was added by another program and does not count."


def words_for_cut_batches(batch_size: int, images: int) -> str:
    """Say that a batch has fewer images than its size asks for."""
    return (
        f"batch_size is {batch_size}, but there are {images} training images: each batch is cut to all of "
        "them. Choose a smaller one, or raise --train-images."
    )

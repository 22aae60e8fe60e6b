"""Charts as SVG, in colours of the page: a frame with two scales, and marks that are added to it.

Each chart is drawn once for a wide page and once for a narrow one, so that its letters have the same size
on both; the page shows one of them.
"""

import math
from collections.abc import Callable, Sequence

from search.report.markup import Markup, element, joined
from search.report.scale import Scale

__all__ = ["NARROW", "WIDE", "Frame", "figure", "picture"]

WIDE, NARROW = 720.0, 340.0
"""Widths in which charts are drawn, in CSS pixels."""
LETTER = 6.6
"""About the width of a letter, in pixels."""
LINE = 16.0

Place = tuple[float, float]


class Frame:
    """A rectangle with a horizontal and a vertical scale, and what is drawn in it.

    Args:
        width: Of the whole chart, in pixels.
        height: Of the whole chart.
        across: The horizontal scale.
        up: The vertical scale.
        across_name: What the horizontal scale means; nothing if empty.
        up_name: What the vertical scale means; it stands above the frame.
        left: Room left of the frame; by default for the labels of the vertical scale.
        right: Room right of the frame.
        names: The vertical scale has names: they have no lines, and begin at the top.
    """

    def __init__(
        self,
        width: float,
        height: float,
        across: Scale,
        up: Scale,
        *,
        across_name: str = "",
        up_name: str = "",
        left: float | None = None,
        right: float = 12.0,
        names: bool = False,
    ) -> None:
        self.width, self.height = width, height
        self._across, self._up, self._names = across, up, names
        longest = max((len(label) for _, label in up.ticks), default=0)
        self.left = longest * LETTER + 14.0 if left is None else left
        self.right = width - right
        self.top = 26.0 if up_name else 8.0
        self.bottom = height - (42.0 if across_name else 24.0)
        self._marks: list[Markup] = [*self._grid()]
        if up_name:
            self.text(0.0, 13.0, up_name, class_="axis")
        if across_name:
            self.text(self.right, height - 5.0, across_name, class_="axis", anchor="end")

    def x(self, value: float) -> float:
        """Return the pixel of a value from the left."""
        return self.left + self._across.part(value) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return the pixel of a value from the top."""
        part = self._up.part(value)
        return self.top + (part if self._names else 1.0 - part) * (self.bottom - self.top)

    def add(self, *marks: Markup) -> None:
        """Draw marks over those that are there."""
        self._marks += marks

    def line(self, points: Sequence[Place], class_: str, *, steps: bool = False) -> None:
        """Draw a line through points; one that is not finite is a gap.

        Args:
            points: (x, y) in values.
            class_: Its look.
            steps: It is level up to the next point.
        """
        words, pen, before = [], "M", 0.0
        for across, up in points:
            if not (math.isfinite(across) and math.isfinite(up)):
                pen = "M"
                continue
            x, y = self.x(across), self.y(up)
            if steps and pen == "L":
                words.append(f"L{_shown(x)} {_shown(before)}")
            words.append(f"{pen}{_shown(x)} {_shown(y)}")
            pen, before = "L", y
        if words:
            self.add(element("path", d="".join(words), class_=class_))

    def band(self, points: Sequence[tuple[float, float, float]], class_: str) -> None:
        """Shade what lies between two lines, given as (x, low, high) in values."""
        there = [(self.x(x), low, high) for x, low, high in points]
        upper = [f"{_shown(x)} {_shown(self.y(high))}" for x, _, high in there]
        lower = [f"{_shown(x)} {_shown(self.y(low))}" for x, low, _ in reversed(there)]
        self.add(element("path", d=f"M{'L'.join(upper + lower)}Z", class_=class_))

    def dot(self, across: float, up: float, class_: str, title: str = "", r: float = 3.5) -> None:
        """Draw a dot; `title` is shown when a pointer rests on it."""
        if math.isfinite(across) and math.isfinite(up):
            said = [element("title", title)] if title else []
            place = {"cx": self.x(across), "cy": self.y(up)}
            self.add(element("circle", *said, r=r, class_=class_, **place))

    def across(self, up: float, class_: str) -> None:
        """Draw a level line through the whole frame."""
        y = self.y(up)
        self.add(element("line", x1=self.left, x2=self.right, y1=y, y2=y, class_=class_))

    def upright(self, across: float, class_: str) -> None:
        """Draw an upright line through the whole frame."""
        x = self.x(across)
        self.add(element("line", x1=x, x2=x, y1=self.top, y2=self.bottom, class_=class_))

    def whisker(self, low: float, high: float, up: float, class_: str) -> None:
        """Draw a level interval with ends."""
        x1, x2, y = self.x(low), self.x(high), self.y(up)
        path = f"M{_shown(x1)} {_shown(y)}H{_shown(x2)}"
        for x in (x1, x2):
            path += f"M{_shown(x)} {_shown(y - 4)}v8"
        self.add(element("path", d=path, class_=class_))

    def bar(self, low: float, high: float, up: float, thickness: float, class_: str) -> None:
        """Draw a level bar."""
        x1, x2, y = self.x(low), self.x(high), self.y(up)
        shape = {"x": x1, "y": y - thickness / 2, "width": max(0.0, x2 - x1), "height": thickness}
        self.add(element("rect", class_=class_, **shape))

    def text(
        self, x: float, y: float, words: str, class_: str = "label", anchor: str | None = None
    ) -> None:
        """Write words at a pixel."""
        self.add(element("text", words, x=x, y=y, class_=class_, text_anchor=anchor))

    def drawn(self, words: str) -> Markup:
        """Return the chart; `words` say what it shows to who cannot see it."""
        return picture(self.width, self.height, words, *self._marks)

    def _grid(self) -> list[Markup]:
        marks = []
        for value, label in self._up.ticks:
            y = self.y(value)
            if not self._names:
                place = {"x1": self.left, "x2": self.right, "y1": y, "y2": y}
                marks.append(element("line", class_="grid", **place))
            x, where = (0.0, None) if self._names else (self.left - 7.0, "end")
            marks.append(element("text", label, x=x, y=y + 4.0, class_="tick", text_anchor=where))
        free = -math.inf
        for value, label in self._across.ticks:
            x, half = self.x(value), len(label) * LETTER / 2
            marks.append(
                element("line", x1=x, x2=x, y1=self.bottom, y2=self.bottom + 4.0, class_="mark")
            )
            if x - half < free:
                continue  # it would stand on its neighbour
            free = x + half + 4.0
            shift = max(0.0, x + half - self.width)
            place = {"x": x - shift, "y": self.bottom + LINE}
            marks.append(element("text", label, class_="tick", text_anchor="middle", **place))
        base = {"x1": self.left, "x2": self.right, "y1": self.bottom, "y2": self.bottom}
        return [*marks, element("line", class_="mark", **base)]


def picture(width: float, height: float, words: str, *marks: Markup) -> Markup:
    """Return marks as an SVG picture with an alternative text."""
    return element(
        "svg",
        *marks,
        viewBox=f"0 0 {_shown(width)} {_shown(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=words,
        class_="wide" if width > NARROW else "narrow",
    )


def figure(draw: Callable[[float], Markup], *caption: str, legend: Markup | None = None) -> Markup:
    """Return a chart in both widths, with its legend and its caption.

    Args:
        draw: Draws it in a width.
        caption: What it shows; texts and markup.
        legend: What its marks mean, or None.
    """
    shown = [] if legend is None else [legend]
    return element(
        "figure", *shown, draw(WIDE), draw(NARROW), element("figcaption", joined(*caption))
    )


def _shown(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

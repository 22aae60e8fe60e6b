"""The sections on images: the winner's accuracy by class, its confusions, and its augmentation."""

import base64

from search.formatting import percent
from search.report.chart import NARROW, Frame, figure, picture
from search.report.markup import Markup, element
from search.report.parts import called, missing, section
from search.report.record import Diagnosis, Missing, ReportRecord
from search.report.scale import linear_scale, name_scale

__all__ = ["augmentation", "classes"]

ROW = 24.0
NOTABLE = 0.002
"""Difference from the noted accuracy, 0-1, that another device's rounding does not explain."""
DARK = 0.5
"""Share from which a cell is so dark that its number must be light."""


def classes(record: ReportRecord) -> Markup:
    """Return the section on the winner's classes."""
    found, heading = record.diagnosis, "The winner, class by class"
    if isinstance(found, Missing):
        return section("classes", heading, missing(found.reason))
    images = sum(map(sum, found.confusion))
    row = next(row for row in record.rows if row.number == found.trial)
    about = (
        f"The network of {called(row)} from {found.origin}, on the {images:,} validation images: "
        f"{percent(found.accuracy)} are classified right. The test split was not opened."
    )
    searched = found.origin == "the search" and row.validation_accuracy is not None
    if searched and abs(row.score - found.accuracy) > NOTABLE:
        about += f" The search noted {percent(row.validation_accuracy)} for it."
    worst = _worst(found)
    confused = [element("p", worst)] if worst else []
    return section(
        "classes", heading, element("p", about), _accuracies(found), *confused, _confusion(found)
    )


def _accuracies(found: Diagnosis) -> Markup:
    listed = ", ".join(f"{name} {percent(one)}" for name, one in found.per_class.items())

    def draw(width: float) -> Markup:
        frame = Frame(
            width,
            ROW * len(found.classes) + 50.0,
            linear_scale([0.0, 100.0], 4 if width == NARROW else 10),
            name_scale(found.classes),
            across_name="accuracy, %",
            left=7.2 * max(map(len, found.classes)) + 12.0,
            right=40.0,
            names=True,
        )
        for index, one in enumerate(found.per_class.values()):
            if one is not None:
                frame.bar(0.0, 100 * one, index, 14.0, "bar c1")
                frame.text(frame.x(100 * one) + 6.0, frame.y(index) + 4.0, f"{100 * one:.0f}")
        frame.upright(100 * found.accuracy, "reference ink")
        return frame.drawn(f"Accuracy by class: {listed}.")

    return figure(
        draw, "Accuracy by class; the dashed line is the accuracy of all classes together."
    )


def _worst(found: Diagnosis) -> str:
    names = found.classes
    pairs = [
        (count, names[true], names[guess])
        for true, line in enumerate(found.confusion)
        for guess, count in enumerate(line)
        if true != guess and count
    ]
    first = sorted(pairs, reverse=True)[:3]
    if not first:
        return ""
    listed = ", ".join(f"{true} as {guess} ({count})" for count, true, guess in first)
    return f"Most often confused: {listed}."


def _confusion(found: Diagnosis) -> Markup:
    names, size = found.classes, len(found.classes)

    def draw(width: float) -> Markup:
        narrow = width == NARROW
        left, top = (52.0, 52.0) if narrow else (76.0, 64.0)
        cell = min((width - left - 2.0) / size, 46.0)
        marks = []
        for true, line in enumerate(found.confusion):
            total = max(sum(line), 1)
            y = top + true * cell
            name = {"x": left - 6.0, "y": y + cell / 2 + 4.0}
            marks.append(element("text", names[true], class_="tick", text_anchor="end", **name))
            for guess, count in enumerate(line):
                share = count / total
                x = left + guess * cell
                shape = {"x": x, "y": y, "width": cell - 1.0, "height": cell - 1.0}
                said = element("title", f"{names[true]} taken for {names[guess]}: {count}")
                marks.append(element("rect", class_="cell", **shape))
                look = {"fill_opacity": share**0.7}
                marks.append(element("rect", said, class_="cell-share", **shape, **look))
                if count:
                    where = {"x": x + cell / 2 - 0.5, "y": y + cell / 2 + 4.0}
                    on = "cell-number on-dark" if share > DARK else "cell-number"
                    marks.append(
                        element("text", str(count), class_=on, text_anchor="middle", **where)
                    )
        for guess, name_ in enumerate(names):
            x, y = left + guess * cell + cell / 2 + 4.0, top - 7.0
            turned = f"rotate(-45 {x:.1f} {y:.1f})"
            marks.append(element("text", name_, class_="tick", x=x, y=y, transform=turned))
        right = sum(line[index] for index, line in enumerate(found.confusion))
        words = f"Confusion matrix: {right} images on the diagonal are classified right. {_worst(found)}"
        return picture(width, top + size * cell + 4.0, words, *marks)

    return figure(
        draw, "Confusion matrix in images: the row is the true class, the column the predicted one."
    )


def augmentation(record: ReportRecord) -> Markup:
    """Return the section with the sheet of augmented images."""
    found, heading = record.sheet, "Augmented training images"
    if isinstance(found, Missing):
        return section("augmentation", heading, missing(found.reason))
    names = (element("span", name) for name in found.classes)
    same = " No image is changed by it." if found.unchanged else ""
    words = (
        f"{len(found.classes)} training images, each first as it is and then {found.columns - 1} times as "
        f"the winner's training sees it. Augmentation: {found.words}.{same}"
    )
    source = f"data:image/png;base64,{base64.b64encode(found.png).decode()}"
    sheet = element(
        "div",
        element("div", *names, class_="sheet-names", aria_hidden="true"),
        element("img", src=source, alt=words),
        class_="sheet",
    )
    return section("augmentation", heading, element("figure", sheet, element("figcaption", words)))

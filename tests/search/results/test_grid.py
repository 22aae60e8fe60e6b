"""How the table of a grid looks."""

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from search.results.grid import Cell, cells_of, incomparable
from search.views.grid_table import grid_table
from spaces.files import load_space, shipped_names
from spaces.grid import Published
from spaces.reading import read_space
from spaces.space import Space
from tests.search.scripted import DATA, settings_of

GRIDS = [name for name in shipped_names() if load_space(name).grid is not None]


def shown(space: Space, cells: list[Cell]) -> list[str]:
    console = Console(file=StringIO(), width=120, highlight=False)
    console.print(grid_table(space, cells, "CIFAR-10, 45,000 training / 5,000 validation"))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def cell(values: dict[str, object], published: Published | None = None, **found: object) -> Cell:
    empty: dict[str, object] = {
        "accuracies": (),
        "train_losses": (),
        "train_accuracies": (),
        "epochs": (),
    }
    return Cell(values, published, **{**empty, **found})  # type: ignore[arg-type]


def text_of(
    space: Space, cells: list[Cell], width: int = 120, incomparable: str | None = None
) -> str:
    console = Console(file=StringIO(), width=width, highlight=False)
    console.print(grid_table(space, cells, "CIFAR-10", incomparable))
    return console.file.getvalue()  # type: ignore[attr-defined]


def words(line: str) -> list[str]:
    return line.split()


def test_published_and_measured_stand_side_by_side() -> None:
    space = load_space("batch_size")
    cells = cells_of(space, [])
    cells[0] = cell({"batch_size": 16}, cells[0].published, accuracies=(0.63, 0.65))
    cells[1] = cell({"batch_size": 32}, cells[1].published, accuracies=(0.6,))
    heading, first, second, third, *_ = shown(space, cells)
    assert words(heading) == ["batch", "size", "published", "measured", "n"]
    assert words(first) == ["16", "65", "%", "64.0", "+-", "1.4", "%", "2"]
    assert words(second) == ["32", "63", "%", "60.0", "%", "1"]
    assert words(third) == ["64", "56", "%", "-", "0"]


def test_the_figures_say_what_they_were_measured_on() -> None:
    text = " ".join(shown(load_space("batch_size"), cells_of(load_space("batch_size"), [])))
    assert (
        "measured: validation accuracy after 12 epochs on CIFAR-10, 45,000 training / 5,000 validation"
        in text
    )
    assert "published: test accuracy after 12 epochs, official images, one run each" in text


def test_losses_stand_there_where_they_were_published() -> None:
    space = load_space("flip")
    cells = cells_of(space, [])
    cells[0] = cell(
        {"flip": 0.0}, cells[0].published, accuracies=(0.5, 0.5), train_losses=(1.2, 1.3)
    )
    first_heading, second_heading, first, *_ = shown(space, cells)
    assert first_heading.split() == ["published", "measured"]
    assert second_heading.split() == ["flip", "published", "measured", "n", "loss", "loss"]
    assert first.split()[-2:] == ["1.209", "1.250"]


def test_training_accuracy_stands_there_where_it_was_published() -> None:
    space = load_space("resnet9")
    _, heading, first, *_ = shown(space, cells_of(space, []))
    assert heading.split()[-2:] == ["train", "train"]
    assert first.split()[-3:] == ["99", "%", "-"]


def test_accuracy_after_each_epoch_stands_there_where_it_was_published() -> None:
    space = load_space("optimizer")
    cells = cells_of(space, [])
    cells[0] = cell({"optimizer": "SGD"}, cells[0].published, epochs=(0.17, 0.28))
    lines = shown(space, cells)
    by_epoch = words("16 29 36 40 43 46 48 50 51 53 55 56")
    assert ["SGD,", "published", *by_epoch] in map(words, lines)
    assert ["SGD,", "measured", "17", "28"] in map(words, lines)


def test_a_published_range_is_shown_as_one() -> None:
    assert any(
        "88-90 %" in line
        for line in shown(load_space("downsampling"), cells_of(load_space("downsampling"), []))
    )


@pytest.mark.parametrize("name", GRIDS)
def test_every_shipped_grid_has_a_table_of_all_its_cells(name: str) -> None:
    space = load_space(name)
    cells = cells_of(space, [])
    assert len(cells) == len(space.cells())
    assert len(shown(space, cells)) > len(cells)
    assert [one["n"] for one in [one.to_dict() for one in cells]] == [0] * len(cells)
    assert space.grid is not None
    assert sum(one.published is not None for one in cells) == len(space.grid.published)


@pytest.mark.parametrize(
    ("changes", "data", "words"),
    [
        ({}, {}, None),
        ({}, {"train": 500}, "they are of 45,000 training images, and these of 500."),
        ({}, {"name": "cifar100"}, "they are of CIFAR-10, and these of CIFAR-100."),
        ({}, {"name": "folder", "classes": ["a", "b"]}, "and these of own images of 2 classes."),
        ({"epochs": 1}, {}, "they are of up to 12 epochs, and these of 1."),
        ({"scale": "quick"}, {}, "this is a quick run."),
    ],
)
def test_figures_that_must_not_be_compared_stand_alone_and_say_why(
    changes: dict[str, Any], data: dict[str, Any], words: str | None
) -> None:
    space = load_space("batch_size").with_epochs(changes.pop("epochs", 12))
    images = DATA.model_copy(update={"official": True, "train": 45_000, **data})
    settings = settings_of(space, data=images, **changes)
    why = incomparable(settings)
    cells = cells_of(space, [], comparable=why is None)
    text = " ".join(text_of(space, cells, incomparable=why).split())
    if words is None:
        assert why is None
        assert "published" in text.split()
        return
    assert words in text
    assert {one.published for one in cells} == {None}
    assert "published" not in text.split()
    assert "56 %" not in text


def test_trainings_without_a_figure_are_counted() -> None:
    space = load_space("flip")
    cells = [replace(one, lost=2) for one in cells_of(space, [])]
    assert "Excluded: 4 trainings that diverged or failed." in text_of(space, cells)


def test_published_figures_keep_their_digits() -> None:
    space = load_space("flip")
    values = {"flip": 0.0}
    for accuracy, shown_as in ((0.945, "94.5 %"), (0.5, "50 %"), ([0.875, 0.9], "87.5-90 %")):
        published = Published(values=values, accuracy=accuracy)
        assert shown_as in text_of(space, [cell(values, published)])


@pytest.mark.parametrize("name", ["a [/x]", "[bold]a :smile:", "ünï[31m"])
def test_names_from_a_file_are_shown_as_they_are(name: str) -> None:
    plain = {
        "name": "odd",
        "title": "Odd names",
        "parameters": {"it": {"variants": {name: {}}}},
        "grid": {"published": [{"values": {"it": name}, "accuracy": 0.5, "epochs": [0.5]}]},
    }
    space = read_space(plain, "odd.toml")
    text = text_of(space, cells_of(space, []))
    assert name in text


@pytest.mark.parametrize("name", ["scheduler", "resnet18", "resnet9", "optimizer"])
def test_a_table_can_be_read_on_80_columns(name: str) -> None:
    space = load_space(name)
    cells = [
        replace(one, accuracies=(0.6, 0.61), train_losses=(1.0,), train_accuracies=(0.7,))
        for one in cells_of(space, [])
    ]
    text = text_of(space, cells, width=80)
    assert "\u2026" not in text
    assert all(str(value) in text for one in cells for value in one.values.values())
    assert text.count("60.5 +- 0.7 %") == len(cells)

"""How the table of a grid looks."""

from io import StringIO

import pytest
from rich.console import Console

from search.table import Cell, cells_of, drawn, plain
from spaces.files import load_space, shipped_names
from spaces.grid import Published
from spaces.space import Space

GRIDS = [name for name in shipped_names() if load_space(name).grid is not None]


def shown(space: Space, cells: list[Cell]) -> list[str]:
    console = Console(file=StringIO(), width=120, highlight=False)
    console.print(drawn(space, cells, "CIFAR-10, 45,000 training / 5,000 validation"))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def cell(values: dict[str, object], published: Published | None = None, **found: object) -> Cell:
    empty: dict[str, object] = {
        "accuracies": (),
        "train_losses": (),
        "train_accuracies": (),
        "epochs": (),
    }
    return Cell(values, published, **{**empty, **found})  # type: ignore[arg-type]


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
    assert "measured: validation accuracy on CIFAR-10, 45,000 training / 5,000 validation" in text
    assert "published: test accuracy after 12 epochs, official pictures, one run each" in text


def test_losses_stand_there_where_they_were_published() -> None:
    space = load_space("flip")
    cells = cells_of(space, [])
    cells[0] = cell(
        {"flip": 0.0}, cells[0].published, accuracies=(0.5, 0.5), train_losses=(1.2, 1.3)
    )
    heading, first, *_ = shown(space, cells)
    assert heading.split()[-4:] == ["published", "loss", "measured", "loss"]
    assert first.split()[-2:] == ["1.209", "1.250"]


def test_training_accuracy_stands_there_where_it_was_published() -> None:
    space = load_space("resnet9")
    heading, first, *_ = shown(space, cells_of(space, []))
    assert heading.split()[-4:] == ["published", "train", "measured", "train"]
    assert first.split()[-3:] == ["99.0", "%", "-"]


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
    assert [one["n"] for one in plain(cells)] == [0] * len(cells)
    assert space.grid is not None
    assert sum(one.published is not None for one in cells) == len(space.grid.published)

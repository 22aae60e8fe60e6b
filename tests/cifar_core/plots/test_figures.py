"""What the figures show, asked before they are saved, and what is in the files."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from cifar_core.epoch import Epoch
from cifar_core.plots import feature_maps as feature_maps_module
from cifar_core.plots.classes import classes_figure
from cifar_core.plots.confusion import confusion_figure
from cifar_core.plots.curves import curves_figure
from cifar_core.plots.feature_maps import feature_maps_figure, mosaic
from cifar_core.plots.sheet import SCALE, corner_of, sheet_figure
from cifar_core.plots.style import DPI, TRAIN, VALIDATION, caption, wrapped, write_png

NAMES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BELOW = caption("CIFAR-10, 45,000 training / 5,000 validation, split 0123", "validation", [7])


def history(count: int, shift: float = 0.0) -> list[Epoch]:
    return [
        Epoch(
            number=number,
            train_loss=2.0 / number + shift,
            train_accuracy=0.1 * number,
            validation_loss=2.5 / number + shift,
            validation_accuracy=0.08 * number,
            lr=0.1,
            seconds=1.0,
            images_per_second=1.0,
        )
        for number in range(1, count + 1)
    ]


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts] + [axes.get_title(loc="left")]
    return [text.replace("\n", " ") for text in found]


def pixels(figure: Figure, folder: Path) -> np.ndarray:
    """The saved file as bytes, (height, width, 3)."""
    path = folder / "it.png"
    write_png(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return np.rint(imread(path)[:, :, :3] * 255).astype(int)


def lines(axes: Axes) -> list[tuple[str, list[float], list[float]]]:
    return [
        (str(line.get_color()), list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.get_lines()
    ]


def some_maps(channels: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(channels, side, side)).astype(np.float32)


def a_sheet(count: int = 2) -> tuple[np.ndarray, np.ndarray, Figure]:
    random = np.random.default_rng(0)
    originals = random.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    versions = random.integers(0, 256, (3, count, 3, 32, 32), dtype=np.uint8)
    return originals, versions, sheet_figure(originals, versions, NAMES[:3], "flip 0.5", BELOW)


FIGURES: dict[str, Callable[[], Figure]] = {
    "curves": lambda: curves_figure([history(3)], BELOW),
    "classes": lambda: classes_figure(dict.fromkeys(NAMES, 0.5), 0.5, BELOW),
    "confusion": lambda: confusion_figure(np.eye(10, dtype=int).tolist(), NAMES, BELOW),
    "feature_maps": lambda: feature_maps_figure(
        np.zeros((3, 32, 32), np.uint8), "a cat", {"first": some_maps(6, 28)}, BELOW
    ),
    "sheet": lambda: a_sheet()[2],
}


# All of them


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_what_it_is_of(name: str) -> None:
    figure = FIGURES[name]()
    shown = [*texts(figure), figure.get_supxlabel().replace("\n", " ")]
    assert BELOW in shown


@pytest.mark.parametrize("name", FIGURES)
def test_every_file_is_a_whole_png_of_the_figures_size(name: str, tmp_path: Path) -> None:
    figure = FIGURES[name]()
    height, width, _ = pixels(figure, tmp_path).shape
    expected = figure.get_size_inches() * figure.dpi
    assert abs(width - expected[0]) <= 1
    assert abs(height - expected[1]) <= 1
    assert [file.name for file in tmp_path.iterdir()] == ["it.png"]


@pytest.mark.parametrize("name", FIGURES)
def test_no_letter_lies_outside_of_the_figure(name: str) -> None:
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@pytest.mark.parametrize("name", FIGURES)
def test_the_users_own_settings_neither_count_nor_change(name: str, tmp_path: Path) -> None:
    plain = pixels(FIGURES[name](), tmp_path)
    with mpl.rc_context({"font.size": 30.0, "savefig.bbox": "tight", "lines.marker": "x"}):
        before = dict(mpl.rcParams)
        assert (pixels(FIGURES[name](), tmp_path) == plain).all()
        assert dict(mpl.rcParams) == before


def test_making_and_saving_needs_no_pyplot(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from cifar_core.plots.classes import classes_figure
from cifar_core.plots.style import write_png
write_png(classes_figure({{"cat": 0.5}}, 0.5, "x"), Path({str(tmp_path / "it.png")!r}))
print(sorted({{"matplotlib.pyplot", "tkinter", "torch"}} & sys.modules.keys()))
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout == "[]\n"


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it.png"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    figure = FIGURES["classes"]()
    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(MemoryError):
        write_png(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_wrapped_to_the_room_there_is() -> None:
    text = "word " * 60
    assert len(wrapped(text, 3.0).splitlines()) > len(wrapped(text, 9.0).splitlines()) > 1


# Curves


def test_the_curves_are_those_of_the_epochs() -> None:
    epochs = history(4)
    loss, accuracy = curves_figure([epochs], BELOW).axes
    numbers = [1, 2, 3, 4]
    assert lines(loss) == [
        (TRAIN, numbers, [epoch.train_loss for epoch in epochs]),
        (VALIDATION, numbers, [epoch.validation_loss for epoch in epochs]),
    ]
    assert [values for _, _, values in lines(accuracy)] == [
        pytest.approx([10, 20, 30, 40]),
        pytest.approx([8, 16, 24, 32]),
    ]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train", "validation"]


def test_several_seeds_have_thinner_lines_of_one_colour_and_one_entry_in_the_legend() -> None:
    (single, _) = curves_figure([history(3)], BELOW).axes
    (loss, _) = curves_figure([history(3), history(2, 0.5)], BELOW).axes
    assert [colour for colour, _, _ in lines(loss)] == [TRAIN, TRAIN, VALIDATION, VALIDATION]
    assert lines(loss)[1][2] == [2.5, 1.5]
    assert len(loss.get_legend().get_texts()) == 2
    assert loss.get_lines()[0].get_linewidth() < single.get_lines()[0].get_linewidth()


def test_without_validation_there_are_no_validation_curves() -> None:
    for axes in curves_figure([history(3)], BELOW, validation=False).axes:
        assert [colour for colour, _, _ in lines(axes)] == [TRAIN]
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("count", [1, 3])
def test_a_training_that_diverged_has_a_gap(tmp_path: Path, bad: float, count: int) -> None:
    epochs = history(count)
    epochs[-1] = replace(epochs[-1], train_loss=bad, validation_loss=bad)
    figure = curves_figure([epochs], BELOW)
    drawn = lines(figure.axes[0])[0][2]
    assert np.isfinite(drawn).tolist() == [True] * (count - 1) + [False]
    pixels(figure, tmp_path)


def test_a_single_epoch_is_seen(tmp_path: Path) -> None:
    image = pixels(curves_figure([history(1)], BELOW, validation=False), tmp_path)
    blue = np.array([int(TRAIN[i : i + 2], 16) for i in (1, 3, 5)])
    assert (np.abs(image[:, DPI * 4 :] - blue).max(axis=2) < 8).sum() > 8


# Classes


def test_a_bar_for_each_class_in_the_given_order_with_its_value() -> None:
    values = {name: index / 10 for index, name in enumerate(NAMES)} | {"truck": None}
    (axes,) = classes_figure(values, 0.4321, BELOW).axes
    heights = [patch.get_height() for patch in axes.patches]
    assert heights == pytest.approx([0, 10, 20, 30, 40, 50, 60, 70, 80, 0])
    assert [label.get_text() for label in axes.get_xticklabels()] == list(NAMES)
    written = [text.get_text() for text in axes.texts]
    assert written == ["0", "10", "20", "30", "40", "50", "60", "70", "80", "-"]
    assert axes.get_ylim() == (0.0, 105.0)
    assert "43.2 %" in axes.get_title(loc="left")
    assert list(axes.get_lines()[0].get_ydata()) == pytest.approx([43.21, 43.21])


# Confusion


def test_the_confusion_matrix_has_the_true_class_down_and_the_predicted_across() -> None:
    counts = np.zeros((10, 10), dtype=int)
    counts[2, 5], counts[2, 2], counts[7, 7] = 30, 10, 8
    (axes,) = confusion_figure(counts.tolist(), NAMES, BELOW).axes
    cells = {text.get_position(): text for text in axes.texts}
    assert cells[5, 2].get_text() == "30"  # across, down
    assert cells[2, 2].get_text() == "10"
    assert cells[5, 2].get_color() == "white"
    assert cells[2, 2].get_color() == "black"
    (image,) = axes.get_images()
    share = np.asarray(image.get_array())
    assert (share[2, 5], share[2, 2], share[7, 7], share[0, 0]) == (0.75, 0.25, 1.0, 0.0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted class", "True class")
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == list(NAMES)


def test_the_confusion_matrix_can_be_in_percent_of_the_true_class() -> None:
    counts = np.diag([4] * 10)
    counts[0, 1] = 12
    (axes,) = confusion_figure(counts.tolist(), NAMES, BELOW, percent=True).axes
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert (cells[0, 0], cells[1, 0], cells[1, 1]) == ("25", "75", "100")
    assert "percent" in axes.get_title(loc="left")


# Feature maps


def test_a_mosaic_has_every_map_in_order_with_room_between() -> None:
    gap = feature_maps_module.GAP
    maps = some_maps(20, 32)
    tiles = mosaic(maps)
    step = 32 + gap
    assert tiles.shape == (2 * step - gap, 16 * step - gap)
    assert (tiles[:32, :32] == maps[0]).all()
    assert (tiles[:32, 15 * step : 15 * step + 32] == maps[15]).all()
    assert (tiles[step:, :32] == maps[16]).all()
    assert np.isnan(tiles[:, 32:step]).all()
    assert np.isnan(tiles[step:, 4 * step :]).all()  # no twenty-first map


def test_small_maps_are_enlarged_and_only_the_first_are_laid() -> None:
    maps = some_maps(100, 4)
    tiles = mosaic(maps)
    assert len(tiles) == 4 * (32 + feature_maps_module.GAP) - feature_maps_module.GAP
    assert (tiles[:32:8, :32:8] == maps[0]).all()
    assert (tiles[-32::8, -32::8] == maps[63]).all()
    assert (tiles[:8, :8] == maps[0, 0, 0]).all()


def test_the_figure_has_the_image_and_a_row_for_each_layer() -> None:
    original = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    layers = {"one": some_maps(6, 28), "two": some_maps(65, 10)}
    figure = feature_maps_figure(original, "a cat", layers, BELOW)
    top, one, two = figure.axes
    assert (np.asarray(top.get_images()[0].get_array()) == original.transpose(1, 2, 0)).all()
    assert top.get_title(loc="left") == "a cat"
    assert one.get_title(loc="left").startswith("one: 6 maps of 28 x 28, ")
    assert two.get_title(loc="left").startswith("two: the first 64 of 65 maps of 10 x 10, ")
    shown = np.ma.masked_invalid(mosaic(layers["two"]))
    image = two.get_images()[0]
    assert np.ma.allequal(image.get_array(), shown)
    assert image.get_clim() == (shown.min(), shown.max())
    positions = [axes.get_position() for axes in figure.axes]
    assert all(above.y0 > below.y1 for above, below in pairwise(positions))


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_maps_of_one_value_and_of_none_can_be_drawn(tmp_path: Path, value: float) -> None:
    maps = np.full((3, 5, 5), value, np.float32)
    original = np.zeros((3, 32, 32), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels(feature_maps_figure(original, "it", {"a": maps}, BELOW), tmp_path)


def test_maps_are_drawn_in_their_colours_dark_to_bright(tmp_path: Path) -> None:
    maps = np.stack([np.full((8, 8), value, np.float32) for value in (0.0, 0.5, 1.0)])
    original = np.full((3, 32, 32), 200, np.uint8)
    figure = feature_maps_figure(original, "it", {"a": maps}, BELOW)
    image = pixels(figure, tmp_path)
    box = figure.axes[1].get_position()
    height, width, _ = image.shape
    row = round((1 - (box.y0 + box.y1) / 2) * height)
    found = []
    for index in range(3):
        across = box.x0 + (box.x1 - box.x0) * (index + 0.45) / 8
        found.append(image[row, round(across * width)])
    colours = np.rint(np.array(mpl.colormaps["viridis"]([0.0, 0.5, 1.0]))[:, :3] * 255)
    assert np.abs(np.array(found) - colours).max() <= 2


# The sheet


def test_a_sheet_has_the_images_pixels_each_as_a_square(tmp_path: Path) -> None:
    originals, versions, figure = a_sheet(count=4)
    image = pixels(figure, tmp_path)
    for row in range(3):
        for column in range(5):
            left, top = corner_of(row, column, 32)
            found = image[top : top + 32 * SCALE, left : left + 32 * SCALE]
            expected = originals[row] if column == 0 else versions[row, column - 1]
            upscaled = expected.transpose(1, 2, 0).repeat(SCALE, 0).repeat(SCALE, 1)
            assert (found == upscaled).all(), (row, column)


def test_a_sheet_names_rows_and_columns() -> None:
    _, _, figure = a_sheet()
    assert texts(figure) == ["flip 0.5", "original", "plane", "1", "2", "car", "bird", BELOW]


def test_a_narrow_sheet_wraps_its_text(tmp_path: Path) -> None:
    original = np.full((1, 3, 32, 32), 100, np.uint8)
    title = ", ".join(f"a long name {number}" for number in range(9))
    figure = sheet_figure(original, original[:, None], ["cat"], title, BELOW)
    lines_ = figure.texts[0].get_text().count("\n") + 1
    assert lines_ > 1
    left, top = corner_of(0, 0, 32, lines_)
    image = pixels(figure, tmp_path)
    assert (image[top : top + 96, left : left + 96] == 100).all()
    assert (image[top - 1, left : left + 96] == 255).all()

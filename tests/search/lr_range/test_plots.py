"""The curves of an LR-range test as PNG files, and among a study's artifacts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from optuna.artifacts import get_all_artifact_meta

import cifar_core.plots.lr_range
from cifar_core.lr_range import find_bounds
from search.events import Event, Notice
from search.home import Home
from search.lr_range import plots as lr_plots
from search.lr_range.bounds import combine_all
from search.lr_range.corners import Corner, corners_of, curves_document
from search.lr_range.plots import keep_plots, write_plots
from search.lr_range.report import Report
from search.service import session
from search.storage.opening import open_storage
from search.study import attributes
from search.study.study import SearchStudy
from spaces.space import Space
from tests.search.scripted import DATA, new_study, reopened
from tests.search.sweeping import BEST, curve
from tests.spaces.making import small_space

MAGIC = b"\x89PNG\r\n\x1a\n"
LR = tuple(10 ** (-5 + index / 30) for index in range(181))
NAMES = ["lr-range-adam_lr.png", "lr-range-sgd_lr.png"]


def measured(space: Space) -> tuple[list[Corner], list[Any]]:
    corners = corners_of(space)
    bests = [BEST[corner.recipe.optimizer.name] for corner in corners]
    return corners, [find_bounds([curve(best, LR)]) for best in bests]


def report(seeds: int = 2) -> Report:
    """Of a space with two learning rates."""
    space = small_space(lr_range={"base": "best", "corners": [["batch_size"]]})
    corners, findings = measured(space)
    bounds = tuple(combine_all(space, corners, findings))
    return Report("small", space, DATA, 5, seeds, tuple(corners), tuple(findings), bounds)


def report_of_a_recipe(seeds: int = 3) -> Report:
    whole = report(seeds)
    return replace(
        whole,
        name="my.toml",
        space=None,
        corners=(Corner("lr", {}, whole.corners[0].recipe),),
        findings=whole.findings[:1],
        bounds=(),
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What figures are made of, in their order; small empty ones are made in their place."""
    calls: list[tuple[Any, ...]] = []

    def noting(curves: Any, title: str, below: str, **common: Any) -> Figure:
        calls.append((curves, title, below, common))
        return Figure(figsize=(1, 1))

    monkeypatch.setattr(cifar_core.plots.lr_range, "lr_range_figure", noting)
    return calls


@pytest.fixture
def study(tmp_path: Path) -> Iterator[SearchStudy]:
    """A study in a database, with curves and bounds."""
    home = Home(tmp_path / "home")
    home.create()
    storage = open_storage(home.storage_url())
    made = new_study(storage, space=report().space)
    space = made.settings.space
    corners, findings = measured(space)
    bounds = combine_all(space, corners, findings)
    made.write(attributes.LR_CURVES, curves_document(corners, findings))
    made.write(attributes.LR_BOUNDS, [one.to_dict() for one in bounds])
    yield made
    storage.remove_session()
    storage.engine.dispose()


def artifacts_of(study: SearchStudy) -> dict[str, str]:
    """The names of the study's artifacts, and their numbers."""
    found = get_all_artifact_meta(study.optuna)
    names = {one.filename: one.artifact_id for one in found}
    assert len(names) == len(found)
    return names


def assert_is_a_plot(path: Path) -> None:
    assert path.read_bytes().startswith(MAGIC)
    height, width, _ = imread(path).shape
    assert width > 800
    assert height > 500


# ------------------------------------------------------------------------------- a file of its own


def test_one_rate_is_one_file_of_the_name_that_was_given(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "curve.png"
    assert write_plots(report_of_a_recipe(), path) == [path]
    assert_is_a_plot(path)
    assert list(path.parent.iterdir()) == [path]


def test_several_rates_are_a_file_each_with_the_rates_name(tmp_path: Path) -> None:
    found = write_plots(report(), tmp_path / "curve.v2.png")
    assert found == [tmp_path / "curve.v2-sgd_lr.png", tmp_path / "curve.v2-adam_lr.png"]
    for path in found:
        assert_is_a_plot(path)
    assert sorted(tmp_path.iterdir()) == sorted(found)


@pytest.mark.usefixtures("drawn")
def test_a_file_that_is_there_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "curve.PNG"
    path.write_text("old")
    write_plots(report_of_a_recipe(), path)
    assert path.read_bytes().startswith(MAGIC)


def test_a_plot_has_the_curves_the_bounds_and_what_was_measured_on(
    tmp_path: Path, drawn: list[tuple[Any, ...]]
) -> None:
    made = report()
    write_plots(made, tmp_path / "curve.png")
    assert [title for _, title, _, _ in drawn] == ["small: sgd_lr", "small: adam_lr"]
    for (curves, _, below, common), bounds in zip(drawn, made.bounds, strict=True):
        assert len(curves) == 2
        assert below == (
            "CIFAR-10, 45,000 training / 5,000 validation, split 0123456789abcdef; training "
            "images; seed 5, medians of 2 sweeps"
        )
        assert common == {"bounds": (bounds.low, bounds.high), "suggested": bounds.suggested}


def test_a_recipes_plot_shows_its_own_bounds(tmp_path: Path, drawn: list[tuple[Any, ...]]) -> None:
    write_plots(report_of_a_recipe(seeds=1), tmp_path / "curve.png")
    ((curves, title, below, common),) = drawn
    assert title == "my.toml: lr"
    assert below.endswith("seed 5")
    assert common == {"bounds": None, "suggested": None}
    assert curves[0].bounds is not None


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("where", ["file/curve.png", "folder"])
def test_what_cannot_be_written_is_an_os_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"File exists|Not a directory|Is a directory"):
        write_plots(report_of_a_recipe(), tmp_path / where)


# ---------------------------------------------------------------------------------- artifacts


def test_each_rate_of_a_study_is_an_artifact(study: SearchStudy, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "artifacts"
    keep_plots(study, folder)
    found = artifacts_of(study)
    assert sorted(found) == NAMES
    assert sorted(found.values()) == sorted(path.name for path in folder.iterdir())
    for number in found.values():
        assert_is_a_plot(folder / number)
    assert {one.mimetype for one in get_all_artifact_meta(study.optuna)} == {"image/png"}


def test_an_artifact_says_which_study_and_images_it_is_of(
    study: SearchStudy, tmp_path: Path, drawn: list[tuple[Any, ...]]
) -> None:
    keep_plots(study, tmp_path / "artifacts")
    assert [title for _, title, _, _ in drawn] == ["mine: sgd_lr", "mine: adam_lr"]
    bounds = study.note(attributes.LR_BOUNDS)
    for (_, _, below, common), one in zip(drawn, bounds, strict=True):
        assert below.startswith("CIFAR-10, 45,000 training / 5,000 validation, split 0123456789ab")
        assert below.endswith("training images; seed 0")
        assert common == {
            "bounds": (one["low"], one["high"]),
            "suggested": one["suggested"],
        }


def test_a_plot_that_a_killed_process_was_drawing_is_gone_when_the_study_goes_on(
    study: SearchStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "artifacts"

    def killed(*_: object) -> NoReturn:
        """Draws half of a plot; nothing is tidied up behind it."""
        (half_drawn,) = folder.iterdir()  # in the home, and not where nobody would look for it
        (half_drawn / "lr-range-sgd_lr.png").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(lr_plots, "_draw", killed)
        patched.setattr(lr_plots, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            keep_plots(study, folder)
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(lr_plots, "_draw", lambda *parts: parts[-1].touch())
    keep_plots(study, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(artifacts_of(study).values())


def test_artifacts_are_made_once_however_often_a_study_goes_on(
    study: SearchStudy, tmp_path: Path, drawn: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path / "artifacts"
    keep_plots(study, folder)
    before, files = artifacts_of(study), sorted(folder.iterdir())
    again = reopened(study)
    keep_plots(again, folder)
    keep_plots(again, folder)
    assert artifacts_of(again) == before
    assert sorted(folder.iterdir()) == files
    assert len(drawn) == 2


@pytest.mark.usefixtures("drawn")
def test_an_artifact_that_is_missing_alone_is_made(study: SearchStudy, tmp_path: Path) -> None:
    folder = tmp_path / "artifacts"
    keep_plots(study, folder)
    before = artifacts_of(study)
    lost = before["lr-range-adam_lr.png"]
    with pytest.MonkeyPatch.context() as patch:
        only = [one for one in get_all_artifact_meta(study.optuna) if one.artifact_id != lost]
        patch.setattr("search.lr_range.plots.get_all_artifact_meta", lambda _: only)
        keep_plots(study, folder)
    found = [one.filename for one in get_all_artifact_meta(study.optuna)]
    assert sorted(found) == ["lr-range-adam_lr.png", *NAMES]


def test_a_study_that_measured_nothing_has_no_artifact_and_no_folder(tmp_path: Path) -> None:
    keep_plots(new_study(), tmp_path / "artifacts")
    assert not (tmp_path / "artifacts").exists()


def test_a_study_without_conclusion_has_its_curves_all_the_same(
    study: SearchStudy, tmp_path: Path
) -> None:
    space = study.settings.space
    corners = corners_of(space)
    findings = [find_bounds([curve(0.1, LR, depth=0.01)])] * len(corners)
    study.write(attributes.LR_CURVES, curves_document(corners, findings))
    bounds = combine_all(space, corners, findings)
    study.write(attributes.LR_BOUNDS, [one.to_dict() for one in bounds])
    keep_plots(study, tmp_path / "artifacts")
    assert sorted(artifacts_of(study)) == NAMES


def told_by(study: SearchStudy, home: Home) -> list[str]:
    """What a search says when it keeps the plots."""
    events: list[Event] = []
    session._keep_plots(study, home, events.append)
    return [one.text for one in events if isinstance(one, Notice)]


@pytest.mark.usefixtures("drawn")
def test_a_search_goes_on_without_artifacts_and_says_so(study: SearchStudy, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.artifacts.touch()  # not even root can make a folder of it
    (note,) = told_by(study, home)
    assert note.startswith("The plot of the LR-range test cannot be kept: ")
    assert "File exists" in note
    assert str(home.artifacts) in note
    assert artifacts_of(study) == {}
    # As soon as it can be kept, it is.
    home.artifacts.unlink()
    assert told_by(study, home) == []
    assert sorted(artifacts_of(study)) == NAMES


@pytest.mark.usefixtures("drawn")
def test_a_disk_without_room_ends_no_search_either(
    study: SearchStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cifar_core.plots.style.write_atomically", full)
    (note,) = told_by(study, Home(tmp_path / "home"))
    assert "No space left on device" in note

"""Searches of a network of the user's own: nothing of it is run without a word of consent."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from cifar_core.models import own
from tests.cifar_core.models import own_nets
from tests.search.conftest import Here
from tests.search.running import FAST, run

SPACE = """
name = "own"
title = "An own network"
trials = 2

[recipe]
epochs = 1
batch_size = 50
network = { builder = "nets_of_mine:small", dropout = 0.1 }

[parameters.width]
sets = "network.width"
low = 4
high = 6

[parameters.norm]
sets = "network.norm"
choices = [true, false]

[[known]]
name = "narrow"
values = { width = 4, norm = true }
"""


@pytest.fixture(scope="session")
def plain_images(few_images: Path) -> Path:
    """All that is trained here is trained on few images, which is far quicker."""
    return few_images


@pytest.fixture(scope="session")
def searched(shared_folder: Path, plain_images: Path) -> Path:
    """A folder with a module, a space and the home of a finished search of it."""
    folder = shared_folder / "own"
    with FileLock(shared_folder / "own.lock"):
        if not folder.exists():
            folder.mkdir()
            shutil.copy(own_nets.__file__, folder / "nets_of_mine.py")
            (folder / "own.toml").write_text(SPACE)
            options = ("--space", folder / "own.toml", "--home", folder / "home", *FAST, "--trust")
            ended = run("start", *options, "--json", folder=folder, data=plain_images)
            assert ended.code == 0, ended
            (folder / "out.json").write_text(ended.out)
    return folder


@pytest.fixture
def copy(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same in a folder of this test, which it may change; it is the current one."""
    folder = shutil.copytree(searched, tmp_path / "mine")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(own, "_allowed", {})
    monkeypatch.setattr(own, "_functions", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield folder
    sys.modules.pop("nets_of_mine", None)


def test_the_search_of_an_own_network_is_as_any_other(searched: Path) -> None:
    found = json.loads((searched / "out.json").read_text())  # what the code prints is not in it
    assert found["state"] == "finished"
    assert found["trials"]["complete"] + found["trials"]["pruned"] == 2
    assert found["best"]["recipe"]["network"]["builder"] == "nets_of_mine:small"
    report = (searched / "home" / "exports" / "own" / "report.html").read_text()
    assert "which a report runs only with" not in report
    exported = (searched / "home" / "exports" / "own" / "best-1.toml").read_text()
    assert '"nets_of_mine.py" = ' in exported
    assert (searched / "home" / "exports" / "own" / "best-1.pt").exists()


@pytest.mark.slow
def test_the_confirmation_of_an_own_network_is_as_any_other(copy: Path, plain_images: Path) -> None:
    ended = run("confirm", "--home", "home", "--trust", "--json", folder=copy, data=plain_images)
    assert ended.code == 0, ended
    found = json.loads(ended.out)["confirmation"]
    assert found["ended"]
    assert all(one["contender"]["multiply_adds"] > 0 for one in found["ranking"])


def test_commands_that_read_import_nothing(copy: Path, here: Here) -> None:
    (copy / "nets_of_mine.py").write_text("raise AssertionError('imported')")
    home = ("--home", "home")
    for command in (
        ("status", *home),
        ("status", "--trial", "0", *home),
        ("studies", *home),
        ("export", *home),
        ("spaces", "./own.toml"),
        ("report", *home),
    ):
        ended = here(*command)
        assert (ended.code, ended.err) == (0, ""), command
    assert "nets_of_mine" not in sys.modules
    report = (copy / "home" / "exports" / "own" / "report.html").read_text()
    assert "made by code of its own, which a report runs only with --trust" in report


def test_a_report_that_may_run_the_code_has_the_accuracy_by_class_unless_it_has_changed(
    copy: Path, here: Here
) -> None:
    module, out = copy / "nets_of_mine.py", copy / "it.html"
    command = ("report", "--home", "home", "--trust", "--out", out)
    ended = here(*command)
    assert (ended.code, ended.out.strip()) == (0, str(out)), ended  # the code itself prints, too
    report = out.read_text()
    assert "Most often confused: " in report
    assert "code of its own" not in report
    module.write_text(f"{module.read_text()}\n# a change\n")
    ended = here(*command)
    assert ended.code == 2
    assert "nets_of_mine.py has changed since study own was started" in ended.err
    assert "leave out --trust" in ended.err


@pytest.mark.parametrize(
    "command",
    [
        ("start", "--space", "./own.toml", "--home", "new", *FAST),
        ("resume", "--home", "home", "--trials", "3"),
        ("confirm", "--home", "home", "--seeds", "5"),
        ("train", "home/exports/own/best-1.toml"),
        ("lr-range", "--space", "./own.toml", *FAST),
        ("lr-range", "--config", "home/exports/own/best-1.toml", *FAST),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_that_train_say_what_they_would_import_and_ask_for_consent(
    copy: Path, here: Here, command: tuple[str, ...]
) -> None:
    (copy / "nets_of_mine.py").write_text("raise AssertionError('imported')")
    ended = here(*command)
    assert ended.code == 2
    assert ended.out == ""
    assert f"nets_of_mine:small in {copy}/nets_of_mine.py." in ended.err
    assert "then add --trust." in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert "nets_of_mine" not in sys.modules
    assert not (copy / "new").exists()


@pytest.mark.parametrize("command", ["resume", "confirm"])
def test_code_that_has_changed_does_not_continue_a_study(
    copy: Path, here: Here, command: str
) -> None:
    module = copy / "nets_of_mine.py"
    module.write_text(f"{module.read_text()}\n# a change\n")
    ended = here(command, "--home", "home", "--trust")
    assert ended.code == 2
    assert "nets_of_mine.py has changed since study own was started" in ended.err


def test_code_that_fails_ends_a_command_before_it_leaves_anything(copy: Path, here: Here) -> None:
    (copy / "nets_of_mine.py").write_text("def small(classes, **_):\n    return oops\n")
    ended = here("start", "--space", "./own.toml", "--home", "new", *FAST, "--trust")
    assert ended.code == 2
    assert f"({copy}/nets_of_mine.py, line 2). (with dropout = 0.1, width = 4, norm = True)" in (
        ended.err
    )
    assert "Traceback" not in ended.err
    assert not (copy / "new").exists()


def test_an_exported_network_is_trained_again_and_a_change_of_its_code_is_said(
    copy: Path, here: Here
) -> None:
    module = copy / "nets_of_mine.py"
    module.write_text(f"{module.read_text()}\n# a change\n")
    ended = here("train", "home/exports/own/best-1.toml", "--trust", "--no-plots", "--json")
    assert ended.code == 0, ended.err
    assert (
        "nets_of_mine.py has changed since the search of home/exports/own/best-1.toml" in ended.err
    )
    result = json.loads(ended.out)
    assert result["cost"]["multiply_adds_per_image"] > 0
    assert len(result["runs"][0]["confusion"]) == 10

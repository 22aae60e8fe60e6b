"""The home: its folders, and the files of a study in them."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from search.errors import ServiceError, UsageError
from search.home import IDENTITY, Home, StudyFolder, safe_name


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def belonging_to(folder: StudyFolder, identity: str) -> StudyFolder:
    """Note in a folder whose it is."""
    folder.create()
    folder.note.write_text(json.dumps({IDENTITY: identity}))
    return folder


@pytest.mark.parametrize("name", ["a", "7", "Mine-2_b.c", "x" * 80, "baseline_constrained"])
def test_a_simple_name_is_the_name_of_the_studys_folders(home: Home, name: str) -> None:
    assert home.study(name).root == home.root / "studies" / name
    assert home.exports(name) == home.root / "exports" / name


def test_every_name_that_optuna_accepts_has_a_folder_of_its_own_inside_the_home() -> None:
    draw = np.random.default_rng(0)
    signs = list("abAB12./\\ -_~\n\t\x1b'\"$é\u0661\U0001f600")
    names = {"".join(draw.choice(signs, draw.integers(1, 12))) for _ in range(500)}
    names |= {".", "..", "../a", "/a", "-a", ".a", "x" * 81, "x" * 512, "\u0661" * 512}
    folders = {safe_name(name) for name in names}
    assert len(folders) == len(names)
    for folder in folders:
        assert Path(folder).name == folder
        assert folder.isascii()
        assert folder.isprintable()
        assert folder[0].isalnum()
        assert len(folder) <= 80


@pytest.mark.parametrize("name", ["", "a\0", "x" * 513, "\ud800"])
def test_a_name_that_no_database_holds_is_refused(home: Home, name: str) -> None:
    for use in (home.study, home.exports):
        with pytest.raises(UsageError, match="A study's name has 1 to 512 characters"):
            use(name)


def test_a_folder_is_found_by_the_studys_identity_whatever_its_name(home: Home) -> None:
    mine = belonging_to(home.study("mine"), "1234567890abcdef")
    assert home.study("mine", "1234567890abcdef") == mine
    assert home.study("My try / v2", "1234567890abcdef") == mine
    other = belonging_to(home.study("mine", "fedcba0987654321"), "fedcba0987654321")
    assert other.root == home.root / "studies" / "mine-fedcba09"
    assert home.study("mine", "fedcba0987654321") == other
    assert home.study("mine") == mine


def test_a_folder_without_a_note_is_that_of_the_study_it_is_named_after(home: Home) -> None:
    folder = home.study("mine")
    folder.create()
    assert home.study("mine", "1234567890abcdef") == folder
    for damaged in ("", "{", "[1]", "null", "\0", '{"identity": 3}'):
        folder.note.write_text(damaged)
        assert home.study("mine", "1234567890abcdef") == folder


def test_looking_at_a_home_creates_nothing(home: Home) -> None:
    assert home.study("mine", "1234567890abcdef").checkpoints() == set()
    assert home.study("mine").read_note() == {}
    assert home.artifacts == home.root / "artifacts"
    assert not home.root.exists()


def test_a_home_is_created_with_the_folders_above_it(tmp_path: Path) -> None:
    place = Home(tmp_path / "a" / "b")
    place.create()
    place.create()
    assert place.root.is_dir()


def test_a_home_that_is_a_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(ServiceError) as caught:
            Home(root).create()
        assert f"The home {root} cannot be created" in str(caught.value)
        assert "--home or CIFAR_SEARCH_HOME" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_to_is_refused_with_the_way_out(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        for root in (tmp_path, tmp_path / "home"):
            with pytest.raises(ServiceError, match="--home or CIFAR_SEARCH_HOME"):
                Home(root).create()
    finally:
        tmp_path.chmod(0o700)


def test_tidying_removes_what_only_an_unfinished_study_needs(home: Home) -> None:
    folder = home.study("mine")
    folder.create()
    for file in (
        folder.images,
        folder.stop_request,
        folder.sweeps / "0-0.json",
        folder.checkpoint(3),
        folder.checkpoint(3).with_name(".4.pt.half"),
        folder.logs / "worker-0.log",
    ):
        file.touch()
    folder.checkpoint(4).touch()
    folder.tidy({3})
    folder.tidy({3})
    assert sorted(path.name for path in folder.root.iterdir()) == ["checkpoints", "logs"]
    assert folder.checkpoints() == {3}  # the best trial's network
    assert list(folder.checkpoint(3).parent.iterdir()) == [folder.checkpoint(3)]
    assert (folder.logs / "worker-0.log").exists()
    folder.create()
    assert folder.checkpoint(0).parent.is_dir()


def test_of_a_confirmation_only_the_winners_first_network_stays(tmp_path: Path) -> None:
    folder = Home(tmp_path).study("mine")
    folder.create()
    folder.confirmation(7, 1).parent.mkdir()
    for trial, repeat in ((7, 1), (7, 2), (12, 1)):
        folder.confirmation(trial, repeat).touch()
    (folder.confirmation(7, 1).parent / ".7-3.pt.abc").touch()
    folder.tidy(confirmed=7)
    assert [file.name for file in folder.confirmation(7, 1).parent.iterdir()] == ["7-1.pt"]
    folder.tidy()
    assert folder.confirmations() == []

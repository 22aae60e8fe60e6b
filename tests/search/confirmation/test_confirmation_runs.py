"""A confirmation of real trainings on real images, killed in its midst."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from cifar_core.data import cifar10
from tests.search.running import Database, begin, needs_proc, run, space_file, without_test_files

TINY = ("--device", "cpu", "--workers", 1)


def trainings(database: Database) -> dict[str, Any]:
    """The finished trainings of a study's confirmation; nothing before there is one."""
    with database.opened() as study:
        notes = study.user_attrs
    return {key: value for key, value in notes.items() if key.startswith("confirmation:")}


@needs_proc
@pytest.mark.images
@pytest.mark.slow
def test_a_confirmation_that_is_killed_and_resumed_ends_as_an_undisturbed_one(
    images_folder: Path, tmp_path: Path
) -> None:
    source = cifar10.find(images_folder)
    assert source is not None
    data = without_test_files(source, tmp_path)  # nobody can open what is not there
    sizes = ("--train-images", 500, "--epochs", 2, "--trials", 3, "--lr-bounds", "off")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    start = ("start", "--space", space_file(tmp_path), *sizes, *TINY, "--home", whole)
    assert run(*start, folder=tmp_path, data=data).code == 0
    shutil.copytree(whole, killed)
    confirm = ("confirm", "--top", 1, "--seeds", 3, *TINY, "--json", "--home")

    undisturbed = run(*confirm, whole, folder=tmp_path, data=data)
    assert undisturbed.code == 0, undisturbed
    expected = json.loads(undisturbed.out)["confirmation"]
    assert expected["images"]["count"] == 2_500
    assert expected["images"]["took_no_part"] is True
    assert expected["ended"] is True

    database = Database(killed)
    with begin(*confirm, killed, folder=tmp_path, data=data) as running:
        own = killed / "studies" / "tiny" / "confirmation"
        # The second training has an epoch behind it, and one to come.
        running.until(lambda: trainings(database), "a training is finished")
        running.until(lambda: len(list(own.glob("[0-9]*.pt"))) >= 2, "the next one has an epoch")
        running.signal(signal.SIGKILL)
        running.wait()
    before = trainings(database)
    assert before
    assert json.loads(run("status", "--json", "--home", killed, folder=tmp_path).out)["state"] == (
        "stopped"
    )
    resumed = run("resume", *TINY, "--json", "--home", killed, folder=tmp_path, data=data)
    assert resumed.code == 0, resumed
    found = json.loads(resumed.out)
    assert found["state"] == "finished"
    after = trainings(database)
    assert {key: after[key] for key in before} == before
    for one in (found["confirmation"], expected):
        del one["seconds"]
    assert found["confirmation"] == expected
    # The winner is what is exported, with the network of a training that was confirmed or of its trial.
    exported = killed / "exports" / "tiny" / "best-1.toml"
    assert f"trial = {expected['winner']}\n" in exported.read_text()
    assert exported.with_suffix(".pt").is_file()

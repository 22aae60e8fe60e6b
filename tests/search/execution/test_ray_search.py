"""Whole searches on a Ray cluster of two nodes: nodes and coordinators are lost, trials are not."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.home import Home
from search.storage.opening import open_storage
from search.study.study import open_study
from tests.search.clusters import Nodes, cluster
from tests.search.conftest import Here, Undisturbed
from tests.search.running import (
    Database,
    begin,
    needs_proc,
    space_file,
    values_of,
    wait_for_epoch,
)

pytestmark = [pytest.mark.ray, needs_proc]

SMALL = ("--train-images", "400", "--lr-bounds", "off")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster() as made:
        yield made


def on_ray(nodes: Nodes, workers: int | str) -> tuple[str, ...]:
    return ("--engine", "ray", "--ray-address", nodes.address, "--workers", str(workers))


def test_one_worker_has_the_trials_of_a_search_on_one_machine_to_the_last_digit(
    undisturbed: Undisturbed, nodes: Nodes, here: Here, tmp_path: Path
) -> None:
    """And the coordinator may be killed in between: its actors end with it, and their states stay."""
    home = tmp_path / "home"
    options = ("--space", undisturbed.space, "--train-images", "400", "--home", home)
    command = ("start", *options, *on_ray(nodes, 1))
    database = Database(home)
    images = undisturbed.folder.parent / "images"
    with begin(*command, folder=tmp_path, data=images) as running:
        wait_for_epoch(running, database, 1, 2)
        running.signal(signal.SIGKILL)
        running.wait()
    before = database.epochs()
    found = here(*command)
    assert found.code == 0, found
    assert "1 worker of a Ray cluster on cpu, 1 thread each" in found.out
    assert before.items() <= database.epochs().items()  # nothing was trained twice
    assert values_of(database.trials()) == values_of(undisturbed.database.trials())
    assert not list((home / "studies" / "tiny").glob("images"))


def test_a_node_that_is_killed_costs_the_epochs_under_way_and_another_takes_its_place(
    nodes: Nodes, images_folder: Path, tmp_path: Path
) -> None:
    home, space = tmp_path / "home", space_file(tmp_path)
    database = Database(home)
    options = ("--space", space, "--home", home, "--data", images_folder, "--trials", 16)
    command = ("start", *options, *SMALL, *on_ray(nodes, "2..2"))
    with begin(*command, folder=tmp_path) as running:
        running.until(lambda: len(database.epochs()) >= 6, "six epochs are trained")
        nodes.kill()
        killed = database.epochs()
        nodes.add()
        running.until(lambda: len(database.epochs()) >= len(killed) + 6, "it goes on")
        found = running.wait()
    assert found.code == 0, found
    assert "2 workers of a Ray cluster on cpu, 1 thread each" in found.out
    assert found.err == ""
    assert killed.items() <= database.epochs().items()  # the same rows: none was trained again
    # Whichever trial was on that node continued where it was; nothing else was interrupted.
    interrupted = [one for one in database.trials() if one.user_attrs.get("interruptions")]
    assert len(interrupted) <= 1
    for one in interrupted:
        assert f"The worker of trial {one.number} was killed, or lost with its node" in found.out
    assert len(database.finished()) == len(database.states()) == 16
    study = open_study(open_storage(database.url), "tiny")
    for row in study.rows():
        assert sorted(row.scores) == list(range(1, row.epochs + 1))
        assert len(row.history) == row.epochs
    assert len(study.folder(Home(home)).checkpoints()) == 1  # of the best

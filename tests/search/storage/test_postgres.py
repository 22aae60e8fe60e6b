"""Studies on a PostgreSQL server: all that a home's own database promises, and no password anywhere."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search import cli
from tests.search.conftest import Undisturbed
from tests.search.postgres import PASSWORD, Server, ServerDatabase
from tests.search.running import (
    FAST,
    Database,
    begin,
    ended,
    needs_proc,
    run,
    space_file,
    values_of,
    wait_for_epoch,
)

pytestmark = [needs_proc, pytest.mark.postgres]
SECRET = PASSWORD.split()[0].encode()
"""What is left of the password however it is written."""


@pytest.fixture(autouse=True)
def no_password(tmp_path: Path) -> Iterator[None]:
    """Nothing that was printed, logged or kept holds the password; the outputs lie in this folder too."""
    yield
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET in path.read_bytes()] == []


@pytest.mark.slow
def test_under_kills_and_a_restart_of_the_server_a_study_ends_as_if_nothing_had_been(
    postgres: Server,
    server_url: str,
    undisturbed: Undisturbed,
    plain_images: Path,
    tmp_path: Path,
) -> None:
    database = ServerDatabase(postgres, server_url)
    command = ("start", *undisturbed.options, "--home", tmp_path / "home")
    with begin(*command, folder=tmp_path, data=plain_images, storage=server_url) as running:
        wait_for_epoch(running, database, 0, 1)
        (worker,) = running.workers()
        os.kill(worker, signal.SIGKILL)
        wait_for_epoch(running, database, 1, 1)
        postgres.stop()
        try:
            running.until(lambda: "The search waits" in running.out, "it waits")
            assert running.alive
        finally:
            postgres.start()
        wait_for_epoch(running, database, 2, 1)
        assert "The storage works again" in running.out, running.story
        running.signal(signal.SIGKILL)
        running.wait()
        running.assert_gone()
    before = database.epochs()
    result = run(*command, folder=tmp_path, data=plain_images, storage=server_url)
    assert result.code == 0, result
    assert "--storage" not in result.out  # the environment names it to every command
    assert {key: database.epochs().get(key) for key in before} == before
    trials = database.trials()
    assert values_of(trials) == values_of(undisturbed.database.trials())
    assert trials[0].user_attrs["interruptions"] == 1


@pytest.mark.slow
def test_a_search_is_seen_and_stopped_from_another_home_and_not_begun_there(
    postgres: Server, server_url: str, plain_images: Path, tmp_path: Path
) -> None:
    database = ServerDatabase(postgres, server_url)
    wishes = ("--trials", 1, "--epochs", 500, "--lr-bounds", "off")
    command = ("start", "--space", space_file(tmp_path), *FAST, *wishes, "--storage", server_url)
    with begin(*command, "--home", tmp_path / "a", folder=tmp_path, data=plain_images) as running:
        wait_for_epoch(running, database, 0, 1)
        second = run(*command, "--home", tmp_path / "b", folder=tmp_path, data=plain_images)
        assert second.code == 1, second
        assert f"already running: process {running.pid} on" in second.err
        assert f"home {tmp_path / 'a'}, since" in second.err
        stopped = run("stop", "--home", tmp_path / "b", "--storage", server_url, folder=tmp_path)
        result = ended(running, 130)
    words = f'cifar-search resume tiny --home {tmp_path / "a"} --storage "$CIFAR_SEARCH_STORAGE"'
    assert stopped.out.endswith(f"Stopped. Continue with: {words}\n"), stopped
    assert words in result.out


@pytest.mark.slow
def test_a_study_goes_on_in_copies_as_if_it_had_stayed(
    server_url: str, undisturbed: Undisturbed, plain_images: Path, tmp_path: Path
) -> None:
    """From SQLite to PostgreSQL to SQLite in another home, with a trial that has begun."""
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    command = ("start", *undisturbed.options, "--home", first)
    database = Database(first)
    with begin(*command, folder=tmp_path, data=plain_images) as running:
        wait_for_epoch(running, database, 1, 1)  # a known configuration, which is not stopped early
        running.signal(signal.SIGKILL)
        running.wait()
        running.assert_gone()
    states, epochs = database.states(), len(database.epochs(1))
    there = ("--to-home", second, "--to-storage", server_url)
    copied = run("copy", "--home", first, *there, folder=tmp_path)
    assert copied.code == 0, copied
    assert "3 trials, 1 of them unfinished" in copied.out
    assert '--storage "$CIFAR_SEARCH_STORAGE"' in copied.out
    copied = run("copy", "--home", second, "--to-home", third, folder=tmp_path, storage=server_url)
    assert copied.code == 0, copied
    result = run("resume", "--home", third, folder=tmp_path, data=plain_images)
    assert result.code == 0, result
    assert f"trial 1 continues after epoch {epochs}" in result.out
    assert values_of(Database(third).trials()) == values_of(undisturbed.database.trials())
    copied_to, alone = (list((home / "artifacts").iterdir()) for home in (third, undisturbed.home))
    assert len(copied_to) == len(alone) == 2  # of the LR-range test, and the report
    assert (
        len(list((third / "studies" / "tiny" / "checkpoints").iterdir())) == 1
    )  # the best trial's
    assert database.states() == states  # the original stays as it was


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": f"{PASSWORD} and more"}, "password authentication failed"),
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"port": 1}, "Connection refused"),
    ],
)
@pytest.mark.parametrize(
    "command", [["status"], ["start", "--space", "baseline_constrained", "--data", "synthetic"]]
)
def test_a_login_that_fails_is_told_without_the_password(
    postgres: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    change: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_SEARCH_STORAGE", postgres.url(**change))
    assert cli.run(command) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "The storage postgresql+psycopg://searcher:***@127.0.0.1:" in err
    assert SECRET.decode() not in err


def test_looking_at_an_empty_database_makes_nothing_there(
    postgres: Server,
    server_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["status", "--storage", server_url]) == 2
    assert (
        "There are no studies yet in postgresql+psycopg://searcher:***@" in capsys.readouterr().err
    )
    with postgres.connect(server_url.rpartition("/")[2]) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()
    assert found == (0,)

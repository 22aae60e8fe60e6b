"""One process runs a study, in whatever home: SQLite's and PostgreSQL's own locks see to it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from search import cli
from search.errors import ServiceError, StudyHeldError
from search.home import Home
from search.storage.locks import LOCKING, _ServerLock, lock_in, locked
from search.storage.opening import has_tables, open_storage
from search.storage.retrying import RetryingStorage, Trouble
from search.storage.study_lock import SECONDS_BETWEEN_LOOKS, StudyLock, ask_to_stop, held, holder
from search.study import attributes
from tests.search.postgres import PASSWORD, Server
from tests.search.script import HandClock
from tests.search.scripted import NAME, new_study

HOLD = """
import sys, time
from pathlib import Path
from search.storage.study_lock import held
from search.home import Home
from search.storage.urls import has_tables, open_storage
with held(Home(Path(sys.argv[1])), open_storage(sys.argv[2]), "mine"):
    print("held", flush=True)
    time.sleep(60)
"""


Opener = Callable[[str], RetryingStorage]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens storages, whose connections are closed in the end."""
    found: list[RetryingStorage] = []

    def open_one(url: str) -> RetryingStorage:
        found.append(open_storage(url))
        return found[-1]

    yield open_one
    for storage in found:
        storage.remove_session()
        storage.engine.dispose()


@pytest.fixture
def storage(url: str, opened: Opener) -> RetryingStorage:
    return opened(url)


def home(tmp_path: Path, name: str) -> Home:
    place = Home(tmp_path / name)
    place.study(NAME).create()
    return place


@contextlib.contextmanager
def holding(place: Home, url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the study from this home."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place.root), url], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_study_is_held_against_every_other_home_and_says_by_whom(
    storage: RetryingStorage, url: str, tmp_path: Path
) -> None:
    new_study(storage)
    here, there = home(tmp_path, "here"), home(tmp_path, "there")
    assert holder(storage, NAME) is None
    with holding(there, url) as process:
        who = holder(storage, NAME)
        assert who is not None
        assert (who["pid"], who["home"]) == (process.pid, str(there.root))
        with pytest.raises(StudyHeldError) as caught, held(here, storage, NAME):
            pytest.fail("two hold it")
        said = str(caught.value)
        assert f"Study mine is already running: process {process.pid} on " in said
        assert f", home {there.root}, since {who['since']}." in said
        assert "Watch it with: cifar-search status mine --watch --home " in said
        assert PASSWORD not in said
        process.send_signal(signal.SIGKILL)
        process.wait()
        # Without a wait: what it has noted does not hold the study.
        with held(here, storage, NAME):
            found = holder(storage, NAME)
            assert found is not None
            assert (found["pid"], found["home"]) == (os.getpid(), str(here.root))
    assert holder(storage, NAME) is None


def test_a_study_that_is_not_there_yet_is_held_too(
    storage: RetryingStorage, url: str, opened: Opener, tmp_path: Path
) -> None:
    here = home(tmp_path, "here")
    with held(home(tmp_path, "there"), opened(url), NAME):
        with (
            pytest.raises(StudyHeldError, match="process unknown on an unknown machine"),
            held(here, storage, NAME),
        ):
            pytest.fail("two hold it")
        assert here.study(NAME).holder() is None  # who is refused lets go of its own home
        with held(here, storage, "other"):
            pass
    assert storage.get_all_studies() == []


def test_a_study_of_somebody_else_is_not_written_to(
    storage: RetryingStorage, tmp_path: Path
) -> None:
    theirs = storage.create_new_study([], NAME)
    with held(home(tmp_path, "here"), storage, NAME):
        assert storage.get_study_user_attrs(theirs) == {}


def test_a_stop_is_asked_for_through_the_storage(storage: RetryingStorage, tmp_path: Path) -> None:
    study = new_study(storage)
    clock = HandClock()
    lock = lock_in(storage.engine, NAME)
    hold = StudyLock(storage, NAME, home(tmp_path, "here"), lock, clock)
    hold.take()
    try:
        hold.note()
        ask_to_stop(storage, NAME)
        assert not hold.stop_requested()  # it looks every few seconds only
        clock.now += SECONDS_BETWEEN_LOOKS
        assert hold.stop_requested()
        hold.note()  # as the next session does
        assert study.note(attributes.STOP_REQUEST) is None
        clock.now += SECONDS_BETWEEN_LOOKS
        assert not hold.stop_requested()
    finally:
        lock.release()


def test_commands_in_another_home_see_and_stop_a_search(
    opened: Opener, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    storage = opened(url)
    study = new_study(storage)
    elsewhere = ["--home", str(tmp_path / "elsewhere"), "--storage", url]
    assert cli.run(["stop", NAME, *elsewhere]) == 0
    assert capsys.readouterr().out == "Study mine is not running.\n"
    with held(home(tmp_path, "here"), storage, NAME):
        assert study.note(attributes.STOP_REQUEST) is None
        assert cli.run(["stop", NAME, "--no-wait", *elsewhere]) == 0
        assert "Study mine was asked to stop" in capsys.readouterr().out
        assert study.note(attributes.STOP_REQUEST) is not None
        for command in ("status", "studies"):
            assert cli.run([command, "--json", *elsewhere]) == 0
            assert '"state": "running"' in capsys.readouterr().out


def test_a_link_to_a_database_is_no_other_database(opened: Opener, tmp_path: Path) -> None:
    storage = opened(f"sqlite:///{tmp_path}/studies.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "studies.db")
    linked = opened(f"sqlite:///{tmp_path}/link.db")
    with held(home(tmp_path, "here"), storage, NAME):
        assert holder(linked, NAME) is not None


def test_studies_of_other_databases_and_schemas_are_others(
    postgres: Server, opened: Opener, tmp_path: Path
) -> None:
    first, second = postgres.new_database(), postgres.new_database()
    with postgres.connect(first.rpartition("/")[2]) as connection:
        connection.execute("CREATE SCHEMA team")
    third = f"{first}?options=-csearch_path%3Dteam"
    storages = [opened(url) for url in (first, second, third)]
    with contextlib.ExitStack() as stack:
        for number, storage in enumerate(storages):
            stack.enter_context(held(home(tmp_path, f"h{number}"), storage, NAME))
            assert [holder(one, NAME) is not None for one in storages[number:]].count(True) == 1


def test_one_at_a_time_makes_the_tables_of_an_empty_database(
    server_url: str, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, make = threading.Event(), RetryingStorage.__init__

    def noticed(*args: Any, **options: Any) -> None:
        making.set()
        make(*args, **options)

    monkeypatch.setattr(RetryingStorage, "__init__", noticed)
    other = threading.Thread(target=opened, args=(server_url,))
    with locked(make_url(server_url), "the tables"):
        other.start()
        assert not making.wait(1.0)
    assert making.wait(30.0)
    other.join()
    assert has_tables(server_url)


def test_mysqls_locks_have_short_names_of_their_own() -> None:
    """MySQL takes up to 64 letters, and its locks are those of all databases."""
    keys = []
    for database, name in (("a", "x" * 80), ("b", "x" * 80), ("a", "y")):
        connection = Mock()
        connection.dialect.name = "mysql"
        connection.execute.return_value.scalar.return_value = database
        keys.append(str(LOCKING["mysql"].key(connection, name)))
    assert len(set(keys)) == 3
    assert max(map(len, keys)) <= 64


# ----------------------------------------------------------------- a hold that is lost with its server


def cut(postgres: Server, url: str) -> None:
    """End all connections to this database, as a server's restart does, and wait until they are gone."""
    with postgres.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            (url.rpartition("/")[2],),
        )


def test_a_lost_hold_is_taken_again_before_anything_is_written(
    postgres: Server, server_url: str, opened: Opener, tmp_path: Path
) -> None:
    storage = opened(server_url)
    study = new_study(storage)
    with held(home(tmp_path, "here"), storage, NAME):
        cut(postgres, server_url)
        assert holder(opened(server_url), NAME) is None
        study.write(attributes.SECONDS, 5.0)
        assert holder(opened(server_url), NAME) is not None


@pytest.mark.parametrize("still", [True, False], ids=["still runs", "has ended"])
def test_a_study_that_was_taken_over_is_not_written_to(
    postgres: Server, server_url: str, opened: Opener, tmp_path: Path, still: bool
) -> None:
    storage, other = opened(server_url), opened(server_url)
    study = new_study(storage)
    with held(home(tmp_path, "here"), storage, NAME) as hold, contextlib.ExitStack() as stack:
        cut(postgres, server_url)
        taking = held(home(tmp_path, "there"), other, NAME)
        if still:
            stack.enter_context(taking)
        else:
            with taking:
                pass
        for touch in (lambda: study.write(attributes.SECONDS, 5.0), hold.check):
            with pytest.raises(StudyHeldError) as caught:
                touch()
            assert "Study mine was taken over by " in str(caught.value)
            assert "This process stops; what it had saved is kept." in str(caught.value)
    found = other.get_study_user_attrs(other.get_study_id_from_name(NAME))
    assert attributes.SECONDS not in found


def test_a_hold_whose_connection_alone_is_lost_is_noticed_within_seconds(
    postgres: Server, server_url: str, opened: Opener, tmp_path: Path
) -> None:
    storage = opened(server_url)
    study = new_study(storage)
    clock = HandClock()
    lock = lock_in(storage.engine, NAME)
    hold = StudyLock(storage, NAME, home(tmp_path, "here"), lock, clock)
    hold.take()
    hold.note()
    try:
        with postgres.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'"
            )
        study.write(attributes.SECONDS, 5.0)
        assert holder(storage, NAME) is None
        assert not hold.stop_requested()
        clock.now += SECONDS_BETWEEN_LOOKS
        assert not hold.stop_requested()
        assert holder(storage, NAME) is not None
    finally:
        lock.release()


def test_a_broken_connection_that_the_server_still_has_is_waited_for(
    server_url: str, opened: Opener, tmp_path: Path
) -> None:
    """As after an hour of sleep, or without network: the old hold is this process's own."""
    storage = opened(server_url)
    study = new_study(storage)
    with held(home(tmp_path, "here"), storage, NAME) as hold:
        lock = hold._lock
        assert isinstance(lock, _ServerLock)
        old, lock._connection = lock._connection, None
        assert old is not None
        with pytest.raises(TimeoutError):
            hold.check()
        waited: list[Trouble] = []

        def wait(trouble: Trouble) -> None:
            waited.append(trouble)
            old.close()

        storage.on_trouble = wait
        storage.engine.dispose()  # the others are broken too
        study.write(attributes.SECONDS, 5.0)
        assert [one.reason for one in waited] == [
            "the server has not seen yet that a connection is broken"
        ]
        assert holder(storage, NAME) is not None


def test_a_server_that_is_away_is_no_lost_hold(
    postgres: Server, server_url: str, opened: Opener, tmp_path: Path
) -> None:
    storage = opened(server_url)
    new_study(storage)
    clock = HandClock()
    lock = lock_in(storage.engine, NAME)
    hold = StudyLock(storage, NAME, home(tmp_path, "here"), lock, clock)
    hold.take()
    hold.note()
    postgres.stop()
    try:
        clock.now += SECONDS_BETWEEN_LOOKS
        assert not hold.stop_requested()
        with (
            pytest.raises(ServiceError) as caught,
            held(home(tmp_path, "there"), opened(server_url), NAME),
        ):
            pytest.fail("there is no server")
        assert re.search(r"^The storage postgresql\S+ cannot be opened: ", str(caught.value))
    finally:
        postgres.start()
    hold.check()
    assert holder(storage, NAME) is not None
    lock.release()


def test_the_connection_of_a_hold_is_watched_by_the_server(
    server_url: str, opened: Opener, tmp_path: Path, postgres: Server
) -> None:
    """So that it goes with a machine that loses power, in less than a minute."""
    storage = opened(server_url)
    lock = lock_in(storage.engine, NAME)
    assert lock.acquire()
    found = [
        lock.read(text(f"SHOW tcp_keepalives_{what}")) for what in ("idle", "interval", "count")
    ]  # type: ignore[arg-type]
    lock.release()
    idle, interval, count = (int(str(one)) for one in found)
    assert 0 < idle + interval * count < 60

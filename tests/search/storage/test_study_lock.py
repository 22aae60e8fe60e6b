"""One process runs a study, in whatever home: SQLite's and PostgreSQL's own locks see to it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock
from sqlalchemy import text
from sqlalchemy.engine import make_url

from search import cli
from search.errors import ServiceError, StudyGoneError, StudyHeldError, UsageError
from search.home import Home
from search.storage import opening
from search.storage.locks import _ServerLock, lock_in, locked
from search.storage.opening import has_tables, open_storage
from search.storage.outages import Outage
from search.storage.owner import Owner
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import SECONDS_BETWEEN_LOOKS, StudyLock
from search.study import attributes
from search.study.study import open_study
from tests.search.postgres import PASSWORD, Server
from tests.search.script import HandClock
from tests.search.scripted import NAME, new_study

HOLD = """
import sys, time
from pathlib import Path
from search.storage.opening import open_storage
from search.storage.study_lock import StudyLock
from search.home import Home
with StudyLock(Home(Path(sys.argv[1])), open_storage(sys.argv[2]), "mine"):
    print("held", flush=True)
    time.sleep(60)
"""


Opener = Callable[[str], RetryingStorage]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Return a function that opens storages, and close their connections at the end."""
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


@pytest.fixture
def here(tmp_path: Path) -> Home:
    return Home(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Home:
    return Home(tmp_path / "there")


@contextlib.contextmanager
def holding(place: Home, url: str) -> Iterator[subprocess.Popen[str]]:
    """Run another process that holds the study from this home."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place.root), url], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def owner(home: Home, storage: RetryingStorage) -> Owner | None:
    return StudyLock(home, storage, NAME).owner()


@pytest.mark.usefixtures("impatient")
def test_a_study_is_held_against_every_home_and_says_by_whom_until_the_process_is_killed(
    storage: RetryingStorage, url: str, here: Home, there: Home
) -> None:
    new_study(storage)
    assert owner(here, storage) is None
    before = datetime.now(UTC).replace(microsecond=0)
    with holding(there, url) as process:
        for place in (here, there):
            who = owner(place, storage)
            assert who is not None
            assert (who.pid, who.home) == (process.pid, str(there.root))
            assert before <= datetime.fromisoformat(str(who.since)) <= datetime.now(UTC)
            with pytest.raises(StudyHeldError) as caught, StudyLock(place, storage, NAME):
                pytest.fail("two hold it")
            said = str(caught.value)
            assert f"Study mine is already running: process {process.pid} on " in said
            assert f", home {there.root}, since {who.since}." in said
            assert "Watch it with: cifar-search status mine --home " in said
            assert said.endswith(" --watch")
            assert PASSWORD not in said
        process.send_signal(signal.SIGKILL)
        process.wait()
        # At once: what it has noted does not hold the study.
        assert owner(there, storage) is None
        with StudyLock(here, storage, NAME):
            found = owner(here, storage)
            assert found is not None
            assert (found.pid, found.home) == (os.getpid(), str(here.root))
    assert owner(here, storage) is None


@pytest.mark.usefixtures("impatient")
def test_a_study_that_does_not_exist_yet_is_held_too(
    sqlite_url: str, opened: Opener, here: Home, there: Home
) -> None:
    storage = opened(sqlite_url)
    with StudyLock(there, opened(sqlite_url), NAME):
        with (
            pytest.raises(StudyHeldError, match="process unknown on an unknown machine"),
            StudyLock(here, storage, NAME),
        ):
            pytest.fail("two hold it")
        assert not here.root.exists()
        with StudyLock(here, storage, "other"):
            pass
    assert storage.get_all_studies() == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "content", ["", "{", "[1]", "null", "\0", '{"storage": 5, "identity": [1]}']
)
def test_a_damaged_note_does_not_free_the_study(
    sqlite_url: str, opened: Opener, here: Home, content: str
) -> None:
    storage = opened(sqlite_url)
    with StudyLock(here, storage, NAME) as lock:
        lock.folder.note.write_text(content)
        assert owner(here, storage) == Owner()
        with pytest.raises(StudyHeldError, match="process unknown on"):
            StudyLock(here, opened(sqlite_url), NAME).__enter__()
    with StudyLock(here, storage, NAME):
        pass  # nor does it keep the study from being run


def test_a_study_is_free_again_after_an_error(sqlite_url: str, opened: Opener, here: Home) -> None:
    storage = opened(sqlite_url)
    with pytest.raises(ZeroDivisionError), StudyLock(here, storage, NAME):
        raise ZeroDivisionError
    assert owner(here, storage) is None


def test_a_look_does_not_keep_a_search_from_starting(
    sqlite_url: str, opened: Opener, here: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = opened(sqlite_url)
    with StudyLock(here, storage, NAME):
        pass
    looking, release = threading.Event(), FileLock.release

    def slow(lock: FileLock) -> None:
        looking.set()
        time.sleep(0.2)
        release(lock)

    monkeypatch.setattr(FileLock, "release", slow)
    look = threading.Thread(target=owner, args=(here, storage))
    look.start()
    looking.wait(1.0)
    try:
        with StudyLock(here, opened(sqlite_url), NAME):
            pass
    finally:
        look.join()


def test_taking_a_study_removes_what_a_killed_process_has_left(
    sqlite_url: str, opened: Opener, here: Home
) -> None:
    lock = StudyLock(here, opened(sqlite_url), NAME)
    lock.folder.create()
    exports = here.exports(NAME)
    exports.mkdir(parents=True)
    left = [lock.folder.root / name for name in (".holder.json.x1", ".images.x2", "stop")]
    left.append(exports / ".best-1.toml.x")
    for file in left:
        file.touch()
    with lock:
        assert not [file for file in left if file.exists()]


def test_a_study_of_something_else_is_not_written_to(
    sqlite_url: str, opened: Opener, here: Home
) -> None:
    storage = opened(sqlite_url)
    theirs = storage.create_new_study([], NAME)
    with StudyLock(here, storage, NAME):
        assert storage.get_study_user_attrs(theirs) == {}


def test_a_stop_is_requested_through_the_storage(
    storage: RetryingStorage, here: Home, there: Home
) -> None:
    study = new_study(storage)
    clock = HandClock()
    with StudyLock(here, storage, NAME, clock) as lock:
        StudyLock(there, storage, NAME).request_stop()
        assert not lock.stop_requested()  # it looks every few seconds only
        clock.now += SECONDS_BETWEEN_LOOKS
        assert lock.stop_requested()
        lock.note()  # as the next session does
        assert study.note(attributes.STOP_REQUEST) is None
        clock.now += SECONDS_BETWEEN_LOOKS
        assert not lock.stop_requested()


def test_commands_in_another_home_see_and_stop_a_search(
    sqlite_url: str,
    opened: Opener,
    here: Home,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    storage = opened(sqlite_url)
    study = new_study(storage)
    elsewhere = ["--home", str(tmp_path / "elsewhere"), "--storage", sqlite_url]
    assert cli.run(["stop", NAME, *elsewhere]) == 0
    assert capsys.readouterr().out == "Study mine is not running.\n"
    with StudyLock(here, storage, NAME):
        assert study.note(attributes.STOP_REQUEST) is None
        assert cli.run(["stop", NAME, "--no-wait", *elsewhere]) == 0
        assert "Study mine was asked to stop" in capsys.readouterr().out
        assert study.note(attributes.STOP_REQUEST) is not None
        for command in ("status", "studies"):
            assert cli.run([command, "--json", *elsewhere]) == 0
            assert '"state": "running"' in capsys.readouterr().out


def test_a_link_to_a_database_is_no_other_database(
    opened: Opener, here: Home, there: Home, tmp_path: Path
) -> None:
    storage = opened(f"sqlite:///{tmp_path}/studies.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "studies.db")
    linked = opened(f"sqlite:///{tmp_path}/link.db")
    with StudyLock(here, storage, NAME):
        assert owner(there, linked) is not None


def test_studies_of_other_databases_and_schemas_are_others(
    postgres: Server, opened: Opener, tmp_path: Path
) -> None:
    first, second = postgres.new_database(), postgres.new_database()
    with postgres.connect(first.rpartition("/")[2]) as connection:
        connection.execute("CREATE SCHEMA team")
    third = f"{first}?options=-csearch_path%3Dteam"
    storages = [opened(url) for url in (first, second, third)]
    other = Home(tmp_path / "other")
    with contextlib.ExitStack() as stack:
        for number, storage in enumerate(storages):
            stack.enter_context(StudyLock(Home(tmp_path / f"h{number}"), storage, NAME))
            owners = [owner(other, one) for one in storages]
            assert [one is not None for one in owners].count(True) == number + 1


def test_one_at_a_time_makes_the_tables_of_an_empty_database(
    server_url: str, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, make = threading.Event(), opening.FastRDBStorage

    def noticed(*args: Any, **options: Any) -> Any:
        making.set()
        return make(*args, **options)

    monkeypatch.setattr(opening, "FastRDBStorage", noticed)
    other = threading.Thread(target=opened, args=(server_url,))
    with locked(make_url(server_url), "the tables"):
        other.start()
        assert not making.wait(1.0)
    assert making.wait(30.0)
    other.join()
    assert has_tables(server_url)


# ------------------------------------------------------------------------- the folder, and whose it is


def test_a_renamed_study_finds_its_checkpoints(sqlite_url: str, opened: Opener, here: Home) -> None:
    """As the dashboard renames it: a copy under the new name, and the old study deleted."""
    storage = opened(sqlite_url)
    new_study(storage)
    with StudyLock(here, storage, NAME) as lock:
        lock.folder.checkpoint(3).touch()
    new = "My try / v2"
    optuna.copy_study(
        from_study_name=NAME, from_storage=storage, to_storage=storage, to_study_name=new
    )
    optuna.delete_study(study_name=NAME, storage=storage)
    assert open_study(storage, new).folder(here).checkpoints() == {3}
    with StudyLock(here, storage, new) as lock:
        assert lock.folder.checkpoints() == {3}
        assert lock.folder.read_note()["study"] == new


def test_a_copy_made_with_optuna_does_not_share_the_folder_of_its_original(
    sqlite_url: str, opened: Opener, here: Home
) -> None:
    storage = opened(sqlite_url)
    new_study(storage)
    with StudyLock(here, storage, NAME) as lock:
        lock.folder.checkpoint(3).touch()
    optuna.copy_study(
        from_study_name=NAME, from_storage=storage, to_storage=storage, to_study_name="copy"
    )
    with StudyLock(here, storage, "copy") as copied:
        assert copied.folder.checkpoints() == set()
        copied.folder.checkpoint(4).touch()
    with StudyLock(here, storage, NAME) as lock:
        assert lock.folder.checkpoints() == {3}
    assert open_study(storage, "copy").folder(here).checkpoints() == {4}


def test_a_study_that_was_copied_and_then_renamed_keeps_its_checkpoints(
    sqlite_url: str, opened: Opener, here: Home
) -> None:
    storage = opened(sqlite_url)
    new_study(storage)
    with StudyLock(here, storage, NAME) as lock:
        lock.folder.checkpoint(3).touch()
    for name in ("renamed", "copy"):
        optuna.copy_study(
            from_study_name=NAME, from_storage=storage, to_storage=storage, to_study_name=name
        )
    optuna.delete_study(study_name=NAME, storage=storage)
    # Which is which nobody can tell any more: the first that is run continues with the folder.
    for name, checkpoints in (("renamed", {3}), ("copy", set[int]())):
        with StudyLock(here, storage, name) as lock:
            assert lock.folder.checkpoints() == checkpoints
    assert open_study(storage, "renamed").folder(here).checkpoints() == {3}


def test_studies_of_one_name_in_two_storages_have_a_folder_each(
    opened: Opener, here: Home, tmp_path: Path
) -> None:
    storages = [opened(f"sqlite:///{tmp_path}/{name}.db") for name in ("one", "two")]
    for number, storage in enumerate(storages):
        new_study(storage)
        with StudyLock(here, storage, NAME) as lock:
            lock.folder.checkpoint(number).touch()
    for number, storage in enumerate(storages):
        assert open_study(storage, NAME).folder(here).checkpoints() == {number}


def test_a_copied_database_does_not_take_the_checkpoints_of_the_original_but_a_moved_one_does(
    opened: Opener, here: Home, tmp_path: Path
) -> None:
    original, copy = tmp_path / "one.db", tmp_path / "two.db"
    storage = opened(f"sqlite:///{original}")
    new_study(storage)
    with StudyLock(here, storage, NAME) as lock:
        lock.folder.checkpoint(3).touch()
    storage.engine.dispose()
    shutil.copy(original, copy)
    again = opened(f"sqlite:///{copy}")
    with pytest.raises(UsageError, match=r"belongs to study mine in .*one\.db, of which the"):
        StudyLock(here, again, NAME).__enter__()
    original.unlink()
    with StudyLock(here, again, NAME) as lock:
        assert lock.folder.checkpoints() == {3}


def test_the_folder_of_an_earlier_version_is_found_and_gets_an_identity(
    sqlite_url: str, opened: Opener, here: Home
) -> None:
    storage = opened(sqlite_url)
    study = new_study(storage)
    folder = here.study(NAME)
    folder.create()
    folder.checkpoint(3).touch()
    folder.note.write_text(json.dumps({"storage": str(make_url(sqlite_url).database), "pid": 1}))
    assert study.folder(here) == folder
    with StudyLock(here, storage, NAME) as lock:
        assert lock.folder == folder
        assert folder.identity == study.note(attributes.IDENTITY) == lock.identity != ""


def test_a_start_that_was_killed_before_the_study_existed_is_continued_in_its_folder(
    sqlite_url: str, opened: Opener, here: Home
) -> None:
    storage = opened(sqlite_url)
    with StudyLock(here, storage, NAME) as first:
        pass
    with StudyLock(here, storage, NAME) as second:
        assert (second.folder, second.identity) == (first.folder, first.identity)


# --------------------------------------------------------------------- a study that goes while it runs


def held_study(opened: Opener, url: str, home: Home, clock: HandClock) -> StudyLock:
    storage = opened(url)
    new_study(storage)
    return StudyLock(home, storage, NAME, clock)


def test_a_study_that_is_deleted_or_renamed_while_it_runs_ends_the_search_with_a_sentence(
    sqlite_url: str, opened: Opener, here: Home
) -> None:
    clock, other = HandClock(), opened(sqlite_url)
    for renamed, words in ((None, "was deleted while it ran"), ("new one", "is now new one.")):
        lock = held_study(opened, sqlite_url, here, clock).__enter__()
        study = open_study(lock._storage, NAME)
        lock.folder.images.touch()
        if renamed:
            names = {"from_study_name": NAME, "to_study_name": renamed}
            optuna.copy_study(from_storage=other, to_storage=other, **names)
        optuna.delete_study(study_name=NAME, storage=other)
        clock.now += SECONDS_BETWEEN_LOOKS
        with pytest.raises(StudyGoneError, match=words):
            lock.stop_requested()
        # A write that comes before this look fails with Optuna's words, which the lock explains.
        with pytest.raises(KeyError) as failed:
            study.write(attributes.SECONDS, 1.0)
        with pytest.raises(StudyGoneError, match=words) as caught:
            lock.__exit__(KeyError, failed.value, None)
        assert not lock.folder.images.exists()
        assert renamed is None or "resume 'new one' --home " in str(caught.value)


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_database_file_that_is_removed_or_replaced_is_noticed_at_once(
    sqlite_url: str, opened: Opener, here: Home, tmp_path: Path, replaced: bool
) -> None:
    file = Path(str(make_url(sqlite_url).database))
    lock = held_study(opened, sqlite_url, here, HandClock()).__enter__()
    study = open_study(lock._storage, NAME)
    words = "was replaced by another file" if replaced else "was removed"
    copy = Path(shutil.copy(file, tmp_path / "copy.db"))
    if replaced:
        copy.replace(file)
    else:
        file.unlink()
    leave = partial(lock.__exit__, None, None, None)
    for use in (lock.stop_requested, partial(study.write, attributes.SECONDS, 1.0), leave):
        with pytest.raises(StudyGoneError, match=words):
            use()
    assert file.exists() is replaced


def test_a_database_that_is_overwritten_in_place_ends_the_search(
    sqlite_url: str, opened: Opener, here: Home
) -> None:
    clock = HandClock()
    lock = held_study(opened, sqlite_url, here, clock).__enter__()
    with lock._storage.engine.begin() as connection:
        connection.execute(text("DELETE FROM study_user_attributes WHERE key = 'holder'"))
    clock.now += SECONDS_BETWEEN_LOOKS
    for use in (lock.stop_requested, partial(lock.__exit__, None, None, None)):
        with pytest.raises(StudyGoneError, match="was overwritten while the search ran"):
            use()


# ----------------------------------------------------------------- a lock that is lost with its server


def cut(postgres: Server, url: str) -> None:
    """End all connections to this database, as a server's restart does, and wait until they are gone."""
    with postgres.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            (url.rpartition("/")[2],),
        )


def test_a_lost_lock_is_taken_again_before_anything_is_written(
    postgres: Server, server_url: str, opened: Opener, here: Home, there: Home
) -> None:
    storage = opened(server_url)
    study = new_study(storage)
    with StudyLock(here, storage, NAME):
        cut(postgres, server_url)
        assert owner(there, opened(server_url)) is None
        study.write(attributes.SECONDS, 5.0)
        assert owner(there, opened(server_url)) is not None


@pytest.mark.parametrize("still", [True, False], ids=["still runs", "has ended"])
def test_a_study_that_was_taken_over_is_not_written_to(
    postgres: Server, server_url: str, opened: Opener, here: Home, there: Home, still: bool
) -> None:
    storage, other = opened(server_url), opened(server_url)
    study = new_study(storage)
    with StudyLock(here, storage, NAME) as lock, contextlib.ExitStack() as stack:
        cut(postgres, server_url)
        taking = StudyLock(there, other, NAME)
        if still:
            stack.enter_context(taking)
        else:
            with taking:
                pass
        for touch in (lambda: study.write(attributes.SECONDS, 5.0), lock.check):
            with pytest.raises(StudyHeldError) as caught:
                touch()
            assert "Study mine was taken over by " in str(caught.value)
            assert "This process stops; what it had saved is kept." in str(caught.value)
    found = other.get_study_user_attrs(other.get_study_id_from_name(NAME))
    assert attributes.SECONDS not in found


def test_a_lock_whose_connection_alone_is_lost_is_noticed_within_seconds(
    postgres: Server, server_url: str, opened: Opener, here: Home, there: Home
) -> None:
    storage = opened(server_url)
    study = new_study(storage)
    clock = HandClock()
    with StudyLock(here, storage, NAME, clock) as lock:
        with postgres.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'"
            )
        study.write(attributes.SECONDS, 5.0)
        assert owner(there, opened(server_url)) is None
        assert not lock.stop_requested()
        clock.now += SECONDS_BETWEEN_LOOKS
        assert not lock.stop_requested()
        assert owner(there, opened(server_url)) is not None


def test_a_broken_connection_that_the_server_still_has_is_waited_for(
    server_url: str, opened: Opener, here: Home, there: Home
) -> None:
    """As after an hour of sleep, or without network: the old lock is this process's own."""
    storage = opened(server_url)
    study = new_study(storage)
    with StudyLock(here, storage, NAME) as lock:
        server_lock = lock._lock
        assert isinstance(server_lock, _ServerLock)
        old, server_lock._connection = server_lock._connection, None
        assert old is not None
        with pytest.raises(TimeoutError):
            lock.check()
        waited: list[Outage] = []

        def wait(outage: Outage) -> None:
            waited.append(outage)
            old.close()

        storage.on_outage = wait
        storage.engine.dispose()  # the others are broken too
        study.write(attributes.SECONDS, 5.0)
        assert [one.reason for one in waited] == [
            "the server has not seen yet that a connection is broken"
        ]
        assert owner(there, opened(server_url)) is not None


def test_a_server_that_is_away_is_no_lost_lock(
    postgres: Server, server_url: str, opened: Opener, here: Home, there: Home
) -> None:
    storage = opened(server_url)
    new_study(storage)
    clock = HandClock()
    with StudyLock(here, storage, NAME, clock) as lock:
        postgres.stop()
        try:
            clock.now += SECONDS_BETWEEN_LOOKS
            assert not lock.stop_requested()
            with (
                pytest.raises(ServiceError) as caught,
                StudyLock(there, opened(server_url), NAME),
            ):
                pytest.fail("there is no server")
            assert re.search(r"^The storage postgresql\S+ cannot be opened: ", str(caught.value))
        finally:
            postgres.start()
        lock.check()
        assert owner(there, opened(server_url)) is not None


def test_the_connection_of_a_lock_is_watched_by_the_server(server_url: str, opened: Opener) -> None:
    """So that the lock goes with a machine that loses power, in less than a minute."""
    lock = lock_in(opened(server_url).engine, NAME)
    assert lock.acquire()
    found = [
        lock.read(text(f"SHOW tcp_keepalives_{what}"))  # type: ignore[arg-type]
        for what in ("idle", "interval", "count")
    ]
    lock.release()
    idle, interval, count = (int(str(one)) for one in found)
    assert 0 < idle + interval * count < 60

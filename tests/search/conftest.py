"""What the end-to-end tests share: images that are quickly read, and one search that was left alone."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from filelock import FileLock
from optuna.storages._rdb.storage import _VersionManager

from search.cli import run as run_here
from search.home import STORAGE_VARIABLES, StudyFolder
from search.storage import locks, study_lock
from tests.search.browsing import browser  # noqa: F401 -- a fixture
from tests.search.postgres import Server
from tests.search.running import (
    FAST,
    Database,
    Ended,
    run,
    space_file,
    unconfirmed,
    write_class_folders,
    write_images,
)
from tests.search.scripted import folder_in

Here = Callable[..., Ended]


@dataclass(frozen=True)
class Undisturbed:
    """A search that was left alone until its end; its studies are only read.

    Attributes:
        folder: Where it ran.
        home: Its home.
        space: Its space file.
        options: All that followed `start`, but for `--home`.
        ended: Its output.
    """

    folder: Path
    home: Path
    space: Path
    options: tuple[str, ...]
    ended: Ended

    @property
    def database(self) -> Database:
        """Its studies."""
        return Database(self.home)


@pytest.fixture(scope="session", autouse=True)
def _migrations_are_read_once() -> Iterator[None]:
    """Optuna imports all its migrations whenever it opens a database, and they never change."""
    read, scripts = _VersionManager._create_alembic_script, list[ScriptDirectory]()

    def once(manager: _VersionManager) -> ScriptDirectory:
        if not scripts:
            scripts.append(read(manager))
        return scripts[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_VersionManager, "_create_alembic_script", once)
        yield


@pytest.fixture(autouse=True)
def no_storage_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies of tests are in their own homes, whatever the environment says."""
    for name in STORAGE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another has is given up soon: nobody lets go of it while a test waits."""
    for module in (locks, study_lock):
        monkeypatch.setattr(module, "SECONDS_TO_TAKE", 0.05)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """A study's folder in a home of its own."""
    return folder_in(tmp_path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs the PostgreSQL server."""
    for item in items:
        if "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database that does not exist yet, as `--storage` names it."""
    return f"sqlite:///{tmp_path}/studies.db"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, sqlite_url: str) -> str:
    """An empty database of each kind, as `--storage` names it."""
    if request.param == "sqlite":
        return sqlite_url
    found: str = request.getfixturevalue("server_url")
    return found


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all of pytest-xdist's workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "end-to-end"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def plain_images(shared_folder: Path) -> Path:
    """A data folder of images that a narrow network learns in an epoch, without a test file."""
    folder = shared_folder / "images"
    with FileLock(shared_folder / "images.lock"):
        if not folder.exists():
            write_images(folder)
    return folder


@pytest.fixture(scope="session")
def few_images(shared_folder: Path) -> Path:
    """A data folder of own images, 400 to train on, 100 to validate on and 100 to test on.

    A training of them measures on a fiftieth of the images of one of CIFAR-10.
    """
    folder = shared_folder / "few-images"
    with FileLock(shared_folder / "few-images.lock"):
        if not folder.exists():
            write_class_folders(folder)
    return folder


@pytest.fixture(scope="session")
def undisturbed(shared_folder: Path, plain_images: Path) -> Undisturbed:
    """A search of eleven trials by one worker, with a measured learning-rate range."""
    folder = shared_folder / "undisturbed"
    space, home = folder / "my_space.toml", folder / "home"
    options = ("--space", str(space), *FAST)
    out, err = folder / "out", folder / "err"
    with FileLock(shared_folder / "undisturbed.lock"):
        if not err.exists():
            folder.mkdir()
            space_file(folder, seeds="2")
            tracked = ("--track", "tensorboard")
            ended = run(
                "start", *options, *tracked, "--home", home, folder=folder, data=plain_images
            )
            assert ended.code == 0, ended
            out.write_text(ended.out)
            err.write_text(ended.err)
    return Undisturbed(folder, home, space, options, Ended(0, out.read_text(), err.read_text()))


@pytest.fixture
def here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, plain_images: Path
) -> Here:
    """Runs a command that trains no trial in this process, which is far quicker."""
    monkeypatch.setenv("CIFAR_SEARCH_DATA", str(plain_images))

    def ran(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run_here(list(unconfirmed(tuple(map(str, arguments)))))
        return Ended(code, *capsys.readouterr())

    return ran


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server that runs whenever a test starts, and leaves nothing behind."""
    with Server.running() as server:
        yield server


@pytest.fixture
def server_url(postgres: Server) -> str:
    """An empty database of that server, as `--storage` names it."""
    return postgres.new_database()

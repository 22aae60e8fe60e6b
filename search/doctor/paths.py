"""Checks of the places that a search reads and writes: the images, the home, the storage."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import optuna
from optuna.storages import RDBStorage
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from cifar_core.data import cifar10
from cifar_core.data.dataset import AUTO, SYNTHETIC, DataName, DataSet, folder_of, title_of
from cifar_core.data.locating import locate
from cifar_core.errors import DataError
from cifar_core.text_files import first_line
from search.doctor.check import Check, Verdict
from search.errors import ServiceError, UsageError
from search.home import Home
from search.storage.drivers import engine_options
from search.storage.opening import check_storage
from search.storage.read_only import is_read_only, read_only_url
from search.storage.schema import has_tables_of_optuna, is_complete, schema_problem
from search.storage.urls import hide_secrets, shown_url, sqlite_file

__all__ = ["home_check", "images_check", "storage_check"]

ROOM_NEEDED, ROOM_WANTED = 700_000_000, 2_000_000_000
"""Bytes: the prepared images have 292 million, and twice that while they are rewritten beside those that a
killed search has left; checkpoints and studies need some more."""
OTHERS = (
    f"--data DIR, or set CIFAR_SEARCH_DATA=DIR, where DIR holds {cifar10.FOLDERS['python']} or "
    f"{cifar10.FOLDERS['binary']}; or --data synthetic for the built-in images."
)


def images_check(wanted: str | None, folder: Path) -> tuple[Check, DataSet]:
    """Look for the images and read the training files; the test files are not opened.

    Args:
        wanted: The value of ``--data``, or None.
        folder: Where to look if it is None or ``auto``.

    Returns:
        The check, and images for further checks: the synthetic ones if no others are available.
    """
    instead = DataSet("synthetic")
    if wanted == SYNTHETIC:
        found = "the built-in SYNTHETIC ones, as requested; they say nothing about CIFAR-10"
        return _images("ok", found, None, None, None), instead
    place = None
    try:
        place = folder_of(wanted or str(folder), folder)
        source = locate(place)
        if source is None:
            return _not_there(place, may_do_without=wanted == AUTO), instead
        data = DataSet.of(source)
        official = data.read_train().official
        name = title_of(data.name, len(data.classes), official=official)
    except DataError as error:
        return _images("failed", str(error), f"Give {OTHERS}", place, None), instead
    if official:
        return _images("ok", f"{name} in {source.folder}", None, place, True, data.name), data
    if data.name == "folder":
        found = f"{name}, {data.train_images:,} for training, in {source.folder}"
        return _images("ok", found, None, place, False, data.name), data
    found = f"{name} in {source.folder}"
    advice = "They are used, and every figure says so: it is not strictly comparable with published ones."
    return _images("warning", found, advice, place, False, data.name), data


def home_check(home: Home) -> Check:
    """Check whether a search could write its files, and how much room there is."""
    root = home.root
    facts = {"path": str(root), "exists": os.path.isdir(root), "free_bytes": None}  # noqa: PTH112 - never raises
    try:
        place = _existing(root)
        free = shutil.disk_usage(place).free
        _write_in(place)
    except OSError as error:
        found = f"{root} cannot be written to: {error.strerror or error}"
        advice = "Choose another with --home or CIFAR_SEARCH_HOME."
        return Check("places", "home", "failed", found, advice, {**facts, "writable": False})
    facts |= {"writable": True, "free_bytes": free}
    there = "writable" if place == root else "can be created"
    found = f"{root}, {there}, {free / 1e9:,.1f} GB free"
    if free < ROOM_WANTED:
        verdict: Verdict = "failed" if free < ROOM_NEEDED else "warning"
        needed = f"A search needs at least {ROOM_NEEDED / 1e9:.1f} GB"
        advice = f"{needed}. Make space, or choose another with --home."
        return Check("places", "home", verdict, found, advice, facts)
    return Check("places", "home", "ok", found, None, facts)


def storage_check(url: str) -> Check:
    """Check whether a search could keep its studies, and count them.

    Args:
        url: The storage.

    Raises:
        UsageError: It is not the URL of a database.
    """
    path = sqlite_file(url)
    facts = {"url": shown_url(url), "reachable": False, "studies": None}
    try:
        check_storage(url)
        if path is not None:
            _write_in(_existing(path.parent))  # SQLite creates files beside its own
        if path is not None and not path.exists():
            facts |= {"reachable": True, "studies": 0}
            found = f"{shown_url(url)}: created by the first search"
            return Check("places", "storage", "ok", found, None, facts)
        studies = _studies_in(make_url(url) if path is None else _read_only(path))
    except (UsageError, ServiceError) as error:  # the error says what to do
        return Check("places", "storage", "failed", str(error), None, facts)
    except (SQLAlchemyError, sqlite3.Error, OSError, RuntimeError) as error:
        reason = (
            error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        )
        found = f"{shown_url(url)} cannot be opened: {hide_secrets(reason, url)}"
        advice = "Name another database with --storage, or another folder with --home."
        return Check("places", "storage", "failed", found, advice, facts)
    facts |= {"reachable": True, "studies": studies}
    found = f"{shown_url(url)}, {studies} {'study' if studies == 1 else 'studies'}"
    return Check("places", "storage", "ok", found, None, facts)


def _images(
    verdict: Verdict,
    found: str,
    advice: str | None,
    place: Path | None,
    official: bool | None,
    name: DataName = SYNTHETIC,
) -> Check:
    facts = {
        "looked_in": None if place is None else str(place),
        "name": name if verdict != "failed" else None,
        "official": bool(official),
    }
    return Check("images", "images", verdict, found, advice, facts)


def _not_there(place: Path, may_do_without: bool) -> Check:
    """The check of a place without CIFAR-10: a search would download it, which is not tried here."""
    found = f"CIFAR-10 is not in {place}"
    then = "takes the synthetic images if that fails" if may_do_without else "ends if that fails"
    try:
        _write_in(_existing(place))
    except OSError as error:
        if not may_do_without:
            found = f"{found}, and cannot be downloaded there: {error.strerror or error}"
            return _images("failed", found, f"Give {OTHERS}", place, None)
        found = f"{found}, and cannot be downloaded there: a search takes the synthetic images"
    else:
        found = f"{found}: a search downloads it (about 170 MB), and {then}"
    return _images("warning", found, f"Without network, give {OTHERS}", place, None)


def _studies_in(url: URL) -> int:
    """Return the number of studies in an existing database; without Optuna's tables it has none.

    Raises:
        RuntimeError: Its tables are those of another Optuna.
    """
    options = engine_options(url)
    engine = create_engine(url, **options)
    try:
        if not has_tables_of_optuna(engine):
            return 0
        if (problem := schema_problem(engine)) is not None:
            raise RuntimeError(problem)
        if not is_complete(engine):
            _complete_copy(engine)
            return 0
    finally:
        engine.dispose()
    storage = RDBStorage(
        url.render_as_string(hide_password=False), engine_kwargs=options, skip_table_creation=True
    )
    try:
        return len(optuna.get_all_study_names(storage))
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _complete_copy(engine: Engine) -> None:
    """Create the missing tables in a copy of an SQLite database, as the next search will do in it.

    Raises:
        RuntimeError: Another version of Optuna made the others.
    """
    if engine.url.get_backend_name() != "sqlite":
        return
    with TemporaryDirectory() as folder, closing(engine.raw_connection()) as connection:
        with closing(sqlite3.connect(Path(folder) / "copy.db")) as copy:
            connection.driver_connection.backup(copy)  # type: ignore[union-attr]
        storage = RDBStorage(f"sqlite:///{folder}/copy.db")
        storage.remove_session()
        storage.engine.dispose()


def _read_only(path: Path) -> URL:
    """Return a URL with which an SQLite file is read and nothing is written beside it.

    Raises:
        OSError: A search could not write to the file.
    """
    if path.is_dir() or is_read_only(path):
        raise OSError(0, "it is a folder" if path.is_dir() else "it is read-only")
    return read_only_url(path)


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest existing one above it.

    Raises:
        OSError: It is not a folder.
    """
    place = path
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(20, f"{place} is not a folder")
    return place


def _write_in(folder: Path) -> None:
    """Write a file without a name, or with one that is removed at once.

    Raises:
        OSError: It cannot be written.
    """
    with TemporaryFile(dir=folder) as file:
        file.write(b"1")

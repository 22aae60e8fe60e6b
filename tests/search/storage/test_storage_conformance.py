"""Optuna's own tests of storages, run on `RetryingStorage`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from search.storage.opening import open_storage
from search.storage.retrying import RetryingStorage


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a study; its tables take longer to make than a test here takes."""
    path = tmp_path_factory.mktemp("empty") / "studies.db"
    open_storage(f"sqlite:///{path}").engine.dispose()
    return path


class TestRetryingStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path, empty: Path) -> Iterator[BaseStorage]:
        shutil.copy(empty, tmp_path)
        storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
        assert isinstance(storage, RetryingStorage)
        yield storage
        storage.engine.dispose()

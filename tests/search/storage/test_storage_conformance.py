"""Optuna's own tests of storages, run on `RetryingStorage`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from search.storage.opening import open_storage
from search.storage.retrying import RetryingStorage


class TestRetryingStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
        assert isinstance(storage, RetryingStorage)
        yield storage
        storage.engine.dispose()

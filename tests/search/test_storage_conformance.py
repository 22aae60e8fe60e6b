"""Optuna's own tests of storages, on ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from search.patience import PatientStorage
from search.storage import open_storage


class TestPatientStorage(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[BaseStorage]:
        storage = open_storage(f"sqlite:///{tmp_path}/studies.db")
        assert isinstance(storage, PatientStorage)
        yield storage
        storage.engine.dispose()

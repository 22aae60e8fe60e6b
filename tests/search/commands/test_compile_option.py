"""`--compile` from the command line to the pool of workers; what they make of it is in `test_pool`."""

from pathlib import Path
from typing import Any

import pytest

from search.cli import run
from search.errors import UsageError
from search.workers.engine import LocalEngine
from tests.search.running import FAST, space_file


def wanted(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> bool:
    """Whether the pool that a command would have begun was to compile."""
    asked: list[bool] = []

    def no_pool(*_: object, compile_networks: bool = False, **_options: Any) -> None:
        asked.append(compile_networks)
        raise UsageError("enough")

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "pool", no_pool)
        assert run([str(one) for one in arguments]) == 2
    (found,) = asked
    return found


def test_searches_are_compiled_when_they_are_begun_or_resumed_so_and_only_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few_images: Path
) -> None:
    """It is no setting of the study: each start and resume says it anew."""
    home = ("--home", tmp_path / "home", "--data", few_images)
    start = ("start", "--space", space_file(tmp_path), "--study", "mine", *FAST, *home)
    resume = ("resume", "mine", "--device", "cpu", "--workers", 1, *home)
    for command in (start, resume, start):
        assert wanted(monkeypatch, *command) is False
        assert wanted(monkeypatch, *command, "--compile") is True

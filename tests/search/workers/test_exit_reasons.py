"""Why a worker has died, in words."""

import signal
from pathlib import Path

import pytest

from search.workers import exit_reasons as deaths
from search.workers.exit_reasons import exit_reason, oom_kills


@pytest.fixture
def counters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    files = [tmp_path / "vmstat", tmp_path / "memory.events", tmp_path / "memory.oom_control"]
    monkeypatch.setattr(deaths, "COUNTERS", files)
    return files


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (0, "ended with exit code 0"),
        (1, "ended with exit code 1"),
        (-signal.SIGKILL, "killed by SIGKILL"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-200, "killed by signal 200"),
        (None, "killed, and does not end"),
    ],
)
def test_an_end_has_its_words(counters: list[Path], exit_code: int | None, words: str) -> None:
    assert exit_reason(exit_code) == words


def test_a_kill_for_lack_of_memory_is_told_from_others(counters: list[Path]) -> None:
    machine, container, old = counters
    machine.write_text("nr_free_pages 12\noom_kill 3\noom_kill_other 9\n")
    assert oom_kills() == 3
    container.write_text("low 0\noom 5\noom_kill 2\n")
    old.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    before = oom_kills()
    assert before == 6
    assert exit_reason(-signal.SIGKILL, before) == "killed by SIGKILL"
    container.write_text("low 0\noom 6\noom_kill 3\n")
    words = "killed by SIGKILL when the machine was out of memory"
    assert exit_reason(-signal.SIGKILL, before) == words
    # Whoever ended otherwise was not the victim.
    assert exit_reason(1, before) == "ended with exit code 1"
    assert exit_reason(-signal.SIGSEGV, before) == "killed by SIGSEGV"


@pytest.mark.parametrize("content", [b"", b"oom_kill\n", b"oom_kill many\n", b"\xff\xfe"])
def test_a_system_that_counts_otherwise_counts_nothing(
    counters: list[Path], content: bytes
) -> None:
    counters[0].write_bytes(content)
    assert oom_kills() == 0


def test_this_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/vmstat").exists():
        pytest.skip("there is no /proc/vmstat here")
    assert oom_kills() >= 0
    monkeypatch.setattr(deaths, "COUNTERS", (Path("/proc/vmstat"),))
    assert "oom_kill " in Path("/proc/vmstat").read_text()

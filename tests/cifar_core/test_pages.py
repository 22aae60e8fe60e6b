"""Large pages are asked for in new processes, and nowhere else."""

import os
import subprocess
import sys

import pytest

from cifar_core.pages import TUNABLE, VARIABLE, large_pages


def in_a_new_process() -> str:
    code = f"import os; print(os.environ.get({VARIABLE!r}, 'unset'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_processes_started_within_have_the_variable_and_later_ones_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with large_pages():
        assert in_a_new_process() == f"{TUNABLE}=1"
    assert in_a_new_process() == "unset"


def test_what_the_user_has_set_there_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "glibc.malloc.check=3")
    with large_pages():
        assert os.environ[VARIABLE] == f"glibc.malloc.check=3:{TUNABLE}=1"
    assert os.environ[VARIABLE] == "glibc.malloc.check=3"


@pytest.mark.parametrize("choice", [f"{TUNABLE}=0", f"{TUNABLE}=2"])
def test_another_choice_of_the_user_stays(monkeypatch: pytest.MonkeyPatch, choice: str) -> None:
    monkeypatch.setenv(VARIABLE, choice)
    with large_pages():
        assert os.environ[VARIABLE] == choice


def test_the_variable_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(OSError, match="no process"), large_pages():
        raise OSError("no process")
    assert VARIABLE not in os.environ

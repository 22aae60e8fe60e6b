"""What a disk, a memory or a database has to say at the end of a command."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest
import torch
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import ArgumentError, OperationalError

from cifar_core.errors import CifarSearchError, DataError, DeviceError, NoImagesError
from search.commands.error_messages import LONGEST, explain, for_terminal, with_options

SERVER = "postgresql://me:open%20sesame@db.example/studies"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Make space and run the same command again"),
        (errno.EDQUOT, "Make space and run the same command again"),
        (errno.EACCES, "Choose another place, or change its permissions."),
        (errno.EROFS, "Choose another place, or change its permissions."),
        (errno.EMFILE, "Allow more open files (ulimit -n), or use fewer --workers."),
        (errno.EIO, ""),
    ],
)
def test_a_file_that_fails_is_named_with_the_reason_and_what_to_do(
    number: int, advice: str
) -> None:
    error = OSError(number, os.strerror(number), "/home/me/runs/studies.db")
    text = explain(error)
    assert text is not None
    assert text.startswith(f"/home/me/runs/studies.db: {os.strerror(number)}.")
    assert advice in text


@pytest.mark.parametrize("error", [OSError("in words"), OSError(errno.EIO, "Input/output error")])
def test_a_failure_without_a_file_is_told_too(error: OSError) -> None:
    assert explain(error) in {"in words.", "Input/output error."}


def test_too_little_memory_is_told_with_what_needs_less() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55)
    text = explain(caught.value)
    assert text is not None
    assert text.startswith("There is not enough memory: ")
    assert "smaller batch_size" in text
    assert len(text.splitlines()) == 1
    assert "There is not enough memory: MemoryError." in str(explain(MemoryError()))


def of_database(cause: BaseException) -> StorageInternalError:
    """What Optuna raises."""
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("database or disk is full", "database or disk is full"),
        ("connection lost\nDETAIL: nothing", "connection lost"),
        ('FATAL: no user "me" with "open sesame"', 'FATAL: no user "me" with "***"'),
    ],
)
def test_a_databases_answer_is_told_in_a_line_without_its_password(
    answer: str, shown: str, *, wrapped: bool
) -> None:
    cause = OperationalError("UPDATE studies SET x = ?", ("secret",), sqlite3.Error(answer))
    error = of_database(cause) if wrapped else cause
    for arguments in (
        ["status", "--storage", SERVER],
        ["status", f"--storage={SERVER}"],
    ):
        text = explain(error, arguments)
        assert text is not None
        assert text.startswith(
            f"The storage does not work: {shown}. Everything saved so far is intact"
        )
        assert len(text.splitlines()) == 1
        for hidden in ("sesame", "db.example", "UPDATE", "secret"):
            assert hidden not in text


def test_what_a_database_says_without_a_cause_is_told() -> None:
    for error in (
        StorageInternalError("gone"),
        sqlite3.DatabaseError("gone"),
        ArgumentError("gone"),
    ):
        assert str(explain(error)).startswith("The storage does not work: gone. ")


@pytest.mark.parametrize("error", [TypeError("a"), KeyError("a"), RuntimeError("a"), ValueError()])
def test_an_error_of_the_program_is_not_put_into_words(error: Exception) -> None:
    assert explain(error) is None


def test_a_text_for_the_terminal_keeps_its_lines_and_nothing_that_steers() -> None:
    text = "a is wrong:\n  \x1b[2Jb: c\u202e\r\n  d: e"
    assert for_terminal(text) == "a is wrong:\n[2Jb: c\n  d: e"


def test_of_a_long_text_beginning_and_end_are_kept(tmp_path: Path) -> None:
    text = for_terminal(f"{tmp_path} is wrong: {'x' * 100_000}. Do something.")
    assert text.startswith(f"{tmp_path} is wrong: x")
    assert text.endswith("x. Do something.")
    assert len(text) <= LONGEST + 5


def test_an_error_for_missing_images_names_three_ways_out() -> None:
    text = with_options(NoImagesError(Path("some/where"), "The download failed: no route to host."))
    first, *ways = text.splitlines()
    assert first == (
        "There are no CIFAR-10 images in some/where. The download failed: no route to host."
    )
    assert [line.strip()[:2] for line in ways[1:]] == ["1.", "2.", "3."]
    for way in ("--data DIR", "CIFAR_SEARCH_DATA=DIR", "cifar-10-batches-py", "170 MB"):
        assert way in text


@pytest.mark.parametrize(
    ("error", "option"),
    [(DataError("It is damaged."), "--data"), (DeviceError("There is none."), "--device")],
    ids=["images", "device"],
)
def test_an_error_of_the_core_gets_the_option_that_helps(
    error: CifarSearchError, option: str
) -> None:
    text = with_options(error)
    assert text.startswith(f"{error} Use {option} ")
    assert "\n" not in text

"""Errors of the machine in a sentence: a full disk, too little memory, a database that fails."""

import errno
import os
import sqlite3
import sys
from collections.abc import Sequence

from cifar_core.errors import CifarSearchError, DataError, DeviceError, NoImagesError
from cifar_core.text_files import first_line, one_line

__all__ = ["explain", "for_terminal", "with_options", "without_passwords"]

LONGEST = 1_800
"""Characters of an error, which may repeat a long value that a user has given."""
SPACE = "Make space and run the same command again; everything saved so far is intact."
PLACE = "Choose another place, or change its permissions."
ADVICE = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EACCES: PLACE,
    errno.EPERM: PLACE,
    errno.EROFS: PLACE,
    errno.EMFILE: "Allow more open files (ulimit -n), or use fewer --workers.",
}


def explain(error: Exception, arguments: Sequence[str] = ()) -> str | None:
    """Return what happened, where, and what to do; None for an error of the program.

    Args:
        error: The error.
        arguments: The command's arguments, which may include a storage with its password.
    """
    if isinstance(error, OSError):
        file = "" if error.filename is None else f"{error.filename}: "
        return f"{file}{error.strerror or error}. {ADVICE.get(error.errno or 0, '')}".strip()
    if _lacks_memory(error):
        cause = first_line(error).rstrip(".")
        return (
            f"There is not enough memory: {cause}. Use a smaller batch_size or network, or fewer "
            "--workers."
        )
    answer = _answer_of_database(error, arguments)
    if answer is None:
        return None
    return (
        f"The storage does not work: {answer}. Everything saved so far is intact: run the same command "
        "again when it works, or name another with --storage or --home."
    )


def with_options(error: CifarSearchError) -> str:
    """Return the text of an error, with the options that help against an error of the core.

    The core knows no command line.
    """
    match error:
        case NoImagesError():
            from cifar_core.data.cifar10 import FOLDERS  # which imports NumPy

            return (
                f"{error}\n"
                "Any one of these helps:\n"
                "  1. Give --data DIR, or set CIFAR_SEARCH_DATA=DIR, where DIR is a folder that holds "
                f"{FOLDERS['python']} or {FOLDERS['binary']}.\n"
                "  2. Connect this machine to the internet and run the same command again: the images "
                f"are downloaded (about 170 MB) into {error.folder}.\n"
                "  3. Give --data synthetic, for the built-in synthetic images."
            )
        case DataError():
            return f"{error} Use --data DIR to read the images from another folder."
        case DeviceError():
            return f"{error} Use --device to choose another device."
        case _:
            return str(error)


def for_terminal(text: str) -> str:
    """Return an error without control characters but line ends; the middle of a long one is cut."""
    shown = "\n".join(line if line.isprintable() else one_line(line) for line in text.splitlines())
    if len(shown) <= LONGEST:
        return shown
    # The beginning says what was wrong, the end what to do.
    return f"{shown[: 2 * LONGEST // 3]} ... {shown[-LONGEST // 3 :]}"


def without_passwords(text: str, arguments: Sequence[str]) -> str:
    """Return `text` without the passwords of storages that the command or the environment names.

    Args:
        text: A message.
        arguments: The command's arguments; a storage may be among them even where none belongs.
    """
    from search.home import STORAGE_VARIABLES  # which loads filelock

    given = [one.partition("=")[2] if one.startswith("--") else one for one in arguments]
    given += [os.environ.get(variable, "") for variable in STORAGE_VARIABLES]
    urls = [one for one in given if "://" in one]
    if not urls:
        return text
    from search.storage.urls import hide_secrets  # which loads SQLAlchemy

    for url in urls:
        text = hide_secrets(text, url)
    return text


def _lacks_memory(error: Exception) -> bool:
    if isinstance(error, RuntimeError) and "torch" in sys.modules:  # which is slow to import
        from cifar_core.device import ran_out_of_memory

        return ran_out_of_memory(error)
    return isinstance(error, MemoryError)


def _answer_of_database(error: Exception, arguments: Sequence[str]) -> str | None:
    """The answer of a database, without passwords; None for other errors."""
    if "optuna" not in sys.modules:  # not loaded, so that no database was used
        return None
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    if not isinstance(error, StorageInternalError | SQLAlchemyError | sqlite3.Error):
        return None
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    # SQLAlchemy's own text repeats the whole statement.
    answer = str(getattr(cause, "orig", None) or cause or error)
    answer = without_passwords(answer, arguments)
    return (answer.strip().splitlines() or [type(error).__name__])[0].rstrip(".")

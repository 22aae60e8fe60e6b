"""What ends a command and is no error of the program, in a sentence: a full disk, too little memory."""

import errno
import os
import sqlite3
import sys
from collections.abc import Sequence

from cifar_core.errors import CifarSearchError, DataError, DeviceError, NoImagesError
from cifar_core.text_files import first_line, one_line
from search.home import STORAGE_VARIABLES

__all__ = ["for_terminal", "told", "with_options", "without_passwords"]

LONGEST = 1_800
"""Characters of an error: whatever a user gave is repeated in it, and may be long."""
SPACE = "Make space and run the same command again; what was saved is whole."
PLACE = "Choose another place, or change its permissions."
ADVICE = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EACCES: PLACE,
    errno.EPERM: PLACE,
    errno.EROFS: PLACE,
    errno.EMFILE: "Allow more open files (ulimit -n), or use fewer --workers.",
}


def told(error: Exception, arguments: Sequence[str] = ()) -> str | None:
    """What happened, where, and what to do; None if `error` is an error of the program.

    Args:
        error: What was raised.
        arguments: The command's, among which there may be a storage with its password.
    """
    if isinstance(error, OSError):
        file = "" if error.filename is None else f"{error.filename}: "
        return f"{file}{error.strerror or error}. {ADVICE.get(error.errno or 0, '')}".strip()
    if _lacks_memory(error):
        cause = first_line(error).rstrip(".")
        return (
            f"There is not enough memory: {cause}. A smaller batch_size or network needs less; so do "
            "fewer --workers."
        )
    answer = _answer_of_database(error, arguments)
    if answer is None:
        return None
    return (
        f"The storage does not work: {answer}. What was saved is whole: run the same command again when it "
        "works, or name another with --storage or --home."
    )


def with_options(error: CifarSearchError) -> str:
    """Return the text of an error, with the options that help against an error of the core.

    The core knows no command line.
    """
    match error:
        case NoImagesError():
            from cifar_core.data.cifar10 import FOLDERS  # which loads NumPy

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
    """An error without what would steer a terminal, its lines kept, and its middle cut if it is long."""
    shown = "\n".join(line if line.isprintable() else one_line(line) for line in text.splitlines())
    if len(shown) <= LONGEST:
        return shown
    # What was wrong stands at the beginning, and what to do at the end.
    return f"{shown[: 2 * LONGEST // 3]} ... {shown[-LONGEST // 3 :]}"


def without_passwords(text: str, arguments: Sequence[str]) -> str:
    """`text` without the passwords of the storages that a command or the environment names.

    Args:
        text: What is to be shown.
        arguments: The command's. A storage may stand where none belongs, and be refused for that.
    """
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
    if isinstance(error, RuntimeError) and "torch" in sys.modules:  # which is slow to load
        from cifar_core.device import ran_out_of_memory

        return ran_out_of_memory(error)
    return isinstance(error, MemoryError)


def _answer_of_database(error: Exception, arguments: Sequence[str]) -> str | None:
    """What a database has answered, without passwords; None if `error` is none of a database."""
    if "optuna" not in sys.modules:  # which is slow to load: no command has talked to a database
        return None
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    if not isinstance(error, StorageInternalError | SQLAlchemyError | sqlite3.Error):
        return None
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    # SQLAlchemy's own text repeats what was asked of the database.
    answer = str(getattr(cause, "orig", None) or cause or error)
    answer = without_passwords(answer, arguments)
    return (answer.strip().splitlines() or [type(error).__name__])[0].rstrip(".")

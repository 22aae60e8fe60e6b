"""Consent to code of the user's that a space, a study or a recipe names as the builder of its network."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cifar_core.models import own
from cifar_core.networks import OwnNetwork
from cifar_core.text_files import one_line
from search.errors import UsageError
from search.study import attributes
from search.study.study import SearchStudy
from spaces.checks import tried_recipes
from spaces.space import Space

__all__ = ["Consent", "changes", "check_networks", "folder_of", "note_code", "trust_code_of"]


class Consent:
    """The word of the user that code may be run, and the folders in which it is looked for.

    Args:
        given: ``--trust`` is among the options.
        folders: Where the code is looked for, in this order; the current folder is the last.
    """

    def __init__(self, given: bool, *folders: Path) -> None:
        self._given, self._folders = given, (*folders, Path.cwd())

    def ask(self, builders: Iterable[str], what: str) -> None:
        """Let this process run the code of these builders; nothing is imported yet.

        Args:
            builders: The builders; without any, there is nothing to consent to.
            what: What names them, for the error, such as ``Space mine``.

        Raises:
            UsageError: The user has not consented.
            NetworkError: A builder's file is not there.
        """
        codes = [own.locate(builder, self._folders) for builder in sorted(builders)]
        if codes and not self._given:
            named = ", ".join(f"{code.builder} in {code.file}" for code in codes)
            raise UsageError(
                f"{what} has a network of its own, whose code would be imported: {named}. It can do "
                "whatever you can, so look at it first, and then add --trust."
            )
        own.allow(codes)


def check_networks(space: Space, classes: int) -> None:
    """Make the networks of a space at the ends of their ranges, before anything is trained.

    Raises:
        NetworkError: One of them cannot be made or trained.
    """
    if not space.builders:
        return
    found = dict[str, OwnNetwork]()
    for recipe in tried_recipes(space):
        if isinstance(recipe.network, OwnNetwork):
            found[recipe.network.model_dump_json()] = recipe.network
    own.check(list(found.values()), classes)


def note_code(study: SearchStudy) -> None:
    """Keep the hashes of a study's code with it, or compare them with those that it has.

    Args:
        study: The study, which this process holds.

    Raises:
        UsageError: A file is not as it was when the study was started.
    """
    if not study.settings.space.builders:
        return
    if study.note(attributes.OWN_CODE) is None:
        study.write(attributes.OWN_CODE, own.sources(own.allowed()))
    elif changed := _changed_since(study):
        raise UsageError(
            f"{changed} changed since study {study.name} was started, so that its trials would be of "
            "different networks. Restore the code, or start another study with --study NAME."
        )


def trust_code_of(study: SearchStudy) -> None:
    """Let this process run the code of a study whose user has consented, if it is still the same.

    Raises:
        UsageError: A file is not as it was when the study was started.
        NetworkError: A builder's file is not there, or its network cannot be made.
    """
    Consent(True).ask(study.settings.space.builders, f"Study {study.name}")
    check_networks(study.settings.space, len(study.data.class_names))
    if changed := _changed_since(study):
        raise UsageError(
            f"{changed} changed since study {study.name} was started, so that its networks cannot be made "
            "again. Restore the code, or leave out --trust."
        )


def _changed_since(study: SearchStudy) -> str | None:
    """The files of a study's code that differ from those it was started with; None if none is known to."""
    noted = study.note(attributes.OWN_CODE)
    return None if noted is None else changes(noted, own.sources(own.allowed()))


def changes(noted: Any, now: dict[str, str]) -> str | None:
    """Return the files that differ in words, such as ``nets.py has``; None if none does."""
    before = noted if isinstance(noted, dict) else {}
    files = sorted(name for name in before | now if before.get(name) != now.get(name))
    return f"{one_line(', '.join(files))} {'has' if len(files) == 1 else 'have'}" if files else None


def folder_of(named: object) -> Path:
    """Return the folder of the file that a space or a recipe is given by; else the current one."""
    return Path(named).expanduser().parent if isinstance(named, str | Path) else Path.cwd()

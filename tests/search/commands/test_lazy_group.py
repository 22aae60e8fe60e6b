"""The list of commands, which is known without importing them."""

import os
import subprocess
import sys

import click
import pytest

from search.cli import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_each_command_says_of_itself(name: str) -> None:
    command = cli.load(name)
    assert command.name == name
    assert COMMANDS[name] == (command.help or "").splitlines()[0]
    assert len(COMMANDS[name]) <= 65, "it does not fit on a line of 80 columns"


def test_every_command_module_is_in_the_list() -> None:
    from importlib import import_module
    from pkgutil import iter_modules

    import search.commands

    modules = [one.name for one in iter_modules(search.commands.__path__)]
    made = [getattr(import_module(f"search.commands.{one}"), one, None) for one in modules]
    assert {one.name for one in made if isinstance(one, click.Command)} == set(COMMANDS)


@pytest.mark.parametrize(
    ("words", "completed"), [("st", ["start", "stop", "status", "studies"]), ("nonsense", [])]
)
def test_completing_a_command_imports_nothing_slow(words: str, completed: list[str]) -> None:
    script = """
import sys
from search.cli import main
try:
    main()
finally:
    slow = {"pydantic", "filelock", "spaces", "optuna", "numpy", "rich", "search.request"}
    print(sorted(slow & sys.modules.keys()), file=sys.stderr)
"""
    environment = {
        **os.environ,
        "_CIFAR_SEARCH_COMPLETE": "bash_complete",
        "COMP_WORDS": f"cifar-search {words}",
        "COMP_CWORD": "1",
    }
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment,
    )
    assert ended.stdout.split() == [f"plain,{one}" for one in completed]
    assert ended.stderr == "['spaces']\n"  # of which only the errors

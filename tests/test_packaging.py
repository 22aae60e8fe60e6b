"""The installed packages are this project's, and complete."""

import configparser
from importlib import metadata
from pathlib import Path

import cifar_core
import search
import spaces

ROOT = Path(__file__).parent.parent
PACKAGES = (cifar_core, spaces, search)


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_packages_are_this_projects_and_no_others_of_the_same_name() -> None:
    """Others use the names `spaces` and `search`, too."""
    places = {Path(str(package.__file__)).parent.parent for package in PACKAGES}
    assert len(places) == 1
    (place,) = places
    assert (place / "spaces" / "shipped" / "baseline_constrained.toml").is_file()
    assert (place / "search" / "cli.py").is_file()
    installed = metadata.packages_distributions()
    assert all("cifar-search" in installed[package.__name__] for package in PACKAGES)


def test_the_packages_say_that_they_are_typed() -> None:
    for package in PACKAGES:
        (folder,) = package.__path__
        assert (Path(folder) / "py.typed").is_file()
        assert "py.typed" in setup()["options.package_data"][package.__name__]


def test_setup_cfg_lists_every_package_and_nothing_else() -> None:
    named = setup()["options"]["packages"].split()
    assert len(named) == len(set(named))
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for file in (ROOT / package.__name__).rglob("__init__.py")
    }
    assert set(named) == found
    assert not {name for name in named if name.split(".")[0] in {"tests", "bench"}}


def test_every_folder_with_modules_is_a_package() -> None:
    for package in PACKAGES:
        for file in (ROOT / package.__name__).rglob("*.py"):
            assert (file.parent / "__init__.py").is_file(), file.parent


def test_every_file_that_is_read_at_run_time_is_installed() -> None:
    data = setup()["options.package_data"]
    for package in PACKAGES:
        for file in (ROOT / package.__name__).rglob("*"):
            if file.is_file() and file.suffix not in {".py", ".pyc"}:
                name = ".".join(file.parent.relative_to(ROOT).parts)
                assert any(file.match(pattern) for pattern in data[name].split()), file


def test_the_version_stands_once() -> None:
    assert metadata.version("cifar-search") == search.__version__
    assert setup()["metadata"]["version"] == "attr: search.__version__"


def test_the_command_is_installed() -> None:
    (command,) = metadata.entry_points(group="console_scripts", name="cifar-search")
    assert callable(command.load())

"""The service for Python programs: what the commands do, as functions that return records.

All names here are those of the package, too: ``import search`` is instant, and the rest is imported when it
is used. Every function calls the same services as the command of its name, and raises `CifarSearchError`
with the sentence that the command would print. docs/PYTHON.md shows them at work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from cifar_core.data.dataset import open_data
from cifar_core.device import resolve_devices, settle_on
from cifar_core.errors import CifarSearchError
from cifar_core.networks import OwnNetwork
from cifar_core.recipe import Recipe
from search.commands.confirm import confirm as confirm_command
from search.commands.lr_range import lr_range as lr_range_command
from search.commands.options import images_folder
from search.commands.reporting import make_report
from search.commands.resume import resume as resume_command
from search.commands.start import start as start_command
from search.commands.train import train as train_command
from search.errors import UsageError
from search.events import Event
from search.home import DEFAULT_HOME, Home
from search.lr_range.report import Report, run_lr_range
from search.own_code import Consent
from search.recipe_files import read_configuration
from search.request import ConfirmRequest, LrRangeRequest, ResumeRequest, StartRequest
from search.results.configuration import Configuration, common_scale
from search.results.export.configurations import export_best, export_trial
from search.results.export.formats import Format
from search.results.export.loading import load_export
from search.results.own_code import checked_code
from search.results.reader import StudyReader
from search.results.retrain import RetrainRequest, retrain
from search.results.summary import Summary
from search.results.training_jobs import Trained
from search.results.training_result import Result
from search.results.trial_list import listed, row_to_dict
from search.service.confirm import confirm
from search.service.resume import resume
from search.service.start import start
from search.signals import StopSwitch
from search.workers.engine_options import EngineOptions
from spaces.files import load_space
from spaces.space import Space

__all__ = [
    "CifarSearchError",
    "Recipe",
    "Search",
    "Space",
    "load_export",
    "load_recipe",
    "load_space",
    "measure_lr_range",
    "open_search",
    "run_search",
    "train",
]

Told = Callable[[Event], None]


def _silent(_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Search:
    """A search that is there: to be read, continued, confirmed, and exported.

    Attributes:
        study: Name of its study.
        home: The folder of its files.
        storage: URL of its database; None for the home's own.
    """

    study: str
    home: Path
    storage: str | None = None

    def summary(self) -> Summary:
        """Return what `status` shows, as it stands now; `to_dict()` of it is plain JSON."""
        return self._reader().look()

    def trials(self, sort: str = "number") -> list[dict[str, Any]]:
        """Return the trials that were started as a table: a dictionary each, with the same keys.

        The values of searched parameters are under their own names. ``pandas.DataFrame(search.trials())``
        takes it as it is.

        Args:
            sort: ``number``, ``accuracy``, ``epochs``, ``seconds``, ``state``, or a parameter.

        Raises:
            UsageError: Trials cannot be sorted by that.
        """
        summary = self.summary()
        names = list(summary.settings.space.parameters)
        return [
            {
                **{key: value for key, value in row_to_dict(row).items() if key not in NESTED},
                **{name: row.values.get(name) for name in names},
            }
            for row in listed(summary.rows, names, sort)
        ]

    def resume(self, *, tell: Told = _silent, **options: Any) -> "Search":
        """Continue it; see `run_search`.

        Args:
            tell: Called with what happens.
            options: Those of `ResumeRequest`, such as ``trials=100``, a new total.
        """
        wanted: dict[str, Any] = dict.fromkeys(("trials", "timeout", "data"))
        wanted |= {"study": self.study, "storage": self.storage, "device": "auto"}
        given = EngineOptions.gathered(_checked(resume_command, options))
        request = ResumeRequest(**wanted | given)
        resume(self._home, request, tell, images_folder())
        return self

    def confirm(self, *, tell: Told = _silent, **options: Any) -> "Search":
        """Train its best trials anew, on fresh seeds and images; see `cifar-search confirm`.

        Args:
            tell: Called with what happens.
            options: Those of `ConfirmRequest`, such as ``top=5``.

        Returns:
            The same search, whose `summary().confirmation` says what was found.
        """
        wanted = EngineOptions.gathered(_checked(confirm_command, options))
        request = ConfirmRequest(study=self.study, storage=self.storage, **wanted)
        confirm(self._home, request, tell, images_folder())
        return self

    def export(
        self,
        folder: str | Path | None = None,
        *,
        top: int = 1,
        trial: int | None = None,
        format: Format = "toml",
    ) -> list[Path]:
        """Write the best configurations, or one trial, as files; see `cifar-search export`.

        Args:
            folder: Where to; the home's own folder of exports by default.
            top: Number of configurations, the best first.
            trial: This trial instead.
            format: ``toml``, ``json``, ``yaml``, ``python``, ``safetensors`` or ``onnx``.

        Returns:
            The written files.

        Raises:
            CifarSearchError: There is nothing to write, or it cannot be written.
        """
        study, _ = self._reader().open()
        own, to = study.folder(self._home), Path(folder or self._home.exports(study.name))
        if trial is not None:
            return list(export_trial(study, own, to, trial, format).paths)
        return list(export_best(study, own, to, top, format).paths)

    def report(self, file: str | Path | None = None) -> Path:
        """Write its report as one HTML page, and return the file.

        Args:
            file: Where to; beside the exported configurations by default.

        Raises:
            ServiceError: The file cannot be written.
        """
        study, summary = self._reader().open()
        url = self.storage or self._home.storage_url()
        out = None if file is None else Path(file)
        return make_report(study, summary, self._home, url, None, out).path

    @property
    def _home(self) -> Home:
        return Home(self.home)

    def _reader(self) -> StudyReader:
        return StudyReader(self._home, self.storage, self.study)


NESTED = {"values", "scores"}
"""Entries of a trial that are no single value, and so no column of a table."""


def run_search(
    space: str | Space,
    *,
    home: str | Path = DEFAULT_HOME,
    tell: Told = _silent,
    **options: Any,
) -> Search:
    """Search a space, or continue if its study is there with the same settings; see `cifar-search start`.

    It trains in processes of its own. A script must therefore call it below ``if __name__ == "__main__":``,
    and from its main thread, where Ctrl-C stops it with everything saved.

    Args:
        space: Name or file of a space, or the space itself.
        home: The folder of all files; created if missing.
        tell: Called with what happens, which are records of `search.events`; `print` shows them all.
        options: Those of `StartRequest` and `EngineOptions`, such as ``trials=20``, ``workers=2``,
            ``train_images=10_000``, ``confirm=0``.

    Returns:
        The search, whether it is finished or was stopped: `summary().state` says which.

    Raises:
        CifarSearchError: Something is wrong that the user can correct.
        TypeError: There is no such option.
    """
    request = StartRequest(space=space, **EngineOptions.gathered(_checked(start_command, options)))
    place = Home(Path(home))
    study, _ = start(place, request, tell, images_folder())
    return Search(study.name, place.root, request.storage)


def open_search(
    study: str | None = None, *, home: str | Path = DEFAULT_HOME, storage: str | None = None
) -> Search:
    """Return a search that is there, the newest by default.

    Args:
        study: Name of its study.
        home: The folder of its files.
        storage: URL of its database; the home's own by default.

    Raises:
        CifarSearchError: There is no such study.
    """
    found, _ = StudyReader(Home(Path(home)), storage, study).open()
    return Search(found.name, Path(home), storage)


def load_recipe(file: str | Path) -> Recipe:
    """Read the recipe of an exported configuration, or of a file of your own.

    Raises:
        CifarSearchError: The file cannot be read, or has no valid recipe.
    """
    return read_configuration(Path(file))


def train(
    recipe: str | Path | Recipe,
    *,
    out: str | Path | None = None,
    data: str | None = None,
    device: str = "auto",
    trust: bool = False,
    tell: Callable[[Trained], None] = _silent,
    **options: Any,
) -> Result:
    """Train a configuration over one or more seeds; see `cifar-search train`.

    Args:
        recipe: A configuration's file, or a recipe.
        out: Folder for networks, figures and plots, from which an interrupted training goes on. By default,
            a recipe's are not kept, and a file's are beside it.
        data: ``auto``, ``synthetic``, or a folder.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``, ``cuda:0,cuda:1``.
        trust: The code of a network of your own may be run; it is looked for beside the file, and in the
            current folder.
        tell: Called with each epoch.
        options: Those of `RetrainRequest` and `EngineOptions`, such as ``seeds=3``, ``workers=3``,
            ``final=True``.

    Returns:
        Accuracies with their spread, costs, and every run's epochs; `to_dict()` of it is plain JSON.

    Raises:
        CifarSearchError: Something is wrong that the user can correct.
        TypeError: There is no such option.
    """
    with TemporaryDirectory(prefix="cifar-search-") as scratch:
        if isinstance(recipe, Recipe):
            configuration = Configuration("recipe", recipe, Path(out or scratch))
            folders: list[Path] = []
        else:
            file = Path(recipe)
            configuration = Configuration.read(file, Path(out or file.with_suffix("")))
            folders = [file.parent]
        if isinstance(network := configuration.recipe.network, OwnNetwork):
            Consent(trust, *folders).ask([network.builder], configuration.name)
        options = EngineOptions.gathered(_checked(train_command, options))
        if options.get("train_images") == "all":
            options["train_images"] = None
        if not options.get("final") and "train_images" not in options:
            found = common_scale([configuration])
            options["train_images"] = None if found is None else found[0]
        places = resolve_devices(device)
        settle_on(places[0])
        images = open_data(data or str(images_folder()), images_folder())
        list(checked_code([configuration], images))  # tries the network
        request = RetrainRequest((configuration,), tuple(places), **{"plots": False, **options})
        with StopSwitch() as stop:
            (result,) = retrain(request, images, tell, stop=stop)
        return result


def measure_lr_range(
    of: str | Path | Recipe | Space, *, tell: Told = _silent, **options: Any
) -> Report:
    """Measure which learning rates to search; see `cifar-search lr-range`.

    Like `run_search` it works in processes of its own.

    Args:
        of: A space or its name, a recipe, or a configuration's file.
        tell: Called with what happens.
        options: Those of `LrRangeRequest`, such as ``seeds=1``, ``train_images=10_000``.

    Returns:
        The findings, with the curves; `to_dict()` of it is plain JSON.

    Raises:
        CifarSearchError: Something is wrong that the user can correct.
        TypeError: There is no such option.
    """
    options = _checked(lr_range_command, options)
    if isinstance(of, Space) or (isinstance(of, str) and not Path(of).suffix):
        request = LrRangeRequest(space=of, **options)
    elif isinstance(of, Recipe):
        request = LrRangeRequest(config=of, **options)
    else:
        request = LrRangeRequest(config=Path(of), **options)
    return run_lr_range(request, tell, images_folder())


def _checked(command: click.Command, options: dict[str, Any]) -> dict[str, Any]:
    """Return options as their command would understand them.

    Raises:
        UsageError: The command would refuse one; the sentence is its.
    """
    found = dict(options)
    for one in command.params:
        value = options.get(one.name or "")
        if value is None or one.multiple:
            continue
        try:
            found[str(one.name)] = one.type.convert(value, one, None)
        except click.BadParameter as error:
            raise UsageError(f"{one.name}: {error.message}") from error
    return found

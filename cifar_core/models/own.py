"""Networks of the user's own: Python code that is run only where this process was told that it may.

A recipe or a study is data, wherever it comes from. So a builder that one names is imported only after
`allow` was called for it in this process, and only from the file that was allowed.
"""

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from cifar_core.errors import NetworkError, UntrustedError
from cifar_core.networks import OwnNetwork
from cifar_core.text_files import first_line

__all__ = ["Code", "allow", "allowed", "build", "check", "locate", "sources"]

IMAGES = 2
"""Images that a network is tried with."""


@dataclass(frozen=True)
class Code:
    """The code of a builder.

    Attributes:
        builder: The builder, as ``module:function``.
        folder: The folder that the module is imported from.
        file: Its file.
    """

    builder: str
    folder: Path
    file: Path

    @property
    def module(self) -> str:
        """The name of the module."""
        return self.builder.partition(":")[0]

    @property
    def function(self) -> str:
        """The name of the function."""
        return self.builder.partition(":")[2]


_allowed: dict[str, Code] = {}
_functions: dict[Code, Callable[..., object]] = {}


def locate(builder: str, folders: Iterable[Path]) -> Code:
    """Find the file of a builder's module, without importing anything.

    Args:
        builder: The builder, as ``module:function``.
        folders: Where to look, in this order.

    Raises:
        NetworkError: It is in none of them.
    """
    module = builder.partition(":")[0]
    path = Path(*module.split("."))
    looked = list(dict.fromkeys(folder.absolute() for folder in folders))
    for folder in looked:
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if (folder / file).is_file():
                return Code(builder, folder, folder / file)
    raise NetworkError(
        f"network.builder is {builder}, but there is no {path.with_suffix('.py')} in "
        f"{' or in '.join(map(str, looked))}. Go to the folder that has it, or correct the name."
    )


def allow(codes: Iterable[Code]) -> None:
    """Let this process, and the workers that it starts from now on, run this code."""
    _allowed.update({code.builder: code for code in codes})


def allowed() -> tuple[Code, ...]:
    """Return the code that this process may run."""
    return tuple(_allowed.values())


def build(record: OwnNetwork, classes: int) -> nn.Module:
    """Make a network by the user's code, and try it on two images.

    Args:
        record: The builder and its arguments.
        classes: Number of classes, which the builder gets too.

    Raises:
        UntrustedError: Nobody has said that this process may run the code.
        NetworkError: The code cannot be imported or fails, or makes no network that can be trained; the
            text has the file and line of the user's.
    """
    code = _allowed.get(record.builder)
    if code is None:
        raise UntrustedError(
            f"The network is made by code of its own, {record.builder}, which is run only if you say so: "
            "--trust."
        )
    # What the code prints must not stand among results.
    with redirect_stdout(sys.stderr):
        function = _function(code)
        arguments = {**record.arguments, "classes": classes}
        _check_arguments(code, function, arguments)
        try:
            network = function(**arguments)
        except Exception as error:
            raise _failure(code, f"{code.function} failed", error) from error
        if not isinstance(network, nn.Module):
            raise NetworkError(
                f"{code.function} in {code.file} must return a torch.nn.Module, but returned "
                f"{type(network).__name__}."
            )
        _try(code, network, classes)
    return network


def check(records: Sequence[OwnNetwork], classes: int) -> None:
    """Make each network once, and one of them twice, before anything is begun.

    Raises:
        NetworkError: One cannot be made, or the same module is returned twice; the text has the arguments.
    """
    before: nn.Module | None = None
    for record in (*records[:1], *records):
        try:
            with torch.random.fork_rng(devices=[]):
                network = build(record, classes)
        except NetworkError as error:
            given = ", ".join(f"{name} = {value!r}" for name, value in record.arguments.items())
            raise NetworkError(f"{error} (with {given})" if given else str(error)) from error
        if network is before:
            raise NetworkError(
                f"{record.builder} returned the same module twice, so that trials would share their "
                "weights. It must make a new one each time."
            )
        before = network


def sources(codes: Sequence[Code]) -> dict[str, str]:
    """Return the SHA-256 of each file that was imported from the folders of some code, by relative name.

    Args:
        codes: The code, which has been imported.
    """
    found = {}
    for code in codes:
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and Path(file).is_relative_to(code.folder):
                name = Path(file).relative_to(code.folder).as_posix()
                found[name] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return dict(sorted(found.items()))


def _function(code: Code) -> Callable[..., object]:
    if code not in _functions:
        found = getattr(_module(code), code.function, None)
        if not callable(found):
            raise NetworkError(
                f"network.builder is {code.builder}, but {code.file} has no function {code.function}."
            )
        _functions[code] = found
    return _functions[code]


def _module(code: Code) -> ModuleType:
    """Import the module, and nothing else of its name."""
    top = code.module.partition(".")[0]
    if (folder := str(code.folder)) not in sys.path:
        sys.path.append(
            folder
        )  # last, so that no file there takes the place of an installed module
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(top)
    places = [spec.origin, *(spec.submodule_search_locations or [])] if spec else []
    if not any(one and Path(one).is_relative_to(code.folder) for one in places):
        origin = next((one for one in places if one), "Python itself")
        raise NetworkError(
            f"{code.file} cannot be imported as {code.module}, because another module has that name: "
            f"{origin}. Give the file another name."
        )
    try:
        return importlib.import_module(code.module)
    except (Exception, SystemExit) as error:
        raise _failure(code, f"{code.file} cannot be imported", error) from error


def _check_arguments(
    code: Code, function: Callable[..., object], arguments: dict[str, Any]
) -> None:
    """Refuse arguments that the function does not have, and name those that it lacks."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return  # a function that is not written in Python
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    named = {
        name: one
        for name, one in parameters.items()
        if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}
    }
    where = f"{code.function} in {code.file}"
    if "classes" not in named and not takes_any:
        raise NetworkError(f"{where} must take the argument `classes`, the number of classes.")
    others = ", ".join(name for name in named if name != "classes") or "no other"
    for name in arguments:
        if name not in named and not takes_any:
            raise NetworkError(f"{where} has no argument {name!r}; it has {others}.")
    for name, one in named.items():
        if one.default is one.empty and name not in arguments:
            raise NetworkError(f"{where} needs the argument {name!r}: set network.{name}.")


def _try(code: Code, network: nn.Module, classes: int) -> None:
    """Classify two images; this also makes the weights of layers that wait for their first input."""
    # As they are in a training, where a `view` of a map fails that works in ordinary memory.
    images = torch.zeros(IMAGES, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    was_training = network.training
    try:
        with torch.no_grad():
            logits = network.eval()(images)
    except Exception as error:
        shape = f"({IMAGES}, 3, 32, 32), in channels-last memory"
        raise _failure(
            code, f"The network of {code.function} fails for images {shape}", error
        ) from error
    network.train(was_training)
    found = (
        f"{tuple(logits.shape)} {logits.dtype}".replace("torch.", "")
        if isinstance(logits, Tensor)
        else type(logits).__name__
    )
    if found != f"({IMAGES}, {classes}) float32":
        raise NetworkError(
            f"The network of {code.function} in {code.file} must return ({IMAGES}, {classes}) float32 for "
            f"{IMAGES} images, a number for each class, but returned {found}."
        )
    if not any(weight.requires_grad for weight in network.parameters()):
        raise NetworkError(
            f"The network of {code.function} in {code.file} has no parameter to train."
        )


def _failure(code: Code, what: str, error: BaseException) -> NetworkError:
    """Return the error with the last line of the user's that it came from."""
    file, line = code.file, None
    if isinstance(error, SyntaxError) and error.filename:
        file, line = Path(error.filename), error.lineno
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).is_relative_to(code.folder):
            file, line = Path(frame.filename), frame.lineno
    reason = f"{type(error).__name__}: {first_line(error)}".rstrip(":. ")
    where = f"{file}, line {line}" if line else str(file)
    return NetworkError(f"{what}: {reason} ({where}).")

"""Real processes for the end-to-end tests: a command as a user starts it, watched, always ended."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import optuna
import pytest
from optuna.artifacts import ArtifactMeta, get_all_artifact_meta
from PIL import Image

from cifar_core.data import cifar10

__all__ = [
    "COMMAND",
    "FAST",
    "OFFLINE",
    "SPACE",
    "Database",
    "Ended",
    "Running",
    "apart_from_the_images",
    "begin",
    "ended",
    "maps_images",
    "needs_proc",
    "run",
    "space_file",
    "unconfirmed",
    "values_of",
    "without_test_files",
    "write_class_folders",
    "write_images",
]

COMMAND = Path(sys.executable).with_name("cifar-search")
PATIENCE = 150.0
"""Seconds that a test waits for one thing to happen; on an idle machine each takes a few."""
OFFLINE = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
)
"""Nothing listens on the discard port, so that no test downloads anything."""
Found = TypeVar("Found")
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds a command's processes in /proc"
)

SPACE = """
name = "tiny"
title = "A narrow network, for tests"
trials = 11

[recipe]
epochs = 4
network = { name = "net", channels1 = 4, channels2 = 4, batch_norm = true }
optimizer.name = "sgd"

[parameters.sgd_lr]
sets = "optimizer.lr"
low = 1e-3
high = 0.1
log = true
measured = true

[parameters.batch_size]
sets = "batch_size"
choices = [20, 50]

[parameters.dropout]
sets = "network.dropout"
low = 0.0
high = 0.3

[[known]]
name = "by hand"
values = { sgd_lr = 0.004, batch_size = 50, dropout = 0.0 }

[[known]]
name = "smaller batches"
values = { sgd_lr = 0.02, batch_size = 20, dropout = 0.1 }

[lr_range]
base = "by hand"
corners = []
seeds = 1
"""
"""With its options it makes searches of some seconds in which trials are pruned, a sampler's model is
used (which needs more than ten trials), and known configurations train for several epochs."""
FAST = ("--train-images", "400", "--device", "cpu", "--workers", "1")


def space_file(folder: Path, **changes: str) -> Path:
    """Write the space of these tests as a user's own file.

    Args:
        folder: Where to.
        changes: Keys of whole lines and what stands there instead, such as ``seeds="3"``.
    """
    lines = SPACE.strip().splitlines()
    for key, value in changes.items():
        assert sum(line.startswith(f"{key} = ") for line in lines) == 1, key
        lines = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in lines]
    path = folder / "my_space.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_images(folder: Path) -> None:
    """CIFAR-10's binary layout with images whose brightness gives the class away; no test file.

    They are read in half a second, where the synthetic set has to be drawn, and learned in an epoch.
    """
    random = np.random.default_rng(0)
    labels = np.arange(cifar10.RECORDS, dtype=np.uint8) % 10
    noise = random.integers(0, 120, (cifar10.RECORDS, cifar10.PIXELS), dtype=np.uint8)
    records = np.concatenate([labels[:, None], noise + 13 * labels[:, None]], axis=1)
    batches = folder / cifar10.FOLDERS["binary"]
    batches.mkdir(parents=True)
    first, *others = cifar10.TRAIN_FILES["binary"]
    (batches / first).write_bytes(records.tobytes())
    for name in others:
        (batches / name).hardlink_to(batches / first)


def write_class_folders(folder: Path) -> None:
    """Own images in a folder for each of ten classes, 50 to train on and 10 to test on.

    Their brightness gives the class away, but for some, so that a network makes mistakes.
    """
    random = np.random.default_rng(0)
    for part, count in (("train", 50), ("test", 10)):
        for label, name in enumerate(cifar10.CLASSES):
            place = folder / part / name
            place.mkdir(parents=True)
            noise = random.integers(0, 120, (count, 32, 32, 3), dtype=np.uint8)
            for number, pixels in enumerate(noise + 13 * label):
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")


def apart_from_the_images(err: str, data: Path | str) -> str:
    """What else a command says of itself that trains on `few_images`."""
    return err.removeprefix(
        f"note: The images in {data} are own images of 10 classes, not CIFAR-10.\n"
    )


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        code: Its exit code; negative if a signal has ended it.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    out: str
    err: str


def unconfirmed(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """What follows `cifar-search`, with a search that ends behind its trials unless `--confirm` is there.

    A confirmation trains for longer than such a search, and few tests are about it.
    """
    if arguments[:1] == ("start",) and "--confirm" not in arguments and "--help" not in arguments:
        return (*arguments, "--confirm", "off")
    return arguments


class Running:
    """A command in a session of its own, with its output kept in files.

    Args:
        arguments: What follows `cifar-search`.
        folder: Where it runs; a relative home or data folder would lie there.
        data: The folder of its images, or None for none.
        terminal: A terminal to talk to instead of files; it becomes the controlling one.
        core: The only core that it may use: a training has one thread then. By default each of
            pytest-xdist's workers has its own; -1 for all cores.
        temporary: Its folder for temporary files; the system's by default.
        storage: Where its studies are, told by the environment; in its home by default.
    """

    def __init__(
        self,
        arguments: tuple[str, ...],
        folder: Path,
        data: Path | None = None,
        terminal: int | None = None,
        core: int | None = None,
        temporary: Path | None = None,
        storage: str | None = None,
    ) -> None:
        self.arguments = unconfirmed(arguments)
        log = Path(tempfile.mkdtemp(dir=folder, prefix="output-"))
        self._out, self._err = log / "out", log / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [COMMAND, *self.arguments],
                cwd=folder,
                env=_environment(data, temporary, storage),
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=out if terminal is None else terminal,
                stderr=err if terminal is None else terminal,
                start_new_session=True,
                preexec_fn=partial(_prepare, _own_core() if core is None else core, terminal),
            )

    @property
    def pid(self) -> int:
        """The process that was started; its session and process group have the same number."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """It has not ended yet."""
        return self._process.poll() is None

    @property
    def out(self) -> str:
        """Its standard output so far."""
        return self._out.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        """Its standard error so far."""
        return self._err.read_text(encoding="utf-8", errors="replace")

    @property
    def story(self) -> str:
        """What a failing test should show."""
        command = " ".join(("cifar-search", *self.arguments))
        return (
            f"{command}\nexit code {self._process.poll()}, processes {self.processes()}\n"
            f"-- standard output --\n{self.out}\n-- standard error --\n{self.err}"
        )

    def until(
        self, condition: Callable[[], Found | None], what: str, seconds: float = PATIENCE
    ) -> Found:
        """Wait until `condition` has an answer that is true, and return it."""
        deadline = time.monotonic() + seconds
        while True:
            alive = self.alive
            if found := condition():
                return found
            if not alive:
                pytest.fail(f"It ended before {what}.\n{self.story}")
            if time.monotonic() > deadline:
                pytest.fail(f"After {seconds:.0f} s still waiting until {what}.\n{self.story}")
            time.sleep(0.02)

    def wait(self, seconds: float = PATIENCE) -> Ended:
        """Wait until it has ended by itself."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"It has not ended within {seconds:.0f} s.\n{self.story}")
        return Ended(code, self.out, self.err)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started, and to none of its workers."""
        self._process.send_signal(number)

    def processes(self) -> dict[int, str]:
        """All living processes of its group and their command lines, itself included."""
        return dict(_group(self.pid))

    def workers(self) -> list[int]:
        """Its living worker processes."""
        return [pid for pid, words in self.processes().items() if "spawn_main" in words]

    def busy_worker(self) -> int | None:
        """A worker that holds the images, if there is one."""
        return next((pid for pid in self.workers() if maps_images(pid)), None)

    def assert_gone(self, seconds: float = 5.0) -> None:
        """No process of its group is left after at most `seconds`."""
        deadline = time.monotonic() + seconds
        while left := self.processes():
            assert time.monotonic() < deadline, f"Left after {seconds} s: {left}\n{self.story}"
            time.sleep(0.02)

    def end(self) -> None:
        """Kill whatever is left of it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def begin(
    *arguments: object,
    folder: Path,
    data: Path | None = None,
    terminal: int | None = None,
    core: int | None = None,
    temporary: Path | None = None,
    storage: str | None = None,
) -> Iterator[Running]:
    """Start `cifar-search` with these arguments; at the end nothing of it is left."""
    running = Running(tuple(map(str, arguments)), folder, data, terminal, core, temporary, storage)
    try:
        yield running
    finally:
        running.end()


def run(
    *arguments: object,
    folder: Path,
    data: Path | None = None,
    core: int | None = None,
    storage: str | None = None,
) -> Ended:
    """Run `cifar-search` with these arguments to its end."""
    with begin(*arguments, folder=folder, data=data, core=core, storage=storage) as running:
        return running.wait(2 * PATIENCE)


class Database:
    """What other processes see of a home's studies while a search writes them.

    Args:
        home: The home.
        study: The study.
    """

    def __init__(self, home: Path, study: str = "tiny") -> None:
        self.path = home / "studies.db"
        self.url = f"sqlite:///{self.path}"
        self.study = study

    def states(self) -> dict[int, str]:
        """The state of each trial, by its number."""
        return dict(self._ask("SELECT number, state FROM trials JOIN studies USING (study_id)"))

    def finished(self) -> dict[int, str]:
        """The state of each trial that will not change any more."""
        return {
            number: state
            for number, state in self.states().items()
            if state in {"COMPLETE", "PRUNED", "FAIL"}
        }

    def epochs(self, trial: int | None = None) -> dict[tuple[int, int], tuple[int, float]]:
        """Row number and validation accuracy by trial and epoch: a row written anew has a new number."""
        found = self._ask(
            "SELECT number, step, trial_intermediate_value_id, intermediate_value "
            "FROM trial_intermediate_values JOIN trials USING (trial_id) "
            "JOIN studies USING (study_id)"
        )
        return {
            (number, step): (row, value)
            for number, step, row, value in found
            if trial in {None, number}
        }

    @contextlib.contextmanager
    def opened(self) -> Iterator[optuna.Study]:
        """The study, opened as any script of a user's opens it."""
        storage = optuna.storages.RDBStorage(self.url)
        try:
            yield optuna.load_study(study_name=self.study, storage=storage)
        finally:
            storage.remove_session()
            storage.engine.dispose()

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """The trials, as Optuna reads them."""
        with self.opened() as study:
            return study.get_trials()

    def artifacts(self) -> list[ArtifactMeta]:
        """The study's own artifacts."""
        with self.opened() as study:
            return get_all_artifact_meta(study)

    def note(self, key: str) -> Any:
        """One of the study's user attributes."""
        with self.opened() as study:
            return study.user_attrs[key]

    def _ask(self, question: str) -> list[Any]:
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
            ) as connection:
                rows = connection.execute(f"{question} WHERE study_name = ?", (self.study,))
                return rows.fetchall()
        except sqlite3.OperationalError:
            return []  # it is not there, or not whole, yet


def wait_for_epoch(running: Running, database: Database, trial: int, epoch: int) -> None:
    """Wait until the study has this epoch of this trial; by then the trial may be further, or wait."""
    running.until(lambda: (trial, epoch) in database.epochs(), f"trial {trial} has epoch {epoch}")


def values_of(trials: list[optuna.trial.FrozenTrial]) -> list[dict[str, Any]]:
    """All of the trials that a repetition must give again: not dates and seconds."""
    return [
        {
            "number": trial.number,
            "state": trial.state.name,
            "params": trial.params,
            "accuracies": trial.intermediate_values,
            "value": trial.value,
            "seed": trial.user_attrs.get("seed"),
            "recipe": trial.user_attrs.get("recipe"),
            "losses": [
                (epoch["number"], epoch["train_loss"], epoch["validation_loss"])
                for epoch in trial.user_attrs.get("epochs", [])
            ],
        }
        for trial in trials
    ]


def ended(running: Running, code: int, seconds: float = PATIENCE) -> Ended:
    """Wait until it has ended with this exit code, and nothing of it is left."""
    result = running.wait(seconds)
    assert result.code == code, running.story
    running.assert_gone()
    return result


def _environment(
    data: Path | None, temporary: Path | None, storage: str | None
) -> Mapping[str, str]:
    ours = {"CIFAR_SEARCH_DATA", "CIFAR_SEARCH_HOME", "CIFAR_SEARCH_STORAGE", "COLUMNS", "LINES"}
    plain = {key: value for key, value in os.environ.items() if key not in ours}
    given = {"CIFAR_SEARCH_DATA": data, "TMPDIR": temporary, "CIFAR_SEARCH_STORAGE": storage}
    return {**plain, **OFFLINE, **{key: str(value) for key, value in given.items() if value}}


def _own_core() -> int:
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def _prepare(core: int, terminal: int | None) -> None:
    """What happens between fork and exec."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_DFL
        )  # these tests may run in the background, or under nohup
    if core >= 0 and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})
    if terminal is not None:
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _group(group: int) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name in parentheses may hold anything; state, parent and group follow it.
            state, _, own, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(own) == group and state not in {"Z", "X"}:
            yield int(folder.name), words


def maps_images(pid: int) -> bool:
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return any(line.endswith("/images") for line in maps.splitlines())


def without_test_files(source: cifar10.Source, place: Path) -> Path:
    """A data folder below `place` that has the training files of another, and no test file to open."""
    folder = place / "images" / cifar10.FOLDERS[source.layout]
    folder.mkdir(parents=True)
    for name in cifar10.TRAIN_FILES[source.layout]:
        (folder / name).symlink_to((source.folder / name).resolve())
    return folder.parent

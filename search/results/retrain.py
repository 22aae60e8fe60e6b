"""Training of configurations over several seeds, and one test of them if asked for."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cifar_core.checkpoint import load_state, save_state
from cifar_core.data.dataset import DataSet
from cifar_core.files import write_atomically
from cifar_core.trainer import Training
from search.errors import ServiceError, UsageError
from search.formatting import words_for_cut_batches
from search.results.configuration import Configuration
from search.results.subject import Run, Subject, TrainingImages, needs_validation
from search.results.training_folder import TrainingFolder
from search.results.training_jobs import Job, Progress, Trained, train_here
from search.results.training_result import Result
from search.results.training_workers import train_at_once
from search.workers.engine import Engine, LocalEngine, engine_of
from search.workers.engine_options import LOCAL, EngineOptions

__all__ = ["RetrainRequest", "retrain"]


@dataclass(frozen=True)
class RetrainRequest:
    """The options of `cifar-search train`.

    Attributes:
        configurations: What to train; in the folder of each come ``result.json``, ``curves.png``, and for
            each seed ``training-SEED.pt``, ``network-SEED.pt``, ``features-SEED.json`` and other plots.
        devices: Where to train; measured is on the first.
        seeds: Number of trainings of each configuration.
        first_seed: Seed of the first one; the others follow.
        train_images: Number of images to train on; None for all but the validation images.
        final: Open the test split, once, when everything is trained. All 50,000 images are then trained
            on, or 45,000 where the recipe needs the others for validation.
        plots: Draw the diagnostics as PNG files too.
        image: Index of the measured image whose feature maps are drawn.
        compile_network: Train with compiled networks where that works.
        engine: Where trainings run, and how many at the same time; one for each device by default.
        restart: Train anew what is saved already.
    """

    configurations: tuple[Configuration, ...]
    devices: tuple[torch.device, ...]
    seeds: int = 1
    first_seed: int = 0
    train_images: int | None = None
    final: bool = False
    plots: bool = True
    image: int = 0
    compile_network: bool = False
    engine: EngineOptions = LOCAL
    restart: bool = False

    @property
    def all_seeds(self) -> range:
        """The seeds, in order."""
        return range(self.first_seed, self.first_seed + self.seeds)


def retrain(
    request: RetrainRequest,
    data: DataSet,
    observe: Callable[[Trained], None],
    remark: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Result]:
    """Train configurations over their seeds, and keep networks, figures and plots.

    Each training is saved after every epoch, and continues from there when this is called again. Nothing is
    measured before everything is trained.

    Args:
        request: What to train, and where to write.
        data: The images.
        observe: Called with each epoch.
        remark: Called with other things that the user should know.
        stop: Returns whether to stop; asked after every epoch.

    Returns:
        A result for each configuration.

    Raises:
        Stopped: It was stopped before everything was trained.
        UsageError: A folder holds other trainings, or there are no test images for a final one.
        ServiceError: A file cannot be written, or a training fails.
    """
    if request.final and (missing := data.missing_test_file()) is not None:
        raise UsageError(f"--final needs the test images, but there is no {missing}.")
    held_out = TrainingImages.read(data, request.train_images)
    everything = held_out.all_of_them() if request.final else held_out
    images = [
        held_out if needs_validation(one.recipe) else everything for one in request.configurations
    ]
    jobs = list[Job]()
    for one, its_images in zip(request.configurations, images, strict=True):
        if one.recipe.batch_size > its_images.identity.train:
            remark(words_for_cut_batches(one.recipe.batch_size, its_images.identity.train))
        jobs += _jobs(request, one, its_images, remark)
    if jobs:
        _train(request, jobs, observe, remark, stop)
    return [
        _measure(
            request, one, its_images, data, {job.seed for job in jobs if job.configuration is one}
        )
        for one, its_images in zip(request.configurations, images, strict=True)
    ]


def _jobs(
    request: RetrainRequest,
    configuration: Configuration,
    images: TrainingImages,
    remark: Callable[[str], None],
) -> list[Job]:
    """Return what is left to train of a configuration, after a look at what is saved."""
    folder, seeds = TrainingFolder(configuration.out), request.all_seeds
    with _writing_to(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        if request.restart:
            folder.forget(seeds)
        saved = folder.saved(configuration.recipe, images, seeds, remark)
    done = {seed: len(one.history) for seed, one in saved.items() if not one.complete}
    for seed, epochs in done.items():
        remark(
            f"{configuration.name}, seed {seed}: continues after epoch {epochs} of "
            f"{configuration.recipe.epochs}."
        )
    complete = [seed for seed, one in saved.items() if one.complete]
    if complete:
        numbers = ", ".join(map(str, complete))
        name = f"{configuration.name}, seed{'s' if len(complete) > 1 else ''} {numbers}"
        remark(f"{name}: trained already, and not trained again (--restart trains anew).")
    return [
        Job(configuration, images, seed, done.get(seed, 0))
        for seed in seeds
        if seed not in complete
    ]


def _train(
    request: RetrainRequest,
    jobs: Sequence[Job],
    observe: Callable[[Trained], None],
    remark: Callable[[str], None],
    stop: Callable[[], bool],
) -> None:
    progress = Progress(jobs, observe)
    compiles = request.compile_network
    engine = _engine(request, len(jobs))
    if engine is None:
        train_here(jobs, request.devices[0], progress, remark, stop, compile_network=compiles)
    else:
        train_at_once(jobs, engine, progress, remark, stop, compile_network=compiles)


def _engine(request: RetrainRequest, jobs: int) -> Engine | None:
    """Return where several trainings run at once; None to do one after another in this process."""
    if request.engine.engine != "local":
        return engine_of(request.engine)
    wanted = engine_of(request.engine, ",".join(map(str, request.devices)))
    workers = request.engine.workers
    most = min(jobs, workers if isinstance(workers, int) else len(request.devices))
    return None if most == 1 else LocalEngine(wanted.devices, most)


def _measure(
    request: RetrainRequest,
    configuration: Configuration,
    images: TrainingImages,
    data: DataSet,
    fresh: Collection[int],
) -> Result:
    """Measure what is not measured yet, and write the result.

    Args:
        request: What is wanted.
        configuration: The configuration.
        images: What it was trained on.
        data: The images; the test files are opened if something is left to test.
        fresh: Seeds that were trained just now, whatever an older result says of them.
    """
    folder, plots = TrainingFolder(configuration.out), request.plots
    split = "test" if request.final else "validation"
    known = folder.measured(configuration.recipe, images, split, request.image, plots=plots)
    runs = {} if known is None else {k: v for k, v in known.runs.items() if k not in fresh}
    identity = images.identity if known is None else known.data
    missing = [seed for seed in request.all_seeds if seed not in runs]
    if missing:
        subject = Subject.of(
            images,
            data,
            configuration.recipe,
            request.devices[0],
            final=request.final,
            image=request.image,
        )
        identity = subject.identity
        for seed in missing:
            training = Training(
                configuration.recipe, images.splits, seed=seed, device=request.devices[0]
            )
            training.load_state_dict(load_state(folder.state(seed)))
            runs[seed] = subject.measure(training, seed)
            maps = subject.feature_maps(training)
            with _writing_to(folder.path):
                _write_run(folder, subject, training, runs[seed], maps, plots=plots)
    files = [file for seed in request.all_seeds for file in folder.files(seed, plots=plots)]
    result = Result(
        configuration=configuration,
        device=str(request.devices[0]),
        split=split,
        image=request.image,
        data=identity,
        runs=tuple(runs[seed] for seed in request.all_seeds),
        files=(*files, *[folder.curves] * plots, folder.result),
    )
    with _writing_to(folder.path):
        if plots:
            from search.results.retrain_plots import plot_curves  # which loads matplotlib

            plot_curves(result.runs, identity, folder.curves, validation=images.held_out)
        write_atomically(folder.result, json.dumps(result.to_dict(), indent=2).encode())
    return result


def _write_run(
    folder: TrainingFolder,
    subject: Subject,
    training: Training,
    run: Run,
    maps: Mapping[str, Tensor],
    *,
    plots: bool,
) -> None:
    """Write the network of one training and its diagnostics."""
    save_state(training.network.state_dict(), folder.network(run.seed))
    described = json.dumps(subject.describe_maps(run.seed, maps))
    write_atomically(folder.features(run.seed), described.encode())
    if plots:
        from search.results.retrain_plots import plot_run

        plot_run(subject, run, maps, folder.path)


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Say which folder cannot be written to. Nothing but writing belongs into this context."""
    try:
        yield
    except OSError as error:
        raise ServiceError(f"{folder} cannot be written to: {error.strerror}.") from error

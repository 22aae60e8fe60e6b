"""Trainings that are left to do: several at once, each by a worker process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from search.errors import ServiceError
from search.results.training_jobs import Job, Progress, Stopped
from search.workers.engine import Engine
from search.workers.limits import CONTINUATIONS, TICK
from search.workers.messages import Died, EpochsDone, Failed, Finished, Remark, TrainTask, Unsaved
from search.workers.pool import Pool, Worker
from search.workers.shared_images import store_images

__all__ = ["train_at_once"]


@dataclass
class _Active:
    """A training that a worker has."""

    job: Job
    epochs: int
    deaths: int = 0


def train_at_once(
    jobs: Sequence[Job],
    engine: Engine,
    progress: Progress,
    remark: Callable[[str], None],
    stop: Callable[[], bool],
    *,
    compile_network: bool,
) -> None:
    """Train to the end, as many at once as there are workers.

    Args:
        jobs: The trainings.
        engine: Where the workers run.
        progress: Told of each epoch.
        remark: Called with what the user should know.
        stop: Returns whether to stop; running epochs are finished and saved.
        compile_network: Train with compiled networks where that works.

    Raises:
        Stopped: It was stopped before everything was done.
        ServiceError: A training fails, or a file cannot be written.
    """
    by_images: dict[str, list[Job]] = {}
    for job in jobs:
        by_images.setdefault(job.images.identity.split, []).append(job)
    for group in by_images.values():
        place = group[0].folder.path
        images = place / ".images"
        try:
            store_images(group[0].images.splits, images)
        except OSError as error:
            raise ServiceError(
                f"The images cannot be written to {images}: {error.strerror}. Make space, choose another "
                "folder with --out, or leave out --workers."
            ) from error
        try:
            with engine.pool(
                images,
                place / "logs",
                compile_networks=compile_network,
                say=remark,
                most=len(group),
            ) as pool:
                _Group(pool, group, progress, remark, stop).train()
        finally:
            images.unlink(missing_ok=True)


class _Group:
    """Trainings on the same images, by the workers of one pool."""

    def __init__(
        self,
        pool: Pool,
        jobs: Sequence[Job],
        progress: Progress,
        remark: Callable[[str], None],
        stop: Callable[[], bool],
    ) -> None:
        self._pool = pool
        self._waiting = [_Active(job, job.done) for job in jobs]
        self._active: dict[int, _Active] = {}  # by the number of its task
        self._progress = progress
        self._remark = remark
        self._stop = stop
        self._said = set[str]()
        self._stopping = False

    def train(self) -> None:
        numbers = iter(range(10**9))
        while self._waiting or self._active:
            self._stopping = self._stopping or self._stop()
            if self._stopping and not self._active:
                raise Stopped
            idle = [] if self._stopping else [one for one in self._pool.workers if one.idle]
            for worker in idle[: len(self._waiting)]:
                number = next(numbers)
                one = self._active[number] = self._waiting.pop(0)
                job = one.job
                state = job.folder.state(job.seed)
                self._pool.assign(
                    worker, TrainTask(number, job.configuration.recipe, job.seed, state)
                )
            for worker, task, message in self._pool.poll(TICK):
                if isinstance(task, TrainTask):
                    self._handle(worker, task, message)
        if self._stopping and self._progress.epochs_left:
            raise Stopped

    def _handle(self, worker: Worker, task: TrainTask, message: object) -> None:
        one = self._active[task.number]
        name = f"Seed {one.job.seed} of {one.job.configuration.name}"
        match message:
            case EpochsDone():
                for epoch in message.epochs:
                    if epoch.number > one.epochs:
                        one.epochs = epoch.number
                        self._progress.note(one.job, epoch)
                self._pool.answer(worker, keep_going=not self._stopping)
            case Remark() if message.text not in self._said:
                self._said.add(message.text)
                self._remark(message.text)
            case Unsaved():
                raise ServiceError(
                    f"{name} cannot be saved: {message.reason}. Make space, and run the same command "
                    "again: every training continues after its last epoch that is saved."
                )
            case Finished():
                del self._active[task.number]
            case Failed():
                raise ServiceError(f"{name} cannot be trained: {message.reason}")
            case Died():
                del self._active[task.number]
                one.deaths += 1
                if one.deaths > CONTINUATIONS:
                    raise ServiceError(
                        f"{name} cannot be trained: its worker was {message.reason}."
                    )
                self._remark(f"{name} continues: its worker was {message.reason}.")
                self._waiting.insert(0, one)

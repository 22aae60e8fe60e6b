"""The continuation of a search with the settings that its study has."""

from pathlib import Path

from cifar_core.data.dataset import AUTO, SYNTHETIC, open_data
from search.errors import UsageError
from search.events import Observer, SessionStarted
from search.execution.coordinator import Outcome
from search.formatting import counted
from search.home import Home, StudyFolder
from search.own_code import Consent, check_networks, note_code
from search.request import ResumeRequest
from search.service.session import Session
from search.storage.opening import existing_storage
from search.storage.study_lock import StudyLock
from search.study.settings import Budget
from search.study.study import SearchStudy, create_or_open, open_study
from search.tracking.tracked import tracked, trackers_of
from search.workers.engine import engine_of
from search.workers.shared_images import prepare_images

__all__ = ["prepare_same_images", "resume"]


def resume(
    home: Home, request: ResumeRequest, observe: Observer, data_folder: Path
) -> tuple[SearchStudy, Outcome]:
    """Continue a study with the settings that it has.

    Args:
        home: The home of the study's files.
        request: What the user asked for.
        observe: Told what happens.
        data_folder: Folder in which ``--data auto`` looks for CIFAR-10.

    Returns:
        The study as it stands at the end, and whether its budget is used up.

    Raises:
        CifarSearchError: Something is wrong that the user can correct.
    """
    engine = engine_of(request.engine, request.device)
    trackers = trackers_of(request.track)
    storage = existing_storage(home, request.storage)
    study = open_study(storage, request.study)
    Consent(request.trust).ask(study.settings.space.builders, f"Study {study.name}")
    home.create()
    with StudyLock(home, storage, study.name) as lock:
        observe(SessionStarted(study.name, lock.folder.log))
        prepare_same_images(study, request.data, lock.folder, data_folder)
        check_networks(study.settings.space, len(study.data.class_names))
        note_code(study)
        budget = _new_budget(study, request)
        study, _ = create_or_open(storage, study.name, study.settings, budget)
        with tracked(trackers, study, home, observe) as told:
            return study, Session(study, storage, lock, home, engine, request, told).run()


def prepare_same_images(
    study: SearchStudy, wanted: str | None, folder: StudyFolder, data_folder: Path
) -> None:
    """Store the images of a study for the workers.

    Args:
        study: The study.
        wanted: The value of ``--data``, or None.
        folder: The study's files.
        data_folder: Folder in which ``--data auto`` looks for CIFAR-10.

    Raises:
        UsageError: They are not those that the study was started on.
    """
    if study.data.name == SYNTHETIC and wanted in {None, AUTO}:
        wanted = SYNTHETIC
    images = open_data(wanted or str(data_folder), data_folder)
    found = prepare_images(images, study.data.train, folder.images, study.data.confirming)
    if found != study.data:
        raise UsageError(
            f"Study {study.name} was started on other images: {study.data.described()}. "
            f"These are: {found.described()}. Give --data the folder it was started with."
        )


def _new_budget(study: SearchStudy, request: ResumeRequest) -> Budget:
    """Return the study's budget with what the request changes.

    Raises:
        UsageError: A grid has no such budget.
    """
    if study.settings.seeds is not None:
        most = study.settings.space.cell_count * study.settings.seeds
        if request.patience is not None:
            raise UsageError(
                f"Study {study.name} is a grid, of which every cell is trained; leave --patience out."
            )
        if (request.trials or 0) > most:
            raise UsageError(f"Study {study.name} is a grid of {most} trainings, and has no more.")
        if request.confirm:
            raise UsageError(
                f"Study {study.name} is a grid, whose cells are trained over several seeds as it is; leave "
                "--confirm out."
            )
    old = study.budget
    over = sum(row.finished for row in study.rows())
    if request.trials is not None and request.trials < over:
        raise UsageError(
            f"--trials is the new total of study {study.name}, of which {counted(over, 'trial')} ended "
            f"already, but got {request.trials}. Give at least {over}, or leave it out."
        )
    confirm = old.confirm if request.confirm is None else request.confirm or None
    return Budget(
        trials=request.trials or old.trials,
        timeout=request.timeout or old.timeout,
        keep=old.keep if request.keep is None else request.keep,
        patience=request.patience or old.patience,
        confirm=confirm,
        confirm_seeds=old.confirm_seeds,
    )

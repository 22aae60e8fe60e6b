"""The confirmation of what a study has found so far, asked for by itself."""

from pathlib import Path

from search.command_lines import command_line
from search.errors import UsageError
from search.events import Observer, SessionStarted
from search.execution.coordinator import Outcome
from search.home import Home
from search.own_code import Consent, check_networks, note_code
from search.request import ConfirmRequest
from search.service.resume import prepare_same_images
from search.service.session import Session
from search.storage.opening import existing_storage
from search.storage.study_lock import StudyLock
from search.storage.urls import where_flags
from search.study.choices import DEFAULT_CONFIRM
from search.study.rows import best_rows
from search.study.study import SearchStudy, create_or_open, open_study
from search.tracking.tracked import tracked, trackers_of
from search.workers.engine import engine_of

__all__ = ["confirm"]


def confirm(
    home: Home, request: ConfirmRequest, observe: Observer, data_folder: Path
) -> tuple[SearchStudy, Outcome]:
    """Confirm the best trials of a study, however far its search has come; no trial is trained.

    Args:
        home: The home of the study's files.
        request: What the user asked for.
        observe: Told what happens.
        data_folder: Folder in which ``--data auto`` looks for CIFAR-10.

    Returns:
        The study as it stands at the end, and whether its confirmation is over.

    Raises:
        CifarSearchError: Something is wrong that the user can correct.
    """
    engine = engine_of(request.engine, request.device)
    trackers = trackers_of(request.track)
    storage = existing_storage(home, request.storage)
    study = open_study(storage, request.study)
    where = where_flags(home, storage.url)
    if study.settings.seeds is not None:
        raise UsageError(
            f"Study {study.name} is a grid, whose cells are trained over several seeds as it is. "
            f"Its table: {command_line('status', study.name, flags=where)}"
        )
    if not best_rows(study.rows()):
        raise UsageError(
            f"Study {study.name} has no complete trial yet, so there is nothing to confirm. "
            f"Continue it with: {command_line('resume', study.name, flags=where)}"
        )
    Consent(request.trust).ask(study.settings.space.builders, f"Study {study.name}")
    home.create()
    with StudyLock(home, storage, study.name) as lock:
        observe(SessionStarted(study.name, lock.folder.log))
        prepare_same_images(study, request.data, lock.folder, data_folder)
        check_networks(study.settings.space, len(study.data.class_names))
        note_code(study)
        old = study.budget
        wanted = {
            "confirm": request.top or old.confirm or DEFAULT_CONFIRM,
            "confirm_seeds": request.seeds or old.confirm_seeds,
        }
        budget = old.model_copy(update=wanted)
        study, _ = create_or_open(storage, study.name, study.settings, budget)
        with tracked(trackers, study, home, observe) as told:
            return study, Session(study, storage, lock, home, engine, request, told).confirm()

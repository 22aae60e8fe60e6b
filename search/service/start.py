"""The start of a search: images, study, then a session."""

from pathlib import Path

from cifar_core.data.dataset import open_data
from cifar_core.data.split import confirming_images
from search.errors import UsageError
from search.events import Notice, Observer, SessionStarted
from search.execution import warm_start
from search.execution.coordinator import Outcome
from search.home import Home
from search.own_code import Consent, check_networks, folder_of, note_code
from search.plan import plan_of
from search.request import StartRequest
from search.service.session import Session
from search.storage.opening import check_storage, open_storage
from search.storage.study_lock import StudyLock
from search.study.settings import Settings, given_range
from search.study.study import SearchStudy, create_or_open, existing_identity
from search.tracking.tracked import tracked, trackers_of
from search.workers.engine import engine_of
from search.workers.shared_images import check_train_images, cut_to, prepare_images
from spaces.files import load_space

__all__ = ["start"]


def start(
    home: Home, request: StartRequest, observe: Observer, data_folder: Path
) -> tuple[SearchStudy, Outcome]:
    """Start a search, or continue it if its study is there with the same settings.

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
    space = load_space(request.space)
    Consent(request.trust, folder_of(request.space)).ask(space.builders, f"Space {space.name}")
    engine = engine_of(request.engine, request.device)
    trackers = trackers_of(request.track)
    plan = plan_of(request, space, engine.devices)
    name = space.name if request.study is None else request.study
    url = _check(home, request, name)
    sources = warm_start.read_sources(home, url, name, plan.space, request.warm_start)
    data = open_data(request.data or str(data_folder), data_folder)
    check_train_images(request.train_images, data)
    train_images, fewer = cut_to(data, plan.train_images)
    check_networks(plan.space, len(data.classes))
    if not home.root.exists():
        data.read_train()  # half a second, so that damaged images leave no home behind
    home.create()
    storage = open_storage(url)
    with StudyLock(home, storage, name) as lock:
        observe(SessionStarted(name, lock.folder.log))
        for notice in (data.notice, plan.notice, fewer):
            if notice:
                observe(Notice(notice))
        before = existing_identity(storage, name)
        # A study of a version that confirmed nothing goes on as it began: all of these images score.
        confirming = confirming_images(data.train_images) if plan.seeds is None else 0
        if before is not None and not before.confirming:
            confirming = 0
        identity = prepare_images(data, train_images, lock.folder.images, confirming)
        settings = Settings(
            space=plan.space,
            scale=plan.scale,
            data=identity,
            seed=request.seed,
            seeds=plan.seeds,
            sampler=plan.sampler,
            pruner=plan.pruner,
            lr_bounds=request.lr_bounds,
            known=request.known,
            experience=request.experience,
            beliefs=request.beliefs,
        )
        budget = plan.budget
        if request.confirm is None and not confirming:
            budget = budget.model_copy(update={"confirm": None})
        study, is_new = create_or_open(storage, name, settings, budget)
        if is_new:
            lock.note()
        note_code(study)
        warm_start.note_sources(study, sources, observe)
        with tracked(trackers, study, home, observe) as told:
            return study, Session(study, storage, lock, home, engine, request, told).run()


def _check(home: Home, request: StartRequest, name: str) -> str:
    """Refuse what can be refused before anything is done, and return the storage's URL.

    Raises:
        UsageError: Something of the request is not valid.
    """
    home.study(name)
    url = request.storage or home.storage_url()
    check_storage(url)
    try:
        given_range(request.lr_bounds)
    except ValueError as error:
        raise UsageError(
            "--lr-bounds must be auto, off, or LOW:HIGH with 0 < LOW < HIGH <= 1000, such as "
            f"1e-4:0.1, but got {request.lr_bounds!r}."
        ) from error
    return url

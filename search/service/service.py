"""A search from beginning to end: images, study, bounds, trials, result."""

import time
from contextlib import suppress
from pathlib import Path

from cifar_core.data.dataset import AUTO, SYNTHETIC, open_data
from cifar_core.device import resolve_devices
from search.errors import ServiceError, UsageError
from search.events import Notice, Observer, SearchStarted
from search.execution import warm_start
from search.execution.best_checkpoints import BestCheckpoints
from search.execution.coordinator import Coordinator, Outcome
from search.execution.experience import note_experience
from search.execution.prior_knowledge import described, knowledge_of
from search.home import Home, StudyFolder
from search.lr_range.bounds import Bounds
from search.lr_range.corners import lr_base, values_for
from search.lr_range.plots import keep_plots
from search.lr_range.study_bounds import bounded_space
from search.lr_range.sweeps import StopBeforeTrials
from search.plan import plan_of
from search.request import ResumeRequest, StartRequest
from search.signals import StopSwitch
from search.storage.opening import check_storage, existing_storage, open_storage
from search.storage.retrying import RetryingStorage
from search.storage.study_lock import StudyLock, held
from search.storage.urls import where_flags
from search.study import attributes
from search.study.settings import Budget, Settings, given_range
from search.study.study import SearchStudy, create_or_open, open_study
from search.workers.pool import Pool
from search.workers.shared_images import check_train_images, prepare_images
from search.workers.slots import Slot, slots_of
from spaces.files import load_space
from spaces.space import Space, Values

__all__ = ["resume", "start"]


def start(
    home: Home, request: StartRequest, observe: Observer, data_folder: Path
) -> tuple[SearchStudy, Outcome]:
    """Start a search, or go on with it if its study is there with the same settings.

    Args:
        home: Where everything is kept.
        request: What the user asked for.
        observe: Told what happens.
        data_folder: Where ``--data auto`` looks for CIFAR-10.

    Returns:
        The study as it stands at the end, and whether its budget is used up.

    Raises:
        CifarSearchError: Something is wrong that the user can mend.
    """
    space = load_space(request.space)
    devices = resolve_devices(request.device)
    slots = slots_of(devices, request.workers)
    plan = plan_of(request, space, devices)
    name = space.name if request.study is None else request.study
    url = _check(home, request, name)
    sources = warm_start.read_sources(home, url, name, plan.space, request.warm_start)
    data = open_data(request.data or str(data_folder), data_folder)
    if not home.root.exists():
        data.read_train()  # half a second, so that damaged images leave no home behind
    home.create()
    folder = home.study(name)
    folder.create()
    storage = open_storage(url)
    with held(home, storage, name) as hold:
        for notice in (data.notice, plan.notice):
            if notice:
                observe(Notice(notice))
        identity = prepare_images(data, plan.train_images, folder.images)
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
        )
        study, is_new = create_or_open(storage, name, settings, plan.budget)
        if is_new:
            hold.note()
        warm_start.note_sources(study, sources, observe)
        return _run(study, storage, hold, home, slots, observe, request)


def resume(
    home: Home, request: ResumeRequest, observe: Observer, data_folder: Path
) -> tuple[SearchStudy, Outcome]:
    """Go on with a study, with the settings that it has.

    Args:
        home: Where everything is kept.
        request: What the user asked for.
        observe: Told what happens.
        data_folder: Where ``--data auto`` looks for CIFAR-10.

    Returns:
        The study as it stands at the end, and whether its budget is used up.

    Raises:
        CifarSearchError: Something is wrong that the user can mend.
    """
    slots = slots_of(resolve_devices(request.device), request.workers)
    storage = existing_storage(home, request.storage)
    study = open_study(storage, request.study)
    settings = study.settings
    folder = home.study(study.name)
    home.create()
    folder.create()
    with held(home, storage, study.name) as hold:
        wanted = request.data
        if settings.data.name == SYNTHETIC and wanted in {None, AUTO}:
            wanted = SYNTHETIC
        images = open_data(wanted or str(data_folder), data_folder)
        found = prepare_images(images, settings.data.train, folder.images)
        if found != settings.data:
            raise UsageError(
                f"Study {study.name} was begun on other images: {settings.data.described()}. "
                f"These are: {found.described()}. Give --data the folder it was begun with."
            )
        if settings.seeds is not None:
            most = settings.space.cell_count * settings.seeds
            if request.patience is not None:
                raise UsageError(
                    f"Study {study.name} is a grid, of which every cell is trained; leave --patience out."
                )
            if (request.trials or 0) > most:
                raise UsageError(
                    f"Study {study.name} is a grid of {most} trainings, and has no more."
                )
        budget = Budget(
            trials=request.trials or study.budget.trials,
            timeout=request.timeout or study.budget.timeout,
            keep=study.budget.keep if request.keep is None else request.keep,
            patience=request.patience or study.budget.patience,
        )
        study, _ = create_or_open(storage, study.name, settings, budget)
        return _run(study, storage, hold, home, slots, observe, request)


def _run(
    study: SearchStudy,
    storage: RetryingStorage,
    hold: StudyLock,
    home: Home,
    slots: list[Slot],
    observe: Observer,
    request: StartRequest | ResumeRequest,
) -> tuple[SearchStudy, Outcome]:
    outcome: Outcome = "finished"
    folder = home.study(study.name)
    if not study.complete or any(row.going_on for row in study.rows()):
        with (
            StopSwitch(folder.stop_request, hold.stop_requested) as stop,
            Pool(
                slots,
                folder.images,
                folder.logs,
                compile_networks=request.compile_networks,
                hang_after=request.hang_after,
            ) as pool,
            storage.waiting(observe, stop),
        ):
            _say_what_begins_anew(study, folder, observe)
            note_experience(study, storage)
            began = time.monotonic()
            try:
                space = bounded_space(study, pool, folder, observe, stop)
                _keep_plots(study, home, observe)
            except StopBeforeTrials:
                return study, "stopped"
            finally:
                with suppress(ServiceError):  # the storage does not work, which has been said
                    seconds = study.seconds + time.monotonic() - began
                    study.write(attributes.SECONDS, round(seconds, 1))
            _enqueue(study, space)
            warm_start.enqueue(study, space, observe)
            _say_what_is_known(study, space, observe)
            observe(_started(study, space, slots, where_flags(home, storage.url)))
            outcome = Coordinator(study, space, pool, folder, observe, stop).run()
    # What waits for a larger total still needs its checkpoint.
    rows = study.rows()
    if outcome == "finished" and not any(row.going_on for row in rows):
        folder.tidy(BestCheckpoints(rows, study.budget.keep).numbers)
    return study, outcome


def _keep_plots(study: SearchStudy, home: Home, observe: Observer) -> None:
    """Show the LR-range test in the dashboard; a search does not end because it cannot."""
    try:
        keep_plots(study, home.artifacts)
    except OSError as error:
        observe(Notice(f"The plot of the LR-range test cannot be kept: {error}."))


def _check(home: Home, request: StartRequest, name: str) -> str:
    """Refuse what can be refused before anything is done; the storage's URL.

    Raises:
        UsageError: Something of the request cannot be.
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
    check_train_images(request.train_images)
    return url


def _enqueue(study: SearchStudy, space: Space) -> None:
    """Put the known configurations, and those with the measured rates, before all others, once."""
    if study.settings.known == "off":
        return  # a measured rate would be tried in a known configuration, too
    wanted: list[tuple[str, str, Values]] = [
        (attributes.KNOWN, known.name, space.fit(known.values)) for known in space.known
    ]
    if space.lr_range is not None:
        base = lr_base(space)
        for one in (Bounds(**plain) for plain in study.note(attributes.LR_BOUNDS) or []):
            if one.suggested is not None:
                values = values_for(space, base, one.parameter, one.suggested)
                wanted.append((attributes.SUGGESTED, f"LR-range test, {one.optimizer}", values))
    rows = study.rows()
    there = {row.label for row in rows}
    missing = [one for one in wanted if one[1] not in there]
    # What the budget has no room for would wait in the study for ever.
    for kind, label, values in missing[: max(0, study.budget.trials - len(rows))]:
        study.optuna.enqueue_trial(values, user_attrs={kind: label})


def _say_what_begins_anew(study: SearchStudy, folder: StudyFolder, observe: Observer) -> None:
    """An interrupted trial goes on only where its checkpoint is: in the home in which it ran."""
    there = folder.checkpoints()
    lost = [
        str(row.number)
        for row in study.rows()
        if row.going_on and row.epochs and row.number not in there
    ]
    if lost:
        many = len(lost) > 1
        observe(
            Notice(
                f"{'Trials' if many else 'Trial'} {', '.join(lost)} {'begin' if many else 'begins'} again "
                f"with epoch 1: this home has no checkpoint of {'them' if many else 'it'}."
            )
        )


def _say_what_is_known(study: SearchStudy, space: Space, observe: Observer) -> None:
    """Say what the policy knows before the first trial; of the policies only the model has a use for it."""
    words = described(knowledge_of(study, space))
    if words is not None and study.settings.pruner == "freeze-thaw":
        observe(Notice(words))


def _started(study: SearchStudy, space: Space, slots: list[Slot], where: str) -> SearchStarted:
    timeout = study.budget.timeout
    threads = slots[0].threads
    devices = ", ".join(sorted({slot.device for slot in slots}))
    workers = f"{len(slots)} worker{'s' if len(slots) > 1 else ''} on {devices}"
    if devices == "cpu":
        workers += f", {threads} thread{'s' if threads > 1 else ''} each"
    return SearchStarted(
        study=study.name,
        data=study.settings.data.described(),
        trials=study.budget.trials,
        epochs=space.epochs,
        workers=workers,
        rows=tuple(study.rows()),
        timeout=None if timeout is None else max(0.0, timeout - study.seconds),
        where=where,
    )

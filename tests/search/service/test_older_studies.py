"""A study of a version that confirmed nothing goes on with the images and the end that it had."""

from pathlib import Path

import pytest

from cifar_core.data.dataset import open_data
from search.home import Home
from search.request import ConfirmRequest, ResumeRequest, StartRequest
from search.service.confirm import confirm
from search.service.resume import resume
from search.service.session import Session
from search.service.start import start
from search.storage.opening import open_storage
from search.study import attributes
from search.study.settings import Budget, Settings
from search.study.study import SearchStudy, create_or_open
from search.workers.engine_options import EngineOptions
from search.workers.shared_images import map_images, prepare_images
from tests.search.running import space_file
from tests.search.scripted import settings_of

ONE = EngineOptions(workers=1)


@pytest.fixture
def older(plain_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with the study `tiny` as an earlier version left it; nothing is trained in what follows."""
    from search.plan import plan_of
    from spaces.files import load_space

    home = Home(tmp_path / "home")
    home.create()
    plan = plan_of(
        StartRequest(str(space_file(tmp_path)), epochs=1), load_space(str(space_file(tmp_path))), []
    )
    data = prepare_images(open_data(str(plain_images)), 400, tmp_path / "images")
    settings = settings_of(plan.space, data=data, sampler="model", pruner="freeze-thaw")
    study, _ = create_or_open(open_storage(home.storage_url()), "tiny", settings, plan.budget)
    old = settings.model_dump(mode="json")
    del old["data"]["confirming"]
    study.write(attributes.SETTINGS, old)
    study.write(attributes.BUDGET, {"trials": 11, "timeout": None, "keep": 1, "patience": None})
    assert Settings.model_validate(old) == settings

    def look(session: Session) -> str:
        images = map_images(session.folder.images)
        assert (len(images.train), len(images.validation)) == (400, 5_000)
        assert images.confirming is None
        assert images.digest == data.split
        return "finished"

    monkeypatch.setattr(Session, "run", look)
    monkeypatch.setattr(Session, "confirm", look)
    return home


def test_it_is_resumed_on_its_own_split_and_not_confirmed(older: Home, plain_images: Path) -> None:
    request = ResumeRequest("tiny", None, None, None, ONE, "cpu", str(plain_images))
    study, _ = resume(older, request, lambda _: None, plain_images)
    assert study.budget == Budget(trials=11)
    assert study.data.validation == 5_000


@pytest.mark.parametrize(("wanted", "confirmed"), [(None, None), (2, 2)])
def test_the_same_start_continues_it_and_confirms_only_if_that_is_asked_for(
    older: Home, plain_images: Path, tmp_path: Path, wanted: int | None, confirmed: int | None
) -> None:
    request = StartRequest(
        str(space_file(tmp_path)),
        epochs=1,
        train_images=400,
        engine=ONE,
        device="cpu",
        data=str(plain_images),
        confirm=wanted,
    )
    study, _ = start(older, request, lambda _: None, plain_images)
    assert (study.data.validation, study.data.confirming) == (5_000, 0)
    assert study.budget.confirm == confirmed


def test_it_can_be_confirmed_on_the_images_that_also_chose(older: Home, plain_images: Path) -> None:
    from search.confirmation.planning import plan_for

    before = _with_a_trial(older)
    request = ConfirmRequest("tiny", engine=ONE, device="cpu", data=str(plain_images), top=1)
    study, _ = confirm(older, request, lambda _: None, plain_images)
    images = plan_for(study).images
    assert (images.count, images.took_no_part) == (5_000, False)
    assert images.described() == "the 5,000 validation images that also scored the search"
    assert study.budget.confirm == 1
    assert before.budget.confirm is None


def _with_a_trial(home: Home) -> SearchStudy:
    from cifar_core.recipe import Recipe
    from search.study.study import open_study

    study = open_study(open_storage(home.storage_url()), "tiny")
    trial = study.optuna.ask()
    trial.set_user_attr(attributes.SEED, 1)
    trial.set_user_attr(attributes.RECIPE, Recipe(epochs=1).to_dict())
    trial.report(0.5, 1)
    study.optuna.tell(trial, 0.5)
    return study

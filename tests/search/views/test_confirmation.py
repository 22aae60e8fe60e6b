"""A confirmation in the terminal: what runs, what is known so far, and what it comes to."""

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from search.confirmation.conclusion import conclude
from search.events import ConfirmationEpoch, ConfirmationStarted, ConfirmationTrained, Stopping
from search.request import StartRequest
from search.results.summary import Summary
from search.study.confirmation import Confirmation, ConfirmationPlan, ConfirmationRun
from search.views.closing import closing_words
from search.views.confirmation_table import spread
from search.views.live_page import draw
from search.views.next_steps import next_steps
from search.views.plain import PlainView
from search.views.progress import Progress
from search.views.study_pages import study_page
from tests.search.confirmation.made_up import contender, plan, run, runs
from tests.search.script import HandClock, started
from tests.search.views.test_next_steps import parsed, summary_of

BEST, OTHER = contender(48, score=0.66), contender(12, score=0.64)
NET4 = contender(1, "reference", score=0.62)
PLAN = plan(BEST, OTHER, NET4, ended=False)
DONE = [*runs(BEST, [0.65, 0.652]), *runs(OTHER, [0.6, 0.6]), *runs(NET4, [0.60, 0.61])]


def concluded(plan: ConfirmationPlan, done: list[ConfirmationRun]) -> Confirmation:
    found = conclude(plan, done)
    assert found is not None
    return found


def start(done: int = 0, timeout: float | None = None) -> ConfirmationStarted:
    return ConfirmationStarted("mine", PLAN, done, 12, 240.0, timeout, None)


def text(renderable: object, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def confirmed(**changes: object) -> Summary:
    ended = concluded(PLAN.model_copy(update={"ended": True}), DONE)
    return replace(summary_of(StartRequest("speed"), confirmation=ended), **changes)  # type: ignore[arg-type]


def test_plain_lines_say_who_is_confirmed_and_what_each_training_brings() -> None:
    stream = io.StringIO()
    view = PlainView(stream, HandClock(), stamp=lambda: "12:00:00")
    view(start(done=1))
    view(ConfirmationEpoch(BEST, 2, 0))
    view(ConfirmationTrained(run(BEST, 2, 0.652), concluded(PLAN, DONE[:2])))
    view(ConfirmationTrained(run(NET4, 2, 0.61), concluded(PLAN, DONE)))
    view(ConfirmationTrained(run(OTHER, 2, 0.6, "out of memory"), None))
    lines = [line.removeprefix("12:00:00 ") for line in stream.getvalue().splitlines()]
    assert lines[0] == (
        "confirming trial 48, trial 12, reference Net4 on fresh seeds: at most 12 trainings, at most "
        "about 4 min, accuracy on 2,000 validation images that took no part in the search"
    )
    assert lines[1] == "1 training is already done"
    assert lines[2].startswith("2/12 | trial 48, seed 2 | 65.2 % | 2 to 3 min left")
    assert lines[3].startswith("3/12 | reference Net4, seed 2 | 61.0 % | ")
    assert (
        "61.0 % | Trial 48 is better than reference Net4 by 4.6 +- " in lines[3]
    )  # nothing is left
    assert lines[4].startswith("4/12 | trial 12, seed 2 | failed: out of memory")


def test_the_live_page_shows_what_runs_and_what_is_known_so_far() -> None:
    clock = HandClock()
    progress = Progress(clock)
    progress.handle(started(timeout=60.0))
    progress.handle(Stopping("The time is used up"))  # for trials
    progress.handle(start(timeout=100.0))
    progress.handle(ConfirmationEpoch(BEST, 1, 0))
    progress.handle(ConfirmationEpoch(NET4, 1, 3))
    page = text(draw(progress, 100, 40))
    assert "confirming: 3 configurations on fresh seeds, at most 12 trainings" in page
    assert "about 1 min 40 s left" in page  # all of the time that is allowed
    assert "0/12" in page
    assert "trial 48, seed 1 of 4" in page
    assert "3/6" in page
    assert "The time is used up" not in page
    progress.handle(ConfirmationTrained(run(NET4, 1, 0.6), concluded(PLAN, DONE)))
    page = text(draw(progress, 100, 40))
    assert "1/12" in page
    assert "reference Net4, seed 1" not in page
    assert "Confirmation so far: Trial 48 is better than reference Net4 by 4.6 +- " in page


@pytest.mark.parametrize("width", [40, 80, 160])
def test_nothing_that_matters_is_cropped_at_any_width(width: int) -> None:
    progress = Progress(HandClock())
    for event in (
        started(),
        start(),
        ConfirmationEpoch(BEST, 1, 3),
        ConfirmationTrained(run(NET4, 1, 0.6), concluded(PLAN, DONE)),
    ):
        progress.handle(event)
    lines = text(draw(progress, width, 40), width).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    for one in concluded(PLAN, DONE).ranking:
        assert any(spread(one) in line for line in lines), lines
    assert any(line.split()[:2] == ["trial", "48"] for line in lines)
    assert not any("…" in line for line in lines)
    assert any("adds" in line.split() for line in lines) == (width >= 80)


@pytest.mark.parametrize("width", [80, 120])
def test_the_end_of_a_search_and_its_status_show_verdict_table_and_shrinkage(width: int) -> None:
    summary = confirmed()
    for page in (text(closing_words(summary), width), text(study_page(summary), width)):
        words = " ".join(page.split())
        assert "Confirmed: Trial 48 is better than reference Net4 by 4.6 +- " in words
        assert "Winner: trial 48, which was also the best of the search." in words
        (row,) = [line.split() for line in page.splitlines() if line.startswith("  trial 48")]
        assert row[2] == "65.1"
        assert row[6:10] == ["2", "66.0", "%", "+0.9"]
        assert "6 trainings on fresh seeds" in words
        assert "differences are to reference Net4" in words
        assert "partly luck" not in words


def test_images_that_also_chose_are_said_to_have_done_so() -> None:
    ended = concluded(PLAN, DONE)
    images = ended.images.model_copy(update={"took_no_part": False})
    summary = confirmed(confirmation=ended.model_copy(update={"images": images}))
    assert "the images are not" in text(closing_words(summary))


def test_more_seeds_are_proposed_where_something_cannot_be_told_apart() -> None:
    steps = {one.purpose: one.command for one in next_steps(confirmed(), " --home 'my runs'")}
    assert "confirm more closely" not in steps
    close = plan(BEST, OTHER, NET4)
    tie = [*runs(BEST, [0.65] * 4), *runs(OTHER, [0.649] * 4), *runs(NET4, [0.6, 0.6])]
    summary = confirmed(confirmation=concluded(close, tie))
    steps = {one.purpose: one.command for one in next_steps(summary, " --home 'my runs'", "here")}
    name, values = parsed(steps["confirm more closely"])
    assert (name, values["study"], values["seeds"]) == ("confirm", "speed", 8)
    assert (str(values["home"].root), values["data"]) == ("my runs", "here")


def test_without_a_confirmation_one_is_proposed() -> None:
    steps = {one.purpose: one.command for one in next_steps(confirmed(confirmation=None))}
    assert steps["confirm the best"] == "cifar-search confirm speed"
    assert "partly luck" in text(closing_words(confirmed(confirmation=None)))

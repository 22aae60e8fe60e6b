"""A search on a page, as text."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from search.events import BoundsFound, Event, Stopping, SweepCurve, SweepsProgress
from search.views.live_page import draw
from search.views.progress import Progress
from tests.search.script import DATA, HandClock, begins, ends, epoch, pauses, row, started

SEARCH: list[Event] = [
    SweepsProgress(8, 8),
    BoundsFound("sgd", 0.004, 0.4, "measured by an LR-range test"),
    BoundsFound("adam", 0.0002, 0.0091, "measured by an LR-range test"),
    started(),
    begins(0, label="reference base"),
    begins(1, label="reference Net4"),
    ends(0, accuracy=0.4571, known="reference base", seconds=30.0),
    ends(1, accuracy=0.5912, known="reference Net4", seconds=30.0),
    ends(2, "pruned", 0.333, 2, reason="stopped early after epoch 2 by the halving pruner"),
    ends(3, "failed", None, 0, reason="[red]CUDA out of memory[/red] " * 20),
    ends(4, accuracy=0.6323),
    begins(5),
    begins(6),
    epoch(5, 3, 0.543, 6000.0),
    epoch(6, 1, 0.31, 5234.0),
]


def lines_of(*events: Event, width: int = 80, height: int = 30, hints: bool = True) -> list[str]:
    progress = Progress(HandClock())
    for event in events:
        progress.handle(event)
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(draw(progress, width, height, hints))
    return [line.rstrip() for line in capture.get().splitlines()]


def line_with(lines: list[str], text: str) -> str:
    found = [line for line in lines if text in line]
    assert len(found) == 1, (text, lines)
    return found[0]


@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 120, 200])
@pytest.mark.parametrize("upto", [0, 1, 3, 4, 6, len(SEARCH)])
def test_no_line_is_wider_than_the_terminal(width: int, upto: int) -> None:
    assert all(cell_len(line) <= width for line in lines_of(*SEARCH[:upto], width=width))


def test_a_search_at_eighty_columns() -> None:
    lines = lines_of(*SEARCH)
    text = " ".join(lines)
    assert f"validation accuracy on {DATA}" in text
    assert lines[0].startswith("mine ")
    # 35 trials less four of six epochs, 45 s each, two at once.
    assert lines[0].endswith("0 s elapsed, about 13 min left")
    assert line_with(lines, "5/40 trials").startswith("━")
    assert "3 complete, 1 stopped early (pruned), 1 failed" in lines
    assert "2 workers on cpu, 11,234 images/s" in lines
    assert "learning rate: sgd 0.004 to 0.4, adam 0.0002 to 0.0091" in lines
    assert (
        "best so far: trial 4, 63.2 %, +17.5 points over reference base, +4.1 points over"
        " reference Net4"
    ) in text
    assert lines[-2:] == [
        "Ctrl-C: finish the epoch, save, stop",
        "in another terminal: cifar-search dashboard",
    ]


def test_each_trial_has_its_line() -> None:
    lines = lines_of(*SEARCH)
    running = line_with(lines, "54.3 %")
    assert running.split()[:2] == ["5", "3/6"]
    assert "━" in running
    assert "adam lr 0.0021 batch 64" in running
    assert line_with(lines, "33.3 %").split()[:4] == ["2", "2/6", "stopped", "early"]
    assert "reference Net4: adam" in line_with(lines, "59.1 %")


def test_running_trials_stand_above_the_ended_and_the_newest_end_first() -> None:
    numbers = [line.split()[0] for line in lines_of(*SEARCH) if "/6 " in line]
    assert numbers == ["5", "6", "4", "3", "2", "1", "0"]


def test_a_reason_is_shown_as_it_is_and_cut() -> None:
    failed = line_with(lines_of(*SEARCH), "failed   ")
    assert "[red]CUDA out of memory[/red]" in failed
    assert failed.endswith("…")


def test_names_from_outside_are_not_markup() -> None:
    progress = Progress(HandClock())
    event = started()
    progress.handle(type(event)("[b]x[/b]\x1b[31m", "[i]data[/]", 4, 6, "[u]w[/u]", (), None))
    progress.handle(begins(0, label="[bold]known[/bold]"))
    progress.handle(ends(0, known="[/oops]"))
    console = Console(width=100, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(draw(progress, 100, 30))
    text = capture.get()
    assert "\x1b[31m" not in text
    for name in ("[b]x[/b]", "[i]data[/]", "[u]w[/u]", "[/oops]"):
        assert name in text


def test_a_trial_that_waits_is_counted_and_shown_again_when_it_goes_on() -> None:
    waits = [started(), begins(0), pauses(0, 0.312), begins(1), ends(2, accuracy=0.5)]
    lines = lines_of(*waits)
    assert "1 complete, 0 stopped early (pruned), 0 failed, 1 paused" in lines
    assert any(line.endswith(" 2/40 trials") for line in lines)
    assert [line.split()[0] for line in lines if "/6 " in line] == ["1", "2"]
    lines = lines_of(*waits, begins(0, epochs_done=2))
    assert "1 complete, 0 stopped early (pruned), 0 failed" in lines
    assert line_with(lines, "31.2 %").split()[:2] == ["0", "2/6"]


def test_when_all_are_begun_it_says_that_those_that_wait_may_go_on() -> None:
    began = [started(trials=2), begins(0), pauses(0, 0.312), begins(1)]
    assert "0 complete, 0 stopped early (pruned), 0 failed, 1 paused" in lines_of(*began)
    lines = lines_of(*began, ends(1, accuracy=0.5))
    assert "1 complete, 0 stopped early (pruned), 0 failed, 1 paused (may continue)" in lines


def test_no_more_than_six_ended_trials_are_shown() -> None:
    ended = [ends(number) for number in range(20)]
    lines = lines_of(started(), *ended, height=60)
    assert [line.split()[0] for line in lines if "/6 " in line] == [
        "19",
        "18",
        "17",
        "16",
        "15",
        "14",
    ]


@pytest.mark.parametrize("height", [17, 18, 20, 24, 30])
@pytest.mark.parametrize("workers", [1, 8, 40])
def test_the_page_fits_the_terminal(height: int, workers: int) -> None:
    events = [*SEARCH, *(begins(number) for number in range(7, 5 + workers))]
    lines = lines_of(*events, height=height)
    assert len(lines) <= height
    assert lines[-1] == "in another terminal: cifar-search dashboard"
    if workers == 40:
        shown = sum("/6 " in line for line in lines)
        line_with(lines, f"and {40 - shown} more")


def test_before_the_trials_the_sweeps_are_shown() -> None:
    lines = lines_of(SweepsProgress(3, 8))
    assert "LR-range test" in lines[1]
    assert line_with(lines, "3/8").startswith("━")


RATES = tuple(10 ** (-5 + step / 20) for step in range(121))
CURVES = [
    SweepsProgress(1, 2),
    SweepCurve(0, "adam batch 32", RATES, (2.3,) * 60 + (1.9,) * 61, done=True),
    SweepCurve(1, "adam batch 256", RATES, (2.3,) * 30),
]


@pytest.mark.parametrize("height", [12, 24, 50])
@pytest.mark.parametrize("width", [20, 40, 80, 160])
def test_the_curves_of_the_sweeps_are_shown_where_there_is_room(height: int, width: int) -> None:
    lines = lines_of(*CURVES, height=height, width=width)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    shown = any("loss against learning rate" in line for line in lines)
    assert shown == (height >= 24 and width >= 40)
    assert any("adam batch 256" in line for line in lines) == shown
    assert not any("inconclusive" in line for line in lines)
    assert any("\u2800" < symbol <= "\u28ff" for line in lines for symbol in line) == shown


def test_before_anything_is_known_it_gets_ready() -> None:
    assert "preparing" in lines_of()


def test_a_search_that_stops_says_so_and_offers_no_keys() -> None:
    lines = lines_of(*SEARCH, Stopping("Stopping: running trials finish their epoch."))
    assert lines[-1] == "Stopping: running trials finish their epoch."
    assert not any("Ctrl-C" in line for line in lines)


def test_the_last_page_has_no_hints() -> None:
    assert not any("Ctrl-C" in line for line in lines_of(*SEARCH, hints=False))


def test_a_resumed_study_has_its_earlier_trials() -> None:
    lines = lines_of(
        started(row(0, accuracy=0.45, known="base"), row(1, "running", 0.35, 3)),
        begins(1, epochs_done=3),
    )
    assert line_with(lines, "35.0 %").split()[:2] == ["1", "3/6"]
    assert "best so far: trial 0 (base), 45.0 %" in lines
    assert any(line.endswith(" 1/40 trials") for line in lines)

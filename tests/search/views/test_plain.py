"""A search as plain lines."""

import io

from rich.console import Console

from search.events import BoundsFound, Event, Notice, Stopping, SweepsProgress
from search.views.live import view_for
from search.views.plain import PlainView
from tests.search.script import DATA, HandClock, begins, ends, epoch, pauses, row, started


def lines_of(*events: Event) -> list[str]:
    stream = io.StringIO()
    with PlainView(stream, HandClock(), stamp=lambda: "16:42:05") as view:
        for event in events:
            view(event)
    written = stream.getvalue()
    assert "\x1b" not in written
    assert not written or written.endswith("\n")
    lines = written.splitlines()
    assert all(line.startswith("16:42:05 ") for line in lines)
    return [line.removeprefix("16:42:05 ") for line in lines]


def test_a_whole_search_is_told_in_so_many_lines() -> None:
    lines = lines_of(
        Notice("no GPU"),
        *(SweepsProgress(done, 16) for done in range(17)),
        BoundsFound("sgd", 0.004, 0.4, "measured by an LR-range test"),
        started(trials=4),
        begins(0, label="base"),
        begins(1),
        epoch(0, 1),
        ends(0, accuracy=0.4571, known="base"),
        begins(2),
        ends(1, "pruned", 0.312, 2, reason="stopped early after epoch 2 by the halving pruner"),
        ends(2, "failed", None, 0, reason="out of memory"),
        Stopping("Stopping: running trials finish their epoch."),
    )
    left = "about 1 min left"
    best = "best 45.7 % (trial 0)"
    parameters = "adam lr 0.0021 batch 64 channels 24/48 bn cosine weight decay 0.0005 ..."
    assert lines == [
        "note: no GPU",
        "LR-range test: 0/16 sweeps",
        "LR-range test: 4/16 sweeps",
        "LR-range test: 8/16 sweeps",
        "LR-range test: 12/16 sweeps",
        "LR-range test: 16/16 sweeps",
        "sgd lr 0.004 to 0.4, measured by an LR-range test",
        "study mine: 4 trials of 6 epochs, 2 workers on cpu",
        f"all figures are validation accuracy on {DATA}",
        f"1/4 | trial 0 | 45.7 % | complete | epoch 6/6 | base: {parameters} | {best}",
        f"2/4 | trial 1 | 31.2 % | stopped early | epoch 2/6 | {parameters} | {left} | {best}",
        f"3/4 | trial 2 | - | failed: out of memory | epoch 0/6 | {parameters} | {left} | {best}",
        "Stopping: running trials finish their epoch.",
    ]


def test_a_resumed_study_says_what_is_there() -> None:
    lines = lines_of(
        started(row(0), row(1, "pruned", 0.2, 2), row(2, "running", 0.3, 3)),
        begins(2, epochs_done=3),
    )
    assert lines[2:] == [
        "2 trials are already done: 1 complete, 1 stopped early, 0 failed | best 50.0 % (trial 0)",
        "trial 2 continues after epoch 3",
    ]


def test_a_trial_that_waits_has_its_line_and_says_when_it_goes_on() -> None:
    lines = lines_of(
        started(trials=4),
        begins(0),
        pauses(0, 0.312),
        begins(1),
        pauses(1, 0.4),
        begins(1, epochs_done=2),
        ends(1, accuracy=0.5, seconds=60.0),
        ends(0, "pruned", 0.312, 2, reason="stopped early after epoch 2 by the promotion pruner"),
    )
    words = [[part for part in line.split(" | ") if " lr " not in part] for line in lines[2:]]
    best = "best 50.0 % (trial 1)"
    assert words == [
        ["1/4", "trial 0", "31.2 %", "paused", "epoch 2/6"],
        ["2/4", "trial 1", "40.0 %", "paused", "epoch 2/6", "about 40 s left"],
        ["trial 1 continues after epoch 2"],
        ["2/4", "trial 1", "50.0 %", "complete", "epoch 6/6", "about 1 min 20 s left", best],
        ["2/4", "trial 0", "31.2 %", "stopped early", "epoch 2/6", "about 2 min left", best],
    ]


def test_when_all_are_begun_it_says_that_paused_ones_may_go_on() -> None:
    began = (started(trials=2), begins(0), pauses(0, 0.3), begins(1))
    assert " | all started; 2 paused trials may continue" in lines_of(*began, pauses(1, 0.4))[-1]
    assert "may go on" not in lines_of(*began, ends(1), begins(0, epochs_done=2), ends(0))[-1]


def test_a_resumed_study_says_how_many_wait() -> None:
    lines = lines_of(started(row(0), row(1, "paused", 0.2, 2), row(2, "paused", 0.3, 2)))
    assert lines[-1] == (
        "3 trials are already done: 1 complete, 0 stopped early, 0 failed, 2 paused"
        " | best 50.0 % (trial 0)"
    )


def test_an_end_that_is_not_the_pruners_has_its_reason() -> None:
    lines = lines_of(started(), ends(0, "pruned", 0.1, 1, reason="diverged: in epoch 1"))
    assert "| stopped early: diverged: in epoch 1 |" in lines[-1]


def test_a_long_reason_is_cut() -> None:
    lines = lines_of(started(), ends(0, "failed", None, 0, reason="memory " * 100))
    assert len(lines[-1]) < 250
    assert "memory ... | epoch 0/6" in lines[-1]


def test_text_from_outside_stays_on_its_line_and_steers_nothing() -> None:
    assert lines_of(Notice("one\ntwo\r\x1b[31m [red]three[/red]")) == [
        "note: one two [31m [red]three[/red]"
    ]


def test_each_line_is_flushed() -> None:
    class Counting(io.StringIO):
        flushes = 0

        def flush(self) -> None:
            self.flushes += 1

    stream = Counting()
    view = PlainView(stream, HandClock())
    view(Notice("a"))
    view(Notice("b"))
    assert stream.flushes == 2


def test_an_old_encoding_does_not_end_a_search() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    PlainView(stream, HandClock(), lambda: "noon")(Notice("Grüße"))
    assert raw.getvalue() == b"noon note: Gr??e\n"


def test_plain_lines_where_the_output_is_no_terminal_or_they_are_wanted() -> None:
    no_terminal = Console(file=io.StringIO())
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(view_for(no_terminal, plain=False), PlainView)
    assert isinstance(view_for(terminal, plain=True), PlainView)

"""The live view: what it prints and redraws."""

import io
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console, RenderableType

from search.events import BoundsFound, Notice
from search.live import LiveView, view_for
from tests.search.script import HandClock, begins, ends, epoch, started


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    monkeypatch.setenv("TERM", "xterm-256color")
    yield Console(width=80, height=30, file=io.StringIO(), force_terminal=True, color_system=None)


def text_of(console: Console, picture: RenderableType) -> str:
    with console.capture() as capture:
        console.print(picture)
    return capture.get()


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_gets_the_live_view(console: Console) -> None:
    assert isinstance(view_for(console, plain=False), LiveView)


def test_a_terminal_that_cannot_redraw_gets_lines(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    dumb = Console(file=io.StringIO(), force_terminal=True)
    assert not isinstance(view_for(dumb, plain=False), LiveView)


def test_notices_and_bounds_are_printed_whole_and_once(console: Console) -> None:
    view = LiveView(console, HandClock())
    view(Notice("[red]no GPU[/red]"))
    view(BoundsFound("sgd", 0.004, 0.4, "measured"))
    assert written(console) == "note: [red]no GPU[/red]\nsgd lr 0.004 to 0.4, measured\n"


def test_a_picture_does_not_change_with_later_events(console: Console) -> None:
    clock = HandClock()
    view = LiveView(console, clock)
    view(started())
    view(begins(0))
    picture = view.render()
    before = text_of(console, picture)
    view(epoch(0, 3, 0.99))
    view(ends(0))
    clock.now += 100.0
    assert text_of(console, picture) == before
    assert text_of(console, view.render()) != before


def test_the_last_picture_stays_without_hints(console: Console) -> None:
    with LiveView(console, HandClock()) as view:
        view(started())
        view(ends(0, accuracy=0.6323))
    last = written(console).rsplit("mine", maxsplit=1)[-1]
    assert "best so far: trial 0, 63.2 %" in last
    assert "Ctrl-C" not in last


def test_the_terminal_is_given_back_when_the_search_raises(console: Console) -> None:
    def fail() -> None:
        with LiveView(console, HandClock()) as view:
            view(started())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert "\x1b[?25h" in written(console)  # the cursor is shown again


def test_redrawing_while_events_come_does_not_fail(console: Console) -> None:
    failures: list[BaseException] = []
    view = LiveView(console, HandClock())
    view(started(trials=10_000))
    over = threading.Event()

    def redraw() -> None:
        try:
            while not over.is_set():
                view.render()
        except BaseException as error:  # noqa: BLE001, RUF100 - handed to the test
            failures.append(error)

    thread = threading.Thread(target=redraw)
    thread.start()
    for number in range(300):
        view(begins(number))
        view(epoch(number, 1))
        if number >= 20:
            view(ends(number - 20))
    over.set()
    thread.join()
    assert failures == []

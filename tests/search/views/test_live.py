"""The live view: what it prints and redraws."""

import io
import threading

import pytest
from rich.console import Console, RenderableType

from search.events import BoundsFound, Notice
from search.views.live import LiveView, view_for
from tests.search.script import HandClock, begins, ends, epoch, pauses, started


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setenv("TERM", "xterm-256color")
    return Console(width=80, height=30, file=io.StringIO(), force_terminal=True, color_system=None)


def text_of(console: Console, page: RenderableType) -> str:
    with console.capture() as capture:
        console.print(page)
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


def test_a_page_does_not_change_with_later_events(console: Console) -> None:
    clock = HandClock()
    view = LiveView(console, clock)
    view(started())
    view(begins(0))
    page = view.render()
    before = text_of(console, page)
    view(epoch(0, 3, 0.99))
    view(ends(0))
    clock.now += 100.0
    assert text_of(console, page) == before
    assert text_of(console, view.render()) != before


def test_a_trial_that_waits_leaves_the_page(console: Console) -> None:
    view = LiveView(console, HandClock())
    for event in (started(), begins(0), epoch(0, 2, 0.312)):
        view(event)
    assert "31.2 %" in text_of(console, view.render())
    view(pauses(0, 0.312))
    after = text_of(console, view.render())
    assert "31.2 %" not in after
    assert "1 paused" in after


def test_the_last_page_stays_without_hints(console: Console) -> None:
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


@pytest.mark.parametrize("first", ["event", "redraw"])
def test_an_event_and_a_redraw_wait_for_each_other(console: Console, first: str) -> None:
    waited: list[bool] = []

    class MeddlingClock(HandClock):
        """Amid one of the two, which both read the clock, it has another thread try the other."""

        meddle = False

        def __call__(self) -> float:
            if self.meddle:
                self.meddle = False
                thread = threading.Thread(target=redraw if first == "event" else tell)
                thread.start()
                thread.join(0.05)
                waited.append(thread.is_alive())
                threads.append(thread)
            return self.now

    def tell() -> None:
        view(started(timeout=100.0))

    def redraw() -> None:
        view.render()

    threads: list[threading.Thread] = []
    clock = MeddlingClock()
    view = LiveView(console, clock)
    clock.meddle = True
    (tell if first == "event" else redraw)()
    for thread in threads:
        thread.join()
    assert waited == [True]

"""Pages of spaces in the terminal."""

from rich.console import Console

from search.views.space_pages import space_page
from spaces.files import load_space


def page_of(name: str) -> list[str]:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(space_page(load_space(name), name))
    return capture.get().splitlines()


def test_the_page_of_a_space_says_what_is_expected_of_each_parameter() -> None:
    lines = page_of("baseline_constrained")
    rows = {line.split()[0]: line for line in lines if line}
    assert "256, within a factor of 3" in rows["channels1"]
    assert "0 +- 0.15" in rows["dropout"]
    assert "cosine x3, one_cycle x3" in rows["schedule"]
    assert rows["init"].split() == ["init", "default,", "kaiming", "network.init"]
    assert any(line.startswith("What is expected decides") for line in lines)


def test_a_space_that_expects_nothing_has_no_such_column() -> None:
    assert not any("expected" in line for line in page_of("batch_size"))

"""Space files that mean harm, or were torn, or come from a program gone wrong."""

import copy
import os
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spaces.errors import SpaceError
from spaces.files import load_space, shipped_names
from spaces.grid import MOST_CELLS
from spaces.reading import quicker, read_space
from tests.spaces.making import ORIGIN, one_parameter, plain_space

LONGEST_ERROR = 8_000
ESCAPE, TURNED = "\x1b[31m", "\u202e"

# Derandomized: the same examples on every machine, so that a run does not fail by chance.
MANY = settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def error_of(read: Callable[[], object]) -> str:
    """The error that reading ends with; it can be shown in a terminal."""
    with pytest.raises(SpaceError) as caught:
        read()
    text = str(caught.value)
    assert len(text) < LONGEST_ERROR
    assert all(line.isprintable() for line in text.splitlines())
    return text


def in_file(folder: Path, content: str | bytes) -> str:
    """The error for a file of this content."""
    file = folder / "bad.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return error_of(lambda: load_space(str(file)))


# --------------------------------------------------------------------------- what is no document


@pytest.mark.timeout(20)
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path, put: Callable[[Path], None]) -> None:
    put(tmp_path / "my.toml")
    text = error_of(lambda: load_space(str(tmp_path / "my.toml")))
    assert text.endswith("my.toml is not a space file: it is a pipe or a device, and not a file.")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)  # sparse: it takes no room on the disk
    assert "it is larger than 1048576 bytes" in error_of(lambda: load_space(str(file)))


@pytest.mark.parametrize("link", ["my.toml", "gone.toml"])
def test_a_link_to_nothing_is_no_space_file(tmp_path: Path, link: str) -> None:
    (tmp_path / "my.toml").symlink_to(link)
    error_of(lambda: load_space(str(tmp_path / "my.toml")))


def test_the_folder_of_nobody_is_refused() -> None:
    text = error_of(lambda: load_space("~no-such-user/my.toml"))
    assert text == "~no-such-user/my.toml begins with the home folder of an unknown user."


@pytest.mark.parametrize(
    "content",
    [
        b"\x00",
        b"\xff\xfe" + "name = 'a'".encode("utf-16-le"),
        b"\x1f\x8b\x08\x00",
        b"PK\x03\x04",
        "name = 'a\x1b[31m'",
        "name = 'a'\nname = 'b'",
        "[recipe]\n[recipe]",
        "[parameters.a]\n[parameters]\na = 1",
        "title = 1e400\n",
        "a = [" * 400,
        "a = {b = " * 400,
        f"{'a.' * 1500}b = 1",
        "trials = " + "9" * 5_000,
        "title = '''" + "x" * 100_000,
    ],
    ids=lambda content: repr(content[:18]),
)
def test_what_is_no_document_of_a_space_is_refused(tmp_path: Path, content: str | bytes) -> None:
    in_file(tmp_path, content)


@pytest.mark.parametrize(
    "content", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")]
)
def test_what_windows_makes_of_a_file_is_read(
    tmp_path: Path, content: Callable[[str], str]
) -> None:
    text = tomli_w.dumps(plain_space())
    (tmp_path / "my.toml").write_bytes(content(text).encode())
    assert load_space(str(tmp_path / "my.toml")) == read_space(plain_space(), ORIGIN)


# ------------------------------------------------------------------------------- what is too much


def conditions(count: int, where: int) -> dict[str, Any]:
    """As many parameters, each of which applies where all before it have a value, the last elsewhere."""
    parameters: dict[str, Any] = {}
    for number in range(count):
        parameters[f"p{number}"] = {
            "sets": "augmentation.cutout",
            "choices": [0, 8],
            "when": {name: [where] for name in parameters},
        }
    return {"name": "a", "title": "b", "parameters": parameters}


@pytest.mark.timeout(20)
def test_conditions_on_conditions_cost_no_more_than_there_are() -> None:
    """Looked through one by one, what a hundred such parameters hang on would take for ever."""
    assert "is set by two parameters at once" in error_of(
        lambda: read_space(conditions(100, 0), ORIGIN)
    )


def test_many_problems_are_counted_and_not_all_listed() -> None:
    parameters = {f"p{number}": {"sets": 5} for number in range(3_000)}
    text = error_of(lambda: read_space(plain_space(parameters=parameters), ORIGIN))
    assert len(text.splitlines()) == 22
    assert text.splitlines()[-1] == "  and 2,980 more."


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("recipe", "network"), "x" * 900_000),
        (("recipe", "network"), 1 << 20_000),
        (("title",), "x" * 900_000),
        (("parameters", "dropout", "low"), 1 << 20_000),
        (("parameters", "batch_size", "choices"), ["x" * 9_000] * 2),
        (("parameters", "batch_size", "choices"), [[[[[[]]]]]]),
        (("known", 0, "values", "batch_size"), "x" * 9_000),
        (("lr_range", "base"), "x" * 9_000),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_is_long_is_shown_in_part(path: tuple[str | int, ...], value: object) -> None:
    plain = copy.deepcopy(plain_space())
    replace(plain, path, value)
    error_of(lambda: read_space(plain, ORIGIN))


def test_known_configurations_and_corners_are_bounded() -> None:
    """The LR-range test measures at two ends of each group, and at all of their combinations."""
    known = plain_space()["known"]
    error_of(lambda: read_space(plain_space(known=known * 51), ORIGIN))
    lr_range = {**plain_space()["lr_range"], "corners": [["dropout"]] * 9}
    assert "lr_range.corners" in error_of(
        lambda: read_space(plain_space(lr_range=lr_range), ORIGIN)
    )


@pytest.mark.timeout(60)
def test_a_grid_of_more_cells_than_can_be_trained_is_not_made() -> None:
    fields = ("mixup", "cutmix", "flip", "probability", "strength")
    choices = [round(0.01 * number, 2) for number in range(100)]
    parameters = {field: {"sets": f"augmentation.{field}", "choices": choices} for field in fields}
    plain = {"name": "a", "title": "b", "parameters": parameters, "grid": {}}
    text = error_of(lambda: read_space(plain, ORIGIN))
    assert f"has 10,000,000,000 cells; at most {MOST_CELLS:,} are possible" in text


@pytest.mark.timeout(60)
def test_many_published_cells_are_compared_quickly() -> None:
    published = [{"values": {"it": 8}}] * MOST_CELLS
    plain = {**one_parameter(sets="batch_size", choices=[8]), "grid": {"published": published}}
    assert "this cell is listed twice" in error_of(lambda: read_space(plain, ORIGIN))


# ------------------------------------------------------------------------- found by tearing spaces

VARIANTS = {
    "kind": {"variants": {"a": {"optimizer": {"name": "adam"}}, "b": {}}},
    "size": {"sets": "batch_size", "choices": [8]},
}


@pytest.mark.parametrize("value", ["c", "", -0.0, 1, True])
def test_a_known_configuration_that_names_no_variant_is_told_the_variants(value: object) -> None:
    known = [{"name": "k", "values": {"kind": value, "size": 8}}]
    plain = {"name": "a", "title": "b", "parameters": VARIANTS, "known": known}
    text = error_of(lambda: read_space(plain, ORIGIN))
    assert f"known.0 (k).values.kind: must be in a, b, but got {value!r}." in text


@pytest.mark.parametrize("sets", ["batch_size.x", "batch_size.x.y", "network.name.x"])
def test_a_field_of_what_has_none_is_told_where_a_known_configuration_has_it(sets: str) -> None:
    parameters = {**VARIANTS, "it": {"sets": sets, "choices": [1]}}
    known = [{"name": "k", "values": {"kind": "a", "size": 8, "it": 1}}]
    plain = {"name": "a", "title": "b", "parameters": parameters, "known": known}
    text = error_of(lambda: read_space(plain, ORIGIN))
    assert "must name a single field" in text or "recipe field" in text


# ----------------------------------------------------------------------------- what steers a terminal


@pytest.mark.parametrize("mark", [ESCAPE, TURNED, "\x00", "\x07", "\r", "\x9b", "\u2028"])
@pytest.mark.parametrize(
    "path",
    [
        ("title",),
        ("about",),
        ("known", 0, "name"),
        ("known", 0, "about"),
        ("known", 0, "values", "optimizer"),
        ("parameters", "optimizer", "choices", 0),
        ("parameters", "batch_size", "when"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_no_text_of_a_space_steers_a_terminal(path: tuple[str | int, ...], mark: str) -> None:
    plain = copy.deepcopy(plain_space(about="two\nlines, and a\ttab"))
    read_space(plain, ORIGIN)
    value = f"a{mark}b"
    replace(plain, path, {"optimizer": [value]} if path[-1] == "when" else value)
    error_of(lambda: read_space(plain, ORIGIN))


# --------------------------------------------------------------------------- a shipped space, changed

SHIPPED = {
    name: tomllib.loads(
        resources.files("spaces.shipped").joinpath(f"{name}.toml").read_text("utf-8")
    )
    for name in shipped_names()
}
KEYS = [
    *("__class__", "", " ", "a.b", "name", "low", ESCAPE, TURNED, "x" * 5_000, "\x00", "é"),
    *("choices", "when", "sets", "log", "grid", "epochs", "variants", "measured"),
]
VALUES: list[Any] = [
    *(float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1e308),
    *(0, -1, 1, 2, 10**9, 2**63, -(2**63), 10**30, 1 << 5_000),
    *(True, False, "", " ", "sgd", "net", ESCAPE, TURNED, "\x00", "x" * 5_000, "0.1", "é"),
    *([], {}, [[]], [[[[[[]]]]]], [{}], {"": {}}, {"a": {"b": {"c": {}}}}, [1, "a", True, 1.0]),
    *([0.1] * 200, list(range(200)), ["a"] * 3, [1, 1.0, True]),
    *({"low": 1, "high": 0}, {"low": 0, "high": 1, "log": True}, {"optimizer": ["sgd"]}),
    *({"sets": "batch_size", "choices": [60_000]}, {"sets": "network.channels1", "low": 10**9}),
]


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all values within a value, sections included."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*path, key))
    if isinstance(value, list):
        for index in range(len(value)):
            yield from paths(value[index], (*path, index))


def replace(plain: Any, path: tuple[str | int, ...], value: object) -> None:
    """Put another value at a path."""
    for key in path[:-1]:
        plain = plain[key]
    plain[path[-1]] = value


def torn(plain: dict[str, Any], data: st.DataObject) -> None:
    """Drop, rename, add or replace something somewhere."""
    path = data.draw(st.sampled_from(list(paths(plain))))
    place: Any = plain
    for key in path[:-1]:
        place = place[key]
    how = data.draw(st.sampled_from(["drop", "rename", "add", "replace", "replace"]))
    if how == "replace" or isinstance(place, list):
        place[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
    elif how == "add":
        key = data.draw(st.sampled_from(KEYS))
        place[key] = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
    else:
        value = place.pop(path[-1])
        if how == "rename":
            place[data.draw(st.sampled_from(KEYS))] = value


@MANY
@given(st.sampled_from(sorted(SHIPPED)), st.integers(1, 4), st.data())
def test_a_shipped_space_that_is_torn_is_a_space_or_a_short_error(
    tmp_path: Path, name: str, changes: int, data: st.DataObject
) -> None:
    plain = copy.deepcopy(SHIPPED[name])
    for _ in range(changes):
        torn(plain, data)
    file = tmp_path / "torn.toml"
    file.write_text(tomli_w.dumps(plain), encoding="utf-8")
    try:
        space = load_space(str(file))
    except SpaceError:
        error_of(lambda: load_space(str(file)))
    else:
        assert quicker(space).epochs >= 1

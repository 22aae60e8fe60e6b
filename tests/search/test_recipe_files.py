"""Configuration files, and what is said about those that are none."""

import copy
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cifar_core.errors import CifarSearchError, RecipeError
from cifar_core.recipe import Recipe
from cifar_core.text_files import LARGEST as LARGEST_FILE
from search.errors import UsageError
from search.recipe_files import read_configuration

RECIPE = Recipe.read({"epochs": 3, "optimizer": {"name": "adam", "lr": 0.002}})
TEXTS = {
    "toml": '{}epochs = 3\noptimizer = {{ name = "adam", lr = 0.002 }}\n',
    "json": '{{{}"epochs": 3, "optimizer": {{"name": "adam", "lr": 0.002}}}}',
    "yaml": "{}epochs: 3\noptimizer: {{name: adam, lr: 0.002}}\n",
}


def error_of(folder: Path, name: str, content: str | bytes) -> str:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((UsageError, RecipeError)) as caught:
        read_configuration(file)
    assert str(file) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ending", ["toml", "json", "yaml", "yml"])
def test_a_recipe_may_stand_at_the_top(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"mine.{ending}"
    file.write_text(TEXTS.get(ending, TEXTS["yaml"]).format(""))
    assert read_configuration(file) == RECIPE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.toml",
            "other = 5\n[recipe]\nepochs = 3\n[recipe.optimizer]\nname = 'adam'\nlr = 0.002",
        ),
        ("a.json", '{"recipe": {"epochs": 3, "optimizer": {"name": "adam", "lr": 0.002}}, "a": 1}'),
        ("a.yaml", "a: 1\nrecipe: {epochs: 3, optimizer: {name: adam, lr: 0.002}}"),
    ],
)
def test_a_recipe_may_stand_in_its_section(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_configuration(tmp_path / name) == RECIPE


@pytest.mark.parametrize("name", ["a.txt", "a", "a.toml.bak", ".toml", "a.py"])
def test_another_ending_is_refused_with_the_right_ones(tmp_path: Path, name: str) -> None:
    assert "must end in one of .toml, .json" in error_of(tmp_path, name, "epochs = 3")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UsageError) as caught:
            read_configuration(path)
        assert str(caught.value).startswith(f"{path} cannot be read: ")
    assert "not text in UTF-8" in error_of(tmp_path, "a.toml", b"\xff")
    assert f"larger than {LARGEST_FILE} bytes" in error_of(
        tmp_path, "a.toml", "#" * (LARGEST_FILE + 1)
    )


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "epochs = 3\nlr =\n", "is not valid TOML: Invalid value (at line 2"),
        ("a.toml", "epochs = 3\nepochs = 4\n", "is not valid TOML: Cannot overwrite a value"),
        ("a.json", '{"epochs": 3,\n', "is not valid JSON: Expecting property name"),
        ("a.json", "", "is not valid JSON: Expecting value: line 1"),
        ("a.yaml", "epochs: 3\n\t- a", "is not valid YAML: found character"),
        ("a.yml", "a: b: c", "is not valid YML: mapping values are not allowed here"),
        ("a.yaml", "epochs: 2020-99-99", "is not valid YAML: month must be in 1..12"),
        ("a.yaml", "- " * 25_000, "is not valid YAML: "),
        ("a.json", "[" * 50_000, "is not valid JSON: "),
        ("a.toml", "a = " + "[" * 50_000, "is not valid TOML: "),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    assert words in error_of(tmp_path, name, text)


@pytest.mark.parametrize("text", ["", "5", "[1, 2]", "null", "'text'", "recipe: 5", "recipe: null"])
def test_what_is_no_mapping_is_no_recipe(tmp_path: Path, text: str) -> None:
    assert "is not a valid training recipe" in error_of(tmp_path, "a.yaml", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs: .nan", "epochs: input should be a valid integer, but got nan."),
        ("label_smoothing: .inf", "label_smoothing: "),
        ("epochs: 2020-01-01", "epochs: input should be a valid integer"),
        ("epochs: yes", "epochs: input should be a valid integer, but got True."),
        ("1: 2", "1: keys should be strings"),
        ("a: &a [*a]", "aliases are not allowed"),
        ("network: &a {network: *a}", "aliases are not allowed"),
        ("optimizer: {name: lion}", "optimizer.name: must be one of 'sgd', 'adam', 'adamw'"),
    ],
)
def test_values_that_no_recipe_has_are_named(tmp_path: Path, text: str, words: str) -> None:
    assert words in error_of(tmp_path, "a.yaml", text)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir ['{}']",
        "!!python/object/new:os.mkdir ['{}']",
        "!!python/object/apply:subprocess.check_call [['mkdir', '{}']]",
        "!!python/name:os.mkdir ''",
        "!!python/module:os ''",
        "!!python/tuple [1]",
        "!own [1]",
    ],
)
def test_a_tag_executes_nothing(tmp_path: Path, tag: str) -> None:
    victim = tmp_path / "victim"
    said = error_of(tmp_path, "a.yaml", f"epochs: {tag.format(victim)}")
    assert "could not determine a constructor for the tag" in said
    assert not victim.exists()


@pytest.mark.parametrize("text", ["!!bool maybe", "!!timestamp soon", "!!int ''", "!!float ''"])
def test_a_tag_that_its_value_does_not_fit_is_refused(tmp_path: Path, text: str) -> None:
    assert "is not valid YAML" in error_of(tmp_path, "a.yaml", f"epochs: {text}")


@pytest.mark.parametrize("text", ["epochs: 3\na: b: c", "epochs: 3\na: {b", "epochs: 3\n'a"])
def test_broken_yaml_is_refused_with_the_line(tmp_path: Path, text: str) -> None:
    assert "line 2" in error_of(tmp_path, "a.yaml", text)


@pytest.mark.parametrize(("name", "sign"), [("a.toml", "="), ("a.yaml", ":")])
def test_a_number_of_5000_hexadecimal_digits_is_refused(
    tmp_path: Path, name: str, sign: str
) -> None:
    assert "epochs" in error_of(tmp_path, name, f"epochs{sign} 0x{'f' * 5_000}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", "epochs = 3\nepochs = 4"),
        ("a.json", '{"epochs": 3, "epochs": 4}'),
        ("a.json", '{"recipe": {"optimizer": {"lr": 0.1, "lr": 0.2}}}'),
        ("a.yaml", "epochs: 3\nepochs: 4"),
        ("a.yaml", "recipe: {optimizer: {lr: 0.1, 'lr': 0.2}}"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """Which of the two was meant is not for a program to guess."""
    said = error_of(tmp_path, name, text)
    assert "is repeated" in said or "Cannot overwrite a value" in said


@pytest.mark.timeout(20)
@pytest.mark.parametrize("ending", ["toml", "json", "yaml"])
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_a_device_is_not_waited_for(
    tmp_path: Path, ending: str, put: Callable[[Path], None]
) -> None:
    file = tmp_path / f"a.{ending}"
    put(file)
    with pytest.raises(UsageError, match="is not a configuration: it is a pipe or a device"):
        read_configuration(file)


def test_yaml_is_as_small_as_it_is_slow_to_read(tmp_path: Path) -> None:
    said = error_of(tmp_path, "a.yaml", "a: 1\n" * 20_000)
    assert "is larger than 65536 bytes" in said
    assert "no such key" in error_of(tmp_path, "a.toml", f"a = '{'x' * 70_000}'")


@pytest.mark.parametrize("ending", ["toml", "json", "yaml"])
def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    file.write_bytes(b"\xef\xbb\xbf" + TEXTS[ending].format("").replace("\n", "\r\n").encode())
    assert read_configuration(file) == RECIPE


@pytest.mark.parametrize(
    "key", ["a\u001b[31mb", "a\u202eb", "\u0000", "__class__", "x" * 9_000, ""]
)
def test_a_key_is_repeated_without_steering_the_terminal(tmp_path: Path, key: str) -> None:
    for values in ({key: 1}, {"network": {key: 1}}, {key: {key: [key]}}):
        said = error_of(tmp_path, "a.json", json.dumps(values))
        assert len(said) < 1_000
        assert all(line.isprintable() for line in said.splitlines())


def test_many_wrong_keys_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    said = error_of(tmp_path, "a.json", json.dumps({f"key{number}": 1 for number in range(9_000)}))
    assert len(said.splitlines()) == 22
    assert said.endswith("  and 8,980 more.")


def bomb(lists: int, ways: int) -> str:
    """Nested lists that name each other: `ways` to the power of `lists` words when written out."""
    lines = [f"a0: &a0 [{', '.join(['x'] * ways)}]"]
    for index in range(1, lists):
        lines.append(f"a{index}: &a{index} [{', '.join([f'*a{index - 1}'] * ways)}]")
    return "\n".join(lines)


def test_names_for_the_same_list_are_not_written_out(tmp_path: Path) -> None:
    said = error_of(tmp_path, "a.yaml", bomb(lists=4, ways=9))
    assert len(said) < 1_000


def test_a_value_is_shown_without_writing_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that counts how often it is written stands for the words of a bomb."""
    import cifar_core.records as records

    written = [0]

    class Counted:
        def __repr__(self) -> str:
            written[0] += 1
            return "x"

    value: object = Counted()
    for _ in range(5):
        value = [value] * 9  # 9^5 = 59,049 words
    assert len(records.shown(value)) <= 60
    assert written[0] < 1_000


ENDINGS = st.sampled_from([".toml", ".json", ".yaml"])
MARKS = st.sampled_from("=:[]{},'\"|>#%3\n\t\0\\é ")
YAML = st.sampled_from(["&a ", "*a", "<<", "- ", "? ", "---", "!!set", "!!omap", "!!binary", ": "])
WORDS = st.sampled_from(
    ["recipe", "epochs", "optimizer", "adam", "0x1", "nan", "null", "2020-01-01"]
)


@settings(
    database=None,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(ENDINGS, st.lists(WORDS | MARKS | YAML, max_size=14).map("".join))
def test_whatever_is_read_is_a_recipe_or_an_error(tmp_path: Path, ending: str, text: str) -> None:
    file = tmp_path / f"any{ending}"
    file.write_text(text, encoding="utf-8")
    try:
        assert isinstance(read_configuration(file), Recipe)
    except CifarSearchError:
        return
    finally:
        file.unlink()


VALUES: list[object] = [
    *(float("nan"), float("inf"), -0.0, 1e308, 0, -1, 2**63, 10**30, 1 << 5_000, True, None),
    *(
        "",
        "sgd",
        "\x1b[31m",
        "\u202e",
        "\x00",
        "x" * 5_000,
        "0.1",
        [],
        {},
        [[[[[]]]]],
        [{}],
        {"": 1},
    ),
]
PATHS = [
    *((key,) for key in RECIPE.to_dict()),
    *(
        (key, inner)
        for key, value in RECIPE.to_dict().items()
        if isinstance(value, dict)
        for inner in value
    ),
    *((key, "__class__") for key in ("network", "optimizer", "schedule", "augmentation")),
    *(("recipe",), ("\x1b[31m",), ("",), ("network", "weights"), ("network", "x" * 5_000)),
]
WRITERS = {
    "toml": lambda values: tomli_w.dumps(without_none(values)),
    "json": json.dumps,
    "yaml": lambda values: yaml.safe_dump(values, allow_unicode=True),
}


def without_none(value: Any) -> Any:
    """What TOML can say."""
    if isinstance(value, dict):
        return {key: without_none(one) for key, one in value.items() if one is not None}
    return value


@settings(
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(sorted(WRITERS)),
    st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(VALUES)), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_recipe_that_is_torn_is_a_recipe_or_a_short_error(
    tmp_path: Path, ending: str, changes: list[tuple[tuple[str, ...], object]], inside: bool
) -> None:
    values: dict[str, Any] = copy.deepcopy(RECIPE.to_dict())
    for (*sections, key), value in changes:
        place = values
        for section in sections:
            if not isinstance(place.get(section), dict):
                place[section] = {}
            place = place[section]
        place[key] = copy.deepcopy(value)
    file = tmp_path / f"torn.{ending}"
    with writing_huge_numbers():
        file.write_text(WRITERS[ending]({"recipe": values} if inside else values), "utf-8")
    try:
        recipe = read_configuration(file)
    except CifarSearchError as error:
        text = str(error)
    else:
        text = ""
        assert Recipe.read(recipe.to_dict()) == recipe
    assert len(text) < 4_000
    assert all(line.isprintable() for line in text.splitlines())


@contextmanager
def writing_huge_numbers() -> Iterator[None]:
    """Python refuses to write integers of thousands of digits, as others do not."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.parametrize("name", ["mine.toml", "speed"])
def test_a_space_is_refused_with_the_command_that_takes_it(tmp_path: Path, name: str) -> None:
    given = Path(name)
    if given.suffix:
        given = tmp_path / name
        given.write_text("[recipe]\nepochs = 3\n[parameters.dropout]\nlow = 0.0\nhigh = 0.5\n")
    for command in ("start", "lr-range"):
        with pytest.raises(UsageError, match="is a space, and not a configuration") as caught:
            read_configuration(given, command)
        assert str(caught.value).endswith(f"cifar-search {command} --space {given}")

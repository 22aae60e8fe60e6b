"""Configuration files, and what is said about those that are none."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cifar_core.errors import CifarSearchError, RecipeError
from cifar_core.recipe import Recipe
from cifar_core.text_files import LARGEST as LARGEST_FILE
from search.configuration import read_configuration
from search.errors import UsageError

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
        ("a.yaml", "- " * 50_000, "is not valid YAML: "),
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
    assert len(records._shown(value)) <= 60
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

"""Space files, by name and by path."""

from pathlib import Path

import pytest
import tomli_w

from cifar_core.text_files import LARGEST as LARGEST_FILE
from spaces.errors import SpaceError
from spaces.files import load_space, shipped_names, template
from spaces.reading import read_space
from tests.spaces.making import one_parameter, plain_space

LR = one_parameter(sets="optimizer.lr", low=0.001, high=0.1)


def error_of(content: str | bytes, folder: Path) -> str:
    """What is said about a file with this content."""
    file = folder / "bad.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SpaceError) as caught:
        load_space(str(file))
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_a_file_holds_what_a_space_holds(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(tomli_w.dumps(plain_space()))
    assert load_space(str(file)) == read_space(plain_space(), "here")


def test_a_path_is_told_from_a_name_by_its_slash_or_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.toml", "mine", "~"):
        Path(name).write_text(tomli_w.dumps(LR))
    assert load_space("mine.toml").name == load_space("./mine").name == "one"
    with pytest.raises(SpaceError, match="There is no space named 'mine'"):
        load_space("mine")


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.toml").write_text(tomli_w.dumps(LR))
    assert load_space("~/mine.toml").name == "one"


@pytest.mark.parametrize("name", ["", "nonsense", "Baseline_Constrained", "..", "__init__"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(SpaceError) as caught:
        load_space(name)
    assert f"There is no space named {name!r}" in str(caught.value)
    assert all(one in str(caught.value) for one in shipped_names())
    assert "./my_space.toml" in str(caught.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"There is no space file .*/none\.toml"):
        load_space(str(tmp_path / "none.toml"))


def test_a_folder_is_no_space_file(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="cannot be read: Is a directory"):
        load_space(f"{tmp_path}/")


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(SpaceError, match="cannot be read: File name too long"):
        load_space("x" * 5_000 + ".toml")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    assert "not text in UTF-8" in error_of(b"name = '\xff\xfe'", tmp_path)


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    assert f"larger than {LARGEST_FILE} bytes" in error_of("#" * (LARGEST_FILE + 1), tmp_path)


@pytest.mark.parametrize("content", ["name = 'a'\ntitle = \n", "name = 'a'\nname = 'b'\n"])
def test_broken_toml_is_refused_with_the_line(tmp_path: Path, content: str) -> None:
    said = error_of(content, tmp_path)
    assert "is not valid TOML" in said
    assert "line 2" in said


def test_an_empty_file_lacks_what_every_space_has(tmp_path: Path) -> None:
    said = error_of("", tmp_path)
    for key in ("name", "title", "parameters"):
        assert f"{key}: is missing." in said


def test_arrays_nested_without_end_are_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in error_of("a = " + "[" * 50_000, tmp_path)


@pytest.mark.parametrize("key", ["recipe", "recipe.network", "unknown"])
def test_keys_nested_without_end_are_refused(tmp_path: Path, key: str) -> None:
    deep = f"{key}{'.a' * 2_000} = 1\n"  # dotted keys are parsed without recursion
    error_of(deep + tomli_w.dumps(LR), tmp_path)


def test_a_number_of_5000_digits_is_refused(tmp_path: Path) -> None:
    error_of(f"trials = {'1' * 5_000}\n{tomli_w.dumps(LR)}", tmp_path)


@pytest.mark.parametrize("key", ["recipe.epochs", "unknown", "title"])
def test_a_hexadecimal_number_of_5000_digits_is_refused(tmp_path: Path, key: str) -> None:
    others = {name: value for name, value in LR.items() if name != key}
    error_of(f"{key} = 0x{'f' * 5_000}\n{tomli_w.dumps(others)}", tmp_path)


def test_the_template_is_a_valid_space_that_uses_what_a_space_has(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(template())
    space = load_space(str(file))
    assert space.known
    assert space.quick is not None


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"trails": 5}, "trails: no such key (found with the value 5); did you mean trials?"),
        (
            {"recipe": {"network": {"chanels1": 8}}},
            "chanels1: no such key (found with the value 8); did you mean channels1?",
        ),
        (
            {"recipe": {"optimizer": {"name": "adam", "momentum": 0.9}}},
            "allowed: beta1, beta2, lr, name, weight_decay, weight_decay_per_image",
        ),
        ({"recipe": {"augmentation": {"flipp": 1.0}}}, "did you mean flip?"),
        (
            {"parameters": {"lr": {"sets": "optimizer.lr", "low": 0.1, "hihg": 1.0}}},
            "did you mean high?",
        ),
        (
            {"parameters": {"lr": {"sets": "network.chanels1", "low": 1, "high": 9}}},
            "did you mean channels1?",
        ),
        (
            {"quick": {"epochs": 1, "train_image": 10, "train_images": 10, "trials": 1}},
            "did you mean train_images?",
        ),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_or_with_all(
    tmp_path: Path, values: dict[str, object], hint: str
) -> None:
    assert hint in error_of(tomli_w.dumps({**LR, **values}), tmp_path)

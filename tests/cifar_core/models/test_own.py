"""Networks of the user's own: run with consent alone, tried before a training, errors with their line."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cifar_core.errors import NetworkError, RecipeError, UntrustedError
from cifar_core.models import own
from cifar_core.models.counting import count
from cifar_core.networks import OwnNetwork
from cifar_core.recipe import Recipe

Write = Callable[..., own.Code]

GOOD = """\
from torch import nn
def make(width=4, classes=10):
    return nn.Sequential(nn.Conv2d(3, width, 3, stride=8), nn.Flatten(), nn.Linear(16 * width, classes))
"""
ODD = """\
from torch import nn
class Odd(nn.Module):
    def forward(self, images):
        return LOGITS
def make(classes):
    return Odd()
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module and returns its code; nothing of it stays imported."""
    monkeypatch.setattr(own, "_allowed", {})
    monkeypatch.setattr(own, "_functions", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def written(text: str, name: str = "nets_of_test", function: str = "make") -> own.Code:
        file = tmp_path / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return own.locate(f"{name}:{function}", [tmp_path])

    yield written
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def record(code: own.Code, **arguments: Any) -> OwnNetwork:
    return OwnNetwork(builder=code.builder, **arguments)


def problem(code: own.Code, **arguments: Any) -> str:
    own.allow([code])
    with pytest.raises(NetworkError) as caught:
        own.check([record(code, **arguments)], classes=7)
    text = str(caught.value)
    assert text.isprintable()
    assert str(code.file) in text or "twice" in text
    return text


def test_the_network_of_the_readme_is_one_that_can_be_trained(write: Write) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```python\n# nets\.py\n(.*?)```", readme, re.DOTALL)
    code = write(text)
    own.allow([code])
    own.check([record(code, width=8, norm=norm) for norm in (True, False)], 10)


def test_a_layer_that_waits_for_its_first_input_has_its_weights_before_a_training(
    write: Write,
) -> None:
    code = write(GOOD.replace("nn.Linear(16 * width, classes)", "nn.LazyLinear(classes)"))
    own.allow([code])
    network = own.build(record(code), 7)
    assert [tuple(weight.shape) for weight in network.parameters()][2] == (7, 64)


def test_nothing_is_imported_before_it_is_allowed(write: Write) -> None:
    code = write("raise AssertionError('imported')")
    with pytest.raises(UntrustedError, match=r"nets_of_test:make, which is run only if you say so"):
        own.build(record(code), 10)
    assert "nets_of_test" not in sys.modules


def test_the_network_has_as_many_classes_as_the_images(write: Write) -> None:
    own.allow([write(GOOD)])
    network = own.build(OwnNetwork(builder="nets_of_test:make", width=6), 7)
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 7)
    assert network.training
    found = count(OwnNetwork(builder="nets_of_test:make", width=6), classes=7)
    assert found.multiply_adds == 16 * 6 * 27 + 16 * 6 * 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def make(classes):\n    return missing\n", "make failed: NameError: name 'missing'"),
        ("import no_such_module\n", "cannot be imported: ModuleNotFoundError: No module named"),
        ("def make(classes:\n", "cannot be imported: SyntaxError"),
        ("raise SystemExit(3)\n", "cannot be imported: SystemExit: 3"),
        ("def other(classes):\n    pass\n", "has no function make"),
        ("make = 3\n", "has no function make"),
        ("def make():\n    pass\n", "must take the argument `classes`, the number of classes"),
        ("def make(classes, depth):\n    pass\n", "needs the argument 'depth': set network.depth."),
        ("def make(classes):\n    return 3\n", "must return a torch.nn.Module, but returned int"),
        (GOOD.replace("width, classes", "width, 10"), "(2, 7) float32 for 2 images, a number"),
        (GOOD.replace("nn.Flatten()", "nn.Identity()"), "fails for images (2, 3, 32, 32)"),
        (
            "from torch import nn\ndef make(classes):\n    return nn.Flatten()\n",
            "(2, 3072) float32",
        ),
        (ODD.replace("LOGITS", "images.view(len(images), -1)"), "line 4)"),
        (ODD.replace("LOGITS", "images.new_zeros(len(images), 7)"), "has no parameter to train"),
        (f"{GOOD}one = make(classes=7)\nmake = lambda classes: one\n", "the same module twice"),
    ],
)
def test_what_is_wrong_with_the_code_is_one_sentence(write: Write, text: str, words: str) -> None:
    assert words in problem(write(text))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def make(classes):\n\n    return missing\n", 3),
        ("\nimport no_such_module\n", 2),
        ("def make(classes:\n", 1),
        ("def deeper():\n    return missing\ndef make(classes):\n    return deeper()\n", 2),
    ],
)
def test_an_error_has_the_line_of_the_users(write: Write, text: str, line: int) -> None:
    code = write(text)
    assert f"({code.file}, line {line})." in problem(code)


def test_an_argument_that_the_function_lacks_is_answered_with_those_that_it_has(
    write: Write,
) -> None:
    assert "has no argument 'widht'; it has width. (with widht = 3)" in problem(
        write(GOOD), widht=3
    )


def test_a_file_with_the_name_of_an_installed_module_is_refused_and_not_imported(
    write: Write,
) -> None:
    for name in ("json", "colorsys"):  # one that is imported, and one that is not
        code = write("raise AssertionError('imported')", name)
        assert "another module has that name" in problem(code)


def test_a_package_and_what_it_imports_are_found_and_hashed(write: Write) -> None:
    write("", "pack_of_test.__init__")
    write("WIDTH = 5\n", "pack_of_test.sizes")
    code = write(
        f"from pack_of_test.sizes import WIDTH\n{GOOD}", "pack_of_test.nets", function="make"
    )
    own.allow([code])
    own.check([record(code, width=5)], 10)
    first = own.sources([code])
    assert list(first) == [f"pack_of_test/{name}.py" for name in ("__init__", "nets", "sizes")]
    (code.folder / "pack_of_test" / "sizes.py").write_text("WIDTH = 6\n")
    assert own.sources([code]) != first


def test_a_file_that_is_not_there_is_answered_with_the_folders(tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        own.locate("nets:make", [tmp_path / "a", tmp_path / "b"])
    assert f"there is no nets.py in {tmp_path / 'a'} or in {tmp_path / 'b'}." in str(caught.value)


@pytest.mark.parametrize(
    "builder", ["nets", "nets:", ":make", "nets:make()", "../nets:make", "a b:c", "nets:x.y", 3]
)
def test_a_builder_is_a_module_and_a_function(builder: object) -> None:
    with pytest.raises(RecipeError, match=r"network\.builder: "):
        Recipe.read({"network": {"builder": builder}})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"classes": 3}, "`classes`, which is the number of classes of the images"),
        ({"class": 3}, "'class' cannot be an argument"),
        ({"a b": 3}, "'a b' cannot be an argument"),
        ({"width": [3]}, r"width must be a number, a text, true or false, but got \[3\]"),
        ({"width": float("nan")}, "width must be a number"),
        ({"width": "\x1b[2J"}, "must have no control characters"),
        ({f"a{index}": 1 for index in range(51)}, "at most 50 arguments, but got 51"),
    ],
)
def test_an_argument_is_a_name_and_a_plain_value(arguments: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Recipe.read({"network": {"builder": "nets:make", **arguments}})


def test_a_recipe_with_it_is_a_record_as_any_other() -> None:
    recipe = Recipe.read({"network": {"builder": "nets:make", "width": 8}})
    assert recipe.network == OwnNetwork(builder="nets:make", width=8)
    assert Recipe.read(recipe.to_dict()) == recipe
    other = Recipe.read({"network": {"builder": "nets:make", "width": 9}})
    assert len({recipe.digest, other.digest, Recipe().digest}) == 3


def test_what_the_code_prints_does_not_stand_among_results(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    code = write(
        f"print('imported')\n{GOOD}".replace("    return", "    print('made')\n    return")
    )
    own.allow([code])
    assert isinstance(own.build(record(code), 10), nn.Module)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "imported" in printed.err
    assert "made" in printed.err

"""Trained networks in other forms: they compute the same, and carry what belongs to them."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from safetensors import safe_open
from torch import nn

from cifar_core.checkpoint import save_state
from cifar_core.models import network_of
from cifar_core.recipe import Net, Recipe
from search.errors import ServiceError, UsageError
from search.results.export.formats import TEXTS
from search.results.export.loading import Preprocessing, load_export
from search.results.export.networks import check_same_logits, write_onnx, write_safetensors

DOCUMENT: dict[str, Any] = {
    "recipe": Recipe(
        network=Net(channels1=2, channels2=3, batch_norm=True, dropout=0.3),
        normalization="standard",
    ).to_dict(),
    "preprocessing": {
        "normalization": "standard",
        "mean": [0.49, 0.48, 0.45],
        "std": [0.25, 0.24, 0.26],
        "classes": [*"abcdefghij"],
    },
    "provenance": {"study": "mine", "trial": 3},
}
IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network() -> nn.Module:
    """A network that has seen some images, as its BatchNorm shows."""
    torch.manual_seed(0)
    made = network_of(Recipe.read(DOCUMENT["recipe"]).network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    made(IMAGES)
    return made.eval()  # type: ignore[no-any-return]


@pytest.fixture
def checkpoint(network: nn.Module, tmp_path: Path) -> Path:
    save_state({"network": network.state_dict()}, tmp_path / "3.pt")
    return tmp_path / "3.pt"


@torch.inference_mode()
def logits_of(network: nn.Module) -> torch.Tensor:
    mean, std = (
        torch.tensor(DOCUMENT["preprocessing"][key]).view(3, 1, 1) for key in ("mean", "std")
    )
    logits: torch.Tensor = network((IMAGES - mean) / std)
    return logits


def test_an_onnx_graph_takes_pixels_and_gives_the_networks_logits_for_any_number_of_images(
    network: nn.Module, checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / "best-1.onnx"
    write_onnx(checkpoint, path, DOCUMENT)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    expected = logits_of(network)
    for count in (1, 2, 5):
        (found,) = session.run(None, {"images": IMAGES[:count].numpy()})
        torch.testing.assert_close(torch.from_numpy(found), expected[:count], rtol=1e-4, atol=1e-5)
    about = session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(about[key]) for key in DOCUMENT} == DOCUMENT
    assert "normalisation is part of the graph" in about["input"]


def test_logits_that_differ_are_an_error() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    check_same_logits(network, lambda images: network(images) + 1e-6, "best-1.onnx")
    for wrong in (1e-3, float("nan")):
        with pytest.raises(ServiceError, match=r"best-1\.onnx was not written: ONNX Runtime's"):
            check_same_logits(
                network, lambda images, wrong=wrong: network(images) + wrong, "best-1.onnx"
            )


def test_without_onnx_the_extra_is_named(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ServiceError, match=r"onnxruntime is not installed.*\[onnx\]"):
        write_onnx(checkpoint, tmp_path / "best-1.onnx", DOCUMENT)
    assert not (tmp_path / "best-1.onnx").exists()


def test_safetensors_hold_the_weights_and_what_belongs_to_them(
    network: nn.Module, checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / "best-1.safetensors"
    write_safetensors(checkpoint, path, DOCUMENT)
    with safe_open(path, framework="pt") as found:
        assert {key: json.loads(text) for key, text in found.metadata().items()} == DOCUMENT
        state = {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


@pytest.fixture
def exported(network: nn.Module, tmp_path: Path) -> Path:
    """A configuration with its weights beside it, as `export` writes them."""
    path = tmp_path / "best-1.toml"
    path.write_text(TEXTS["toml"](DOCUMENT), encoding="utf-8")
    save_state(network.state_dict(), path.with_suffix(".pt"))
    return path


def test_an_export_is_loaded_with_what_its_images_go_through(
    network: nn.Module, exported: Path
) -> None:
    loaded, transform = load_export(exported)
    assert transform.classes == tuple("abcdefghij")
    with torch.inference_mode():
        torch.testing.assert_close(loaded(transform(IMAGES)), logits_of(network))
        levels = (IMAGES * 255).round()
        assert torch.equal(transform(levels.to(torch.uint8)), transform(levels / 255))


def test_the_lines_of_the_readme_load_an_exported_network(
    network: nn.Module, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(exported.parent)
    readme = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
    lines, _own_network = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {"images": IMAGES}
    exec(lines, names)  # noqa: S102 - the project's own text
    torch.testing.assert_close(names["logits"], logits_of(network))


def test_an_export_that_cannot_be_loaded_says_what_is_wrong(exported: Path) -> None:
    exported.with_suffix(".pt").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(UsageError, match=r"best-1\.pt does not hold the network of best-1\.toml: "):
        load_export(exported)
    exported.with_suffix(".pt").unlink()
    with pytest.raises(UsageError, match=r"There is no .*best-1\.pt.* cifar-search train .*toml"):
        load_export(exported)
    exported.write_text(TEXTS["toml"]({"recipe": DOCUMENT["recipe"]}), encoding="utf-8")
    with pytest.raises(UsageError, match=r"best-1\.toml does not say how images are normalised"):
        load_export(str(exported))
    with pytest.raises(UsageError, match=r"best-1\.onnx is no exported configuration"):
        load_export(exported.with_suffix(".onnx"))


@pytest.mark.parametrize(
    "wrong", [{"mean": [0.5, 0.5]}, {"std": [1, 0, 1]}, {"classes": []}, {"mean": 3}]
)
def test_preprocessing_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"best.toml does not say how"):
        Preprocessing.of({**DOCUMENT["preprocessing"], **wrong}, "best.toml")

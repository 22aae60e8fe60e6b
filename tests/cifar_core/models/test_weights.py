"""Trained weights: what fits is loaded, what does not is refused in words, and no code is run."""

import hashlib
import http.client
import io
import os
import pickle
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights, resnet18

from cifar_core.errors import CifarSearchError, WeightsError
from cifar_core.models import network_of, weights
from cifar_core.recipe import ResNet18ImageNet

State = dict[str, Any]


@pytest.fixture(scope="module")
def trained() -> State:
    """A network for ImageNet's thousand classes, whose BatchNorm has seen something."""
    torch.manual_seed(7)
    network = resnet18(num_classes=1000)
    network(torch.randn(4, 3, 64, 64))
    return dict(network.state_dict())


def loaded(path: Path, *, frozen: bool = False) -> nn.Module:
    torch.manual_seed(0)
    return network_of(ResNet18ImageNet(weights=str(path), frozen=frozen))


def saved(state: object, folder: Path) -> Path:
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


def refused(path: Path | str) -> str:
    """What is said about these weights."""
    with pytest.raises(WeightsError) as caught:
        network_of(ResNet18ImageNet(weights=str(path)))
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


# Files


def test_all_layers_but_the_last_get_the_files_weights(trained: State, tmp_path: Path) -> None:
    found = loaded(saved(trained, tmp_path)).state_dict()
    torch.manual_seed(0)
    new = network_of(ResNet18ImageNet()).state_dict()
    for name, values in found.items():
        last = name.startswith("fc.")
        assert torch.equal(values, new[name] if last else trained[name]), name
    assert found["fc.weight"].shape == (10, 512)


def test_features_are_those_of_torchvisions_network(trained: State, tmp_path: Path) -> None:
    ours, its = loaded(saved(trained, tmp_path)), resnet18()
    its.load_state_dict(trained)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    features: list[Tensor] = []
    for network in (ours, its):
        pool = network.get_submodule("avgpool")
        pool.register_forward_hook(lambda _, __, out: features.append(out))
        network.eval()(images)
    torch.testing.assert_close(*features)


def test_all_weights_are_trained_unless_they_are_frozen(trained: State, tmp_path: Path) -> None:
    path = saved(trained, tmp_path)
    assert all(each.requires_grad for each in loaded(path).parameters())
    network = loaded(path, frozen=True)
    free = [name for name, each in network.named_parameters() if each.requires_grad]
    assert free == ["fc.weight", "fc.bias"]


def test_frozen_norms_still_follow_the_images(trained: State, tmp_path: Path) -> None:
    network = loaded(saved(trained, tmp_path), frozen=True).train()
    network(torch.randn(8, 3, 32, 32) + 3.0).sum().backward()
    assert not torch.equal(network.get_buffer("bn1.running_mean"), trained["bn1.running_mean"])
    assert torch.equal(network.get_parameter("bn1.weight"), trained["bn1.weight"])
    assert network.get_parameter("conv1.weight").grad is None
    assert network.get_parameter("fc.weight").grad is not None


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_old_files_in_any_format_without_counts_of_batches_are_taken(
    trained: State, tmp_path: Path, *, zipped: bool
) -> None:
    old = {name: t for name, t in trained.items() if not name.endswith("num_batches_tracked")}
    path = tmp_path / "old.pth"
    torch.save(old, path, _use_new_zipfile_serialization=zipped)
    assert torch.equal(loaded(path).get_parameter("conv1.weight"), trained["conv1.weight"])


def test_a_file_without_the_last_layer_is_enough(trained: State, tmp_path: Path) -> None:
    headless = {name: t for name, t in trained.items() if not name.startswith("fc.")}
    loaded(saved(headless, tmp_path))


def test_a_path_may_start_at_the_home_folder(
    trained: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(trained, tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded(Path("~/weights.pth"))


@pytest.mark.parametrize("name", ["absent.pth", "", "a/b/c.pth"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    text = refused(tmp_path / name)
    assert f"no file of weights at {tmp_path / name}" in text
    assert "network.weights" in text


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    assert "no file of weights" in refused(tmp_path / "pipe.pth")


@pytest.mark.parametrize("name", ["x" * 900, "~no-such-user/weights.pth"], ids=["long", "home"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    assert "cannot be looked for" in refused(name)


class Malicious:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("form", ["pickle", "zip", "legacy"])
def test_code_in_a_file_is_never_run(trained: State, tmp_path: Path, form: str) -> None:
    mark, path = tmp_path / "it-ran", tmp_path / "evil.pth"
    state = {**trained, "conv1.weight": Malicious(mark)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(Malicious(mark)))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    text = refused(path)
    assert str(path) in text
    assert "Nothing in it was run" in text
    assert "weights_only" not in text  # PyTorch's advice is to run it
    assert not mark.exists()
    if form == "pickle":
        pickle.loads(path.read_bytes())  # noqa: S301 - to see that it can run
    else:
        torch.load(path, weights_only=False)
    assert mark.exists(), "the file does what this test fears"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_truncated_file_is_refused(
    trained: State, tmp_path: Path, share: float, *, zipped: bool
) -> None:
    path = tmp_path / "cut.pth"
    torch.save(trained, path, _use_new_zipfile_serialization=zipped)
    os.truncate(path, int(path.stat().st_size * share))
    assert str(path) in refused(path)


def test_a_file_that_grows_when_it_is_read_is_refused(trained: State, tmp_path: Path) -> None:
    """A few kilobytes can be compressed gigabytes."""
    path = saved(trained, tmp_path)
    with zipfile.ZipFile(path) as archive:
        parts = {one.filename: archive.read(one) for one in archive.infolist()}
    smallest = min(parts, key=lambda name: len(parts[name]))
    with zipfile.ZipFile(path, "w") as archive:  # one part is enough
        for name, content in parts.items():
            how = zipfile.ZIP_DEFLATED if name == smallest else zipfile.ZIP_STORED
            archive.writestr(name, content, how)
    assert "cannot be read as a file of weights: a part of it is compressed" in refused(path)


def test_a_file_with_a_flipped_bit_is_refused(trained: State, tmp_path: Path) -> None:
    path = saved(trained, tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "cannot be read as a file of weights: its part" in refused(path)


def test_a_text_is_not_a_file_of_weights(tmp_path: Path) -> None:
    path = tmp_path / "notes.pth"
    path.write_text("These are my weights: 72 kg, 71 kg.")
    assert f"{path} is not a file of weights" in refused(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.zeros(3), "it is a Tensor"),
        ([1, 2], "it is a list"),
        ({}, "it is empty"),
        ({"epoch": 3, "state_dict": {}}, "'epoch' is a int"),
        ({1: torch.zeros(1)}, "1 is a Tensor"),
    ],
    ids=["tensor", "list", "empty", "training", "number"],
)
def test_what_is_not_a_state_dict_is_named(tmp_path: Path, content: object, said: str) -> None:
    text = refused(saved(content, tmp_path))
    assert said in text
    assert str(tmp_path) in text


def test_weights_of_other_shapes_are_named(trained: State, tmp_path: Path) -> None:
    path = saved({**trained, "conv1.weight": torch.zeros(64, 3, 3, 3)}, tmp_path)
    text = refused(path)
    assert f"{path} are not those of this network" in text
    assert "conv1.weight is 64x3x3x3 instead of 64x3x7x7" in text


def test_weights_that_are_missing_or_too_many_are_named(trained: State, tmp_path: Path) -> None:
    state = {name: t for name, t in trained.items() if name != "bn1.running_var"}
    text = refused(saved({**state, "head.weight": torch.zeros(1)}, tmp_path))
    assert "bn1.running_var is missing; head.weight is not known here" in text


def test_of_many_misfits_three_are_listed(trained: State, tmp_path: Path) -> None:
    wrapped = {f"module.{name}": values for name, values in trained.items()}
    assert refused(saved(wrapped, tmp_path)).count(";") == 3


def test_a_tensor_that_cannot_be_copied_is_refused(trained: State, tmp_path: Path) -> None:
    sparse = trained["layer1.0.conv1.weight"].to_sparse()
    text = refused(saved({**trained, "layer1.0.conv1.weight": sparse}, tmp_path))
    assert "not those of this network" in text


# torchvision's weights


class Server:
    """Answers in place of torchvision's, and counts how often it was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked = 0

    def __call__(self, url: str, timeout: float) -> io.BytesIO:
        assert url == weights.IMAGENET_URL
        assert 0 < timeout <= 30
        self.asked += 1
        return io.BytesIO(self.content)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which torch.hub keeps weights, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server(trained: State, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that has weights of ImageNet's shapes under a name that fits their checksum."""
    buffer = io.BytesIO()
    torch.save(trained, buffer)
    content = buffer.getvalue()
    name = f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setattr(weights, "IMAGENET_URL", f"https://example.invalid/models/{name}")
    made = Server(content)
    monkeypatch.setattr(urllib.request, "urlopen", made)
    return made


def imagenet() -> nn.Module:
    return network_of(ResNet18ImageNet(weights="imagenet"))


def test_the_address_is_torchvisions() -> None:
    assert ResNet18_Weights.IMAGENET1K_V1.url == weights.IMAGENET_URL


def test_imagenets_weights_are_fetched_once_and_without_a_word(
    trained: State, server: Server, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert torch.equal(imagenet().get_parameter("conv1.weight"), trained["conv1.weight"])
    assert server.asked == 1
    assert len(list(cache.iterdir())) == 1
    assert capfd.readouterr() == ("", "")


def test_what_the_server_sends_is_compared_with_its_checksum(server: Server, cache: Path) -> None:
    server.content = server.content[:-1] + b"!"
    text = refused("imagenet")
    assert "checksum" in text
    assert weights.IMAGENET_URL in text
    assert not cache.exists()


def test_a_damaged_file_in_the_cache_is_named(server: Server, cache: Path) -> None:
    imagenet()
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    text = refused("imagenet")
    assert f"{file} is damaged" in text
    assert "Delete the file" in text
    file.unlink()
    imagenet()
    assert server.asked == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "refused"),
        (urllib.error.HTTPError("", 503, "Busy", http.client.HTTPMessage(), None), "503: Busy"),
        (TimeoutError("timed out"), "timed out"),
        (http.client.IncompleteRead(b"x"), "IncompleteRead"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_without_a_network_it_says_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def urlopen(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    text = refused("imagenet")
    assert words in text
    assert weights.IMAGENET_URL in text
    assert "download resnet18-f37072fd.pth elsewhere and set network.weights to its path" in text
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_named(server: Server, cache: Path) -> None:
    cache.parent.write_text("a file where the folder should be")
    assert str(cache) in refused("imagenet")
    assert server.asked == 1


@pytest.mark.usefixtures("cache")
def test_a_server_that_is_really_not_there_ends_it_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    # Port 9 of this machine, where nothing listens; a proxy would answer in its place.
    monkeypatch.setattr(weights, "IMAGENET_URL", "http://127.0.0.1:9/models/resnet18-00000000.pth")
    monkeypatch.setenv("no_proxy", "*")
    started = time.monotonic()
    assert "network.weights" in refused("imagenet")
    assert time.monotonic() - started < 10


def test_a_command_line_can_catch_it_with_everything_else() -> None:
    assert issubclass(WeightsError, CifarSearchError)

"""A saved state comes back to the bit; whatever else is in a file is refused and never executed."""

import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cifar_core.checkpoint import load_state, save_state
from cifar_core.errors import CheckpointError
from tests.cifar_core.trainings import same

STATE: dict[str, Any] = {
    "seed": 0,
    "network": {"weight": torch.arange(2000.0), "count": torch.tensor(3)},
    "random": {"images": torch.arange(256, dtype=torch.uint8)},
    "history": [{"number": 1, "train_loss": float("inf"), "lr": 0.1}],
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_state(STATE, tmp_path / "state.pt")
    return tmp_path / "state.pt"


def test_a_state_comes_back_to_the_bit(saved: Path) -> None:
    assert same(load_state(saved), STATE)


def test_channels_last_weights_come_back_channels_last(tmp_path: Path) -> None:
    weight = torch.rand(4, 3, 5, 5).to(memory_format=torch.channels_last)
    save_state({"weight": weight}, tmp_path / "state.pt")
    again = load_state(tmp_path / "state.pt")["weight"]
    assert again.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(again, weight)


def test_a_failure_while_saving_leaves_the_old_state(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save_state({"seed": 1}, saved)
    assert same(load_state(saved), STATE)
    assert list(saved.parent.iterdir()) == [saved]


def test_a_state_that_cannot_be_written_leaves_the_old_one(saved: Path) -> None:
    with pytest.raises(Exception, match="pickle"):
        save_state({"clock": lambda: 0.0}, saved)
    assert same(load_state(saved), STATE)
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_truncated_state_is_refused(share: float, saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"state\.pt is not a whole training state: "):
        load_state(saved)


def test_a_state_with_a_flipped_bit_is_refused(saved: Path) -> None:
    content = saved.read_bytes()
    place = content.index(torch.arange(1000.0, 1001.0).numpy().tobytes())  # amidst the weights
    saved.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(CheckpointError):
        load_state(saved)


@pytest.mark.parametrize(
    "content",
    [
        b"# a note, and no state\n",
        pytest.param(
            b"epochs = 12\nbatch_size = 64\n",  # as a pickle, e takes from an empty stack,
        ),
        b"\n",
        b"\x00" * 5000,
        b"PK\x03\x04" + b"\x00" * 500,
        b"\x80\x02}q\x00.",
        pytest.param(
            b"\x80\x02.",  # a pickle that takes from an empty stack,
        ),
        pytest.param(
            b"\x80\x02J\x00.",  # a number cut short,
        ),
        pytest.param(
            pickle.dumps({"seed": 0}, protocol=5),
        ),
    ],
)
def test_a_file_of_something_else_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"state\.pt"):
        load_state(path)


def test_random_bytes_are_refused_with_a_checkpoint_error(tmp_path: Path) -> None:
    path, noise = tmp_path / "state.pt", random.Random(0)  # noqa: S311 - no secret
    for size in range(200):
        path.write_bytes(b"\x80\x02" + noise.randbytes(size % 20))
        with pytest.raises(CheckpointError):
            load_state(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^There is no saved state at .*absent\.pt\.$"):
        load_state(tmp_path / "absent.pt")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a whole training state: "):
        load_state(tmp_path)


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="is not a whole training state: it is not a file"):
        load_state(tmp_path / "state.pt")


def compressed(path: Path, name: str | None = None) -> None:
    """Compress all parts of an archive, or one of them, which PyTorch would read all the same."""
    with zipfile.ZipFile(path) as archive:
        parts = {one.filename: archive.read(one) for one in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for part, content in parts.items():
            how = zipfile.ZIP_DEFLATED if name is None or part.endswith(name) else None
            archive.writestr(part, content, how)


@pytest.mark.parametrize("name", [None, "data.pkl", "data/0"])
def test_a_state_that_grows_when_it_is_read_is_refused(saved: Path, name: str | None) -> None:
    """A few kilobytes can be compressed gigabytes."""
    compressed(saved, name)
    assert torch.load(saved, weights_only=True)["seed"] == STATE["seed"], "PyTorch reads it"
    with pytest.raises(CheckpointError, match="state: a part of it is compressed"):
        load_state(saved)


@pytest.mark.parametrize("value", [torch.zeros(3), [1, 2], "text", None])
def test_a_saved_value_that_is_no_state_is_refused(value: object, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "state.pt")
    kind = type(value).__name__
    with pytest.raises(CheckpointError, match=f"is not a training state: it holds a {kind}."):
        load_state(tmp_path / "state.pt")


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.victim}'",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_pickle_with_a_program_is_refused_and_not_run(form: str, tmp_path: Path) -> None:
    path, victim = tmp_path / "state.pt", tmp_path / "victim"
    state = {**STATE, "history": Attack(victim)}
    if form == "pickle":
        path.write_bytes(pickle.dumps({"history": Attack(victim)}, protocol=2))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError):
        load_state(path)
    assert not victim.exists()
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(path.read_bytes())  # noqa: S301 - to see that the attack is one
    assert victim.exists()

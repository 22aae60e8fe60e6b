"""Compiled networks: they train as others do, leave no trace, and give way where compiling fails."""

import shutil
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor, nn

from cifar_core import compiling
from cifar_core.compiling import compiled
from cifar_core.data.resident import Splits
from cifar_core.device import Backend
from cifar_core.recipe import Adam, Net, Recipe
from cifar_core.trainer import Training
from tests.cifar_core.trainings import EVERYTHING, alike, same

CPU = torch.device("cpu")
BACKEND = Backend(CPU, None)
SMALL = Recipe(
    network=Net(channels1=4, channels2=4, batch_norm=True, dropout=0.1), batch_size=32, epochs=2
)


def begin(recipe: Recipe, splits: Splits, compile_network: bool = True) -> Training:
    return Training(
        recipe,
        splits,
        seed=0,
        device=CPU,
        clock=lambda: 0.0,
        compile_network=compile_network,
    )


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Compiling takes no time and does nothing; says which networks came."""
    seen: list[nn.Module] = []

    def wrapped(network: nn.Module, **_: Any) -> nn.Module:
        seen.append(network)
        return network

    monkeypatch.setattr(torch, "compile", wrapped)
    return seen


def failing(message: str) -> Any:
    def refuse(_: Tensor) -> NoReturn:
        raise RuntimeError(message)

    return lambda _network, **_options: refuse


def test_the_trial_run_of_a_compiled_network_leaves_no_trace(
    small_splits: Splits, eager: list[nn.Module]
) -> None:
    """BatchNorm has seen no image, no gradient is left, and no random number is drawn."""
    recipe = EVERYTHING.model_copy(update={"optimizer": Adam()})
    one, other = begin(recipe, small_splits), begin(recipe, small_splits, compile_network=False)
    assert eager == [one.network]
    assert alike(one, other)
    for each in (one, other):
        next(each.epochs())
    assert alike(one, other)


def test_mode_and_gradients_are_as_before(eager: list[nn.Module]) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).eval()
    forward, reason = compiled(network, torch.zeros(2, 3, 32, 32), BACKEND)
    assert (reason, eager) == (None, [network])
    assert not network.training
    assert all(weight.grad is None for weight in network.parameters())
    assert forward(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_where_compiling_fails_the_network_is_trained_as_it_is_and_the_reason_is_kept(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", failing("no compiler was found\nsecond line"))
    training = begin(SMALL, small_splits)
    assert training.not_compiled == "RuntimeError: no compiler was found"
    plain = begin(SMALL, small_splits, compile_network=False)
    assert plain.not_compiled is None
    for each in (training, plain):
        next(each.epochs())
    assert alike(training, plain)


def test_too_little_memory_is_an_error_as_ever_and_not_taken_for_a_missing_compiler(
    small_splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", failing("CUDA out of memory. Tried to allocate 2 GiB."))
    with pytest.raises(RuntimeError, match="out of memory"):
        begin(SMALL, small_splits)


def test_what_older_networks_have_compiled_is_dropped(
    small_splits: Splits, eager: list[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch compiles one function for eight networks and no more."""
    dropped: list[int] = []
    monkeypatch.setattr(compiling.torch.compiler, "reset", lambda: dropped.append(len(eager)))
    for _ in range(3):
        begin(SMALL, small_splits)
    assert dropped == [0, 1, 2]


@pytest.fixture
def quiet_dynamo() -> Iterator[None]:
    yield
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_dynamo")
@pytest.mark.filterwarnings("default")  # the compiler's own imports warn of each other
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU needs a C++ compiler")
def test_a_really_compiled_network_trains_like_the_other_but_for_rounding(
    small_splits: Splits,
) -> None:
    """Two rates of the schedule, two epochs, dropout off: only the order of sums differs."""
    recipe = SMALL.model_copy(
        update={"network": Net(channels1=3, channels2=4), "normalization": "standard"}
    )
    one, other = begin(recipe, small_splits), begin(recipe, small_splits, compile_network=False)
    assert one.not_compiled is None
    assert one._forward is not one.network
    for found, expected in zip(one.epochs(), other.epochs(), strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
    assert same(one.state_dict()["random"], other.state_dict()["random"])

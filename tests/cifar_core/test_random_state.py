"""A training's random numbers are its own, and nobody else's are touched."""

import pytest
import torch

from cifar_core.random_state import RandomState

CPU = torch.device("cpu")


def draws(state: RandomState) -> tuple[float, float]:
    """A number from the images' generator and one from the global one, while it is active."""
    with state.active():
        return torch.rand((), generator=state.generator).item(), torch.rand(()).item()


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    assert draws(RandomState(0, CPU)) == draws(RandomState(0, CPU))
    assert set(draws(RandomState(0, CPU))).isdisjoint(draws(RandomState(1, CPU)))


def test_images_and_network_do_not_share_their_numbers() -> None:
    images, network = draws(RandomState(0, CPU))
    assert images != network


def test_each_activation_goes_on_where_the_last_one_ended() -> None:
    state, other = RandomState(0, CPU), RandomState(0, CPU)
    apart = []
    for _ in range(3):
        with state.active():
            apart.append(torch.rand(()).item())
        torch.rand(5)
    with other.active():
        together = [torch.rand(()).item() for _ in range(3)]
    assert apart == together
    assert len(set(apart)) == 3


def test_making_and_using_one_leaves_the_global_generator_as_it_was() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draws(RandomState(0, CPU))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_state_goes_on_where_the_saved_one_stood() -> None:
    state = RandomState(0, CPU)
    draws(state)
    saved = state.state_dict()
    expected = draws(state)
    other = RandomState(1, CPU)
    other.load_state_dict(saved)
    assert draws(other) == expected


def test_a_training_on_the_cpu_does_not_seed_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    RandomState(0, CPU)
    assert seeded == []


def test_an_apple_gpus_generator_is_the_trainings_while_it_is_active_and_then_as_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is none here: another generator stands for it."""
    make, global_one = torch.Generator, torch.Generator().manual_seed(7)
    monkeypatch.setattr(torch, "Generator", lambda _: make())
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda _: global_one.get_state())
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state, _: global_one.set_state(state))

    def drawn(state: RandomState) -> float:
        with state.active():
            return torch.rand((), generator=global_one).item()

    before = global_one.get_state()
    one, other = (RandomState(0, torch.device("mps", 0)) for _ in range(2))
    numbers = [drawn(one) for _ in range(3)]
    assert torch.equal(global_one.get_state(), before)
    assert numbers == [drawn(other) for _ in range(3)]
    assert len(set(numbers)) == 3
    with one.apart():
        torch.rand((), generator=global_one)
    assert torch.equal(global_one.get_state(), before)

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

"""A stack of networks trains each of them as it would be trained alone."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name that PyTorch's own documentation uses

from bench.stacked import MOMENTUM, Stack, batches_of, networks_of
from cifar_core.networks import Net

CPU = torch.device("cpu")


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_stacked_network_is_the_one_trained_alone_but_for_rounding(batch_norm: bool) -> None:
    torch.manual_seed(0)
    rates = [0.1, 0.01]
    networks = networks_of(Net(channels1=2, channels2=3, batch_norm=batch_norm), 2, CPU)
    stack = Stack(networks, rates)
    optimizers = [
        torch.optim.SGD(network.parameters(), lr=lr, momentum=MOMENTUM)
        for network, lr in zip(networks, rates, strict=True)
    ]
    for _ in range(3):
        images, labels = batches_of(2, 8, CPU)
        stacked = stack.step(images, labels)
        for index, (network, optimizer) in enumerate(zip(networks, optimizers, strict=True)):
            loss = F.cross_entropy(network(images[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            assert stacked[index].item() == pytest.approx(loss.item(), rel=1e-3)
    together = {**stack.parameters, **stack.buffers}
    for index, network in enumerate(networks):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(together[name][index], value, rtol=1e-3, atol=1e-4)

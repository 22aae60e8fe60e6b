"""All that a sweep could disturb: a training, and the random numbers of everybody else."""

import pickle
import random

import numpy as np
import torch

from cifar_core.trainer import Training

__all__ = ["standing"]


def standing(training: Training) -> list[object]:
    """How a training stands, and the process's random numbers, to be compared by `same`."""
    network = training.network
    return [
        training.state_dict(),
        [one.training for one in network.modules()],
        [one.requires_grad for one in network.parameters()],
        [None if one.grad is None else one.grad.clone() for one in network.parameters()],
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all(),
        random.getstate(),
        # The legacy generator is the one that is global.
        pickle.dumps(np.random.get_state()),  # noqa: NPY002
    ]

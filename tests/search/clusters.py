"""A Ray cluster of several nodes on this machine, for the tests that are marked `ray`."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

__all__ = ["NODE", "Nodes", "cluster"]

NODE: dict[str, Any] = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 100 * 2**20}
"""What a node of these clusters has; each would believe that the whole machine is its own."""


class Nodes:
    """A cluster of which each node is some processes, which can be killed.

    Args:
        made: Ray's cluster for tests.
    """

    def __init__(self, made: Any) -> None:
        self._made = made
        self._further: list[Any] = []

    @property
    def address(self) -> str:
        """Address of the cluster."""
        return str(self._made.address)

    def add(self) -> None:
        """Start a further node."""
        self._further.append(self._made.add_node(**NODE))

    def kill(self) -> None:
        """Kill the newest node with all that runs on it, at once."""
        self._made.remove_node(self._further.pop(), allow_graceful=False)


@contextmanager
def cluster(further: int = 1) -> Iterator[Nodes]:
    """Run a cluster; a test that enters this is skipped where Ray is not installed.

    Args:
        further: Nodes besides the first.
    """
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'cifar-search[ray]'")
    from ray.cluster_utils import Cluster

    # Sockets lie in it, whose paths must be short.
    with (
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # 15 would starve them beside other tests
        patch.setenv("RAY_TMPDIR", folder)
        head = {**NODE, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        nodes = Nodes(made)
        try:
            for _ in range(further):
                nodes.add()
            yield nodes
        finally:
            import ray

            ray.shutdown()
            made.shutdown()

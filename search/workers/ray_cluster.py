"""The connection to a Ray cluster, and what can be said of it in a sentence."""

import logging
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from cifar_core.text_files import first_line
from search.errors import UsageError
from search.signals import SIGNALS

__all__ = ["connect", "death_reason", "kill_process", "ray_module", "room_in_words"]

AUTO = "auto"


def ray_module() -> ModuleType:
    """Return Ray, which is loaded only where it is used.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"--engine ray needs a package that is not installed ({error}). "
            "Install it on every machine of the cluster with: pip install 'cifar-search[ray]'"
        ) from error
    module: ModuleType = ray
    return module


def connect(address: str) -> Mapping[str, float]:
    """Connect this process to a running cluster, and return the resources of all of its nodes.

    Args:
        address: ``HOST:PORT``, or ``auto`` for the cluster that this machine belongs to.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """
    ray = ray_module()
    if not ray.is_initialized():
        if address != AUTO:
            _check_reachable(address)
        before = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            # Ray would print what its nodes say, and into standard output, amidst a view or a document.
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
            ray._private.worker._worker_logs_enabled = False  # noqa: SLF001 - it has no public switch
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise _no_cluster(address, error) from error
        finally:
            for number, handler in before.items():  # Ray puts an end to programs on SIGTERM
                signal.signal(number, handler)
    found: Mapping[str, float] = ray.cluster_resources()
    return found


def _check_reachable(address: str) -> None:
    """Refuse an address that nothing answers at; Ray itself tries for a minute."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--ray-address must be auto or HOST:PORT, but got {address!r}.")
    try:
        socket.create_connection((host, int(port)), timeout=10.0).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: BaseException) -> UsageError:
    where = "that this machine belongs to" if address == AUTO else f"at {address}"
    return UsageError(
        f"There is no Ray cluster {where} ({first_line(error)}). Start one with ray start --head, "
        "and on each further machine ray start --address HOST:PORT; or name one with --ray-address."
    )


def kill_process(pid: int, node: str) -> None:
    """Kill a process on a node of the cluster; nothing is waited for.

    Args:
        pid: The process.
        node: Id of the node.
    """
    ray = ray_module()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    with suppress(Exception):  # the node is gone, and its processes with it
        ray.remote(_kill).options(num_cpus=0, scheduling_strategy=strategy).remote(pid)


def _kill(pid: int) -> None:
    import os

    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def death_reason(error: BaseException) -> str:
    """Return why an actor is no more, in words that follow "it was"."""
    text = str(error).lower()
    if "out of memory" in text and "low on memory" in text:
        return "killed by Ray, as its node was out of memory"
    if isinstance(error, ray_module().exceptions.RayActorError):
        # At first Ray knows only that it cannot be reached. Whatever the reason, it is replaced.
        return "killed, or lost with its node"
    return f"ended by an error: {first_line(error)[:200]}"


def room_in_words(resources: Mapping[str, Any]) -> str:
    """Return the CPUs and GPUs among some resources.

    >>> room_in_words({"CPU": 8.0, "GPU": 0.25, "memory": 1e10})
    '8 CPUs and 0.25 GPUs'
    """
    return f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"

"""What the tests of the networks share."""

from typing import get_args

from cifar_core.recipe import Network

__all__ = ["RECORDS"]

RECORDS: dict[str, Network] = {
    record.name: record for record in (kind() for kind in get_args(get_args(Network)[0]))
}
"""A record of each kind of network, as it is where nothing is set, by name."""

"""What the tests of the networks share."""

from pathlib import Path
from typing import Any, get_args

from cifar_core.models import own
from cifar_core.recipe import Network, OwnNetwork

__all__ = ["OWN", "RECORDS", "network_record"]

OWN = "own_nets:small"
own.allow([own.locate(OWN, [Path(__file__).parent])])


def network_record(kind: Any, **options: Any) -> Any:
    """A record of this kind; a user's own network is that of these tests."""
    return kind(builder=OWN, **options) if kind is OwnNetwork else kind(**options)


RECORDS: dict[str, Network] = {
    record.name: record for record in map(network_record, get_args(get_args(Network)[0]))
}
"""A record of each kind of network, as it is where nothing is set, by name."""

"""Code of the user's that makes the networks of configurations, tried before they are trained."""

from collections.abc import Iterator, Sequence

from cifar_core.data.dataset import DataSet
from cifar_core.models import own
from cifar_core.networks import OwnNetwork
from search.own_code import changes
from search.results.configuration import Configuration

__all__ = ["checked_code"]


def checked_code(configurations: Sequence[Configuration], data: DataSet) -> Iterator[str]:
    """Make the networks that are a user's own, and yield what is to be said of them.

    Args:
        configurations: The configurations; the user has consented to their code.
        data: The images, whose classes the networks have.

    Raises:
        NetworkError: A network cannot be made or trained.
    """
    for one in configurations:
        if isinstance(one.recipe.network, OwnNetwork):
            own.check([one.recipe.network], len(data.classes))
            noted = None if one.provenance is None else one.provenance.own_code
            if noted is not None and (changed := changes(dict(noted), own.sources(own.allowed()))):
                yield (
                    f"{changed} changed since the search of {one.name}: its score there is of another "
                    "network."
                )

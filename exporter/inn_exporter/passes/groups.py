"""Which channel groups of a network are resized: all, or those that a user's patterns leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from inn_runtime import UsageError

from ..graph.channels import Channels
from ..graph.graph import Graph
from .attention import contractions
from .axis_analysis import analyse
from .layer_norms import with_free_streams
from .sharing import with_shared_layers


def chosen_groups(graph: Graph, keep: Sequence[str], only: Sequence[str]) -> tuple[Graph, Channels]:
    """Channel groups, without those that are to be kept, and the network as it is resized.

    Raises
    ------
    UsageError : a pattern matches nothing
    """
    free, everything = analyse(with_shared_layers(with_free_streams(graph)))
    if not keep and not only:
        return free, everything
    names = {group.name for group in (*everything.groups, *everything.alternatives)}
    for option, patterns in (("keep", keep), ("only", only)):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(f"{option}: no channel group matches {pattern!r}; inn groups lists them")
    pinned = pinned_by(keep, only)
    return analyse(with_shared_layers(with_free_streams(graph, pinned)), pinned)


def check_groups(graph: Graph, channels: Channels, quadrature: str) -> None:
    """Whether these groups can be resized by a quadrature.

    Raises
    ------
    UsageError : there are none, or the paper's quadrature does not know how they are used
    """
    if not channels.groups:
        raise UsageError(f"{graph.name}: no channel group can be resized")
    if quadrature == "trapezoid" and (products := contractions(graph, channels)):
        raise UsageError(
            f"quadrature: trapezoid does not integrate products of activations ({products[0].node.name}); "
            f"use calibrated, or keep {channels.groups[products[0].group].name!r}"
        )


def pinned_by(keep: Sequence[str], only: Sequence[str]) -> Callable[[str], bool]:
    """Which groups are kept: those whose names match a pattern of ``keep``, or none of ``only``, if given."""

    def pinned(name: str) -> bool:
        if any(fnmatchcase(name, pattern) for pattern in keep):
            return True
        return bool(only) and not any(fnmatchcase(name, pattern) for pattern in only)

    return pinned

"""A network whose channel groups are continuous axes, and how one is made of any network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from inn_runtime.format.axis import Axis
from inn_runtime.sampling.resample import Discretisation, resize

from ..graph.channels import Channels
from ..graph.graph import Graph
from ..operators import operator
from ..storage.stored import store
from .order import order_channels


@dataclass(frozen=True)
class ContinuousNetwork:
    """What is resampled.

    Attributes
    ----------
    graph : the network at full size, laid out along its axes; its constants are the control grids
    channels : its channel groups
    axes : the axis of every group
    """

    graph: Graph
    channels: Channels
    axes: Sequence[Axis]

    def with_graph(self, graph: Graph) -> ContinuousNetwork:
        """The same axes of another form of the network."""
        return replace(self, graph=graph)

    def constant(self, name: str, size: Discretisation) -> np.ndarray:
        """A constant at a size."""
        return resize(self.graph.constants[name], self.channels.dims[name], size)

    def kernel_values(self, widths: Sequence[int]) -> float:
        """How many values a linear layer's kernel has on average."""
        kernels = {node.inputs[1] for node in self.graph.nodes if operator(node).linear}
        return float(np.mean([math.prod(self.channels.shape(name, widths)) for name in kernels]))


def laid_out(
    graph: Graph,
    channels: Channels,
    images: Mapping[str, np.ndarray],
    order: str = "nested",
    quadrature: str = "calibrated",
    storage: str = "float16",
    progress: Callable[[float], None] = lambda done: None,
) -> ContinuousNetwork:
    """A network with its channels in an order, see `order_channels`, rounded as it will be stored."""
    ordered = order_channels(graph, channels, order, images, progress)
    axes = [axis_for(order, size, quadrature) for size in channels.sizes]
    return ContinuousNetwork(round_constants(ordered, storage), channels, axes)


def round_constants(graph: Graph, storage: str) -> Graph:
    """The graph with its constants rounded as they will be stored."""
    constants = {name: store(values, storage).read() for name, values in graph.constants.items()}
    return replace(graph, constants=constants)


def axis_for(order: str, size: int, quadrature: str) -> Axis:
    """The continuous axis that goes with an order: smooth ones, also as given, are interpolated, the others
    selected."""
    interpolated = order in ("smooth", "given")
    rule = "trapezoid" if interpolated and quadrature != "none" else "none"
    return Axis(size, "cubic" if interpolated else "selection", rule)

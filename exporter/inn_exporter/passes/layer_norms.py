"""Layer norms over a linear stream, as a transformer's, in a form that commutes with rotations.

A layer norm takes off the mean over channels, divides by the root mean square and scales each channel. Where
only dense layers write a stream, only layer norms read it, and only dense layers read these, those that write
can take off the mean, and those that read apply scales and shifts. What is left, x / √(mean of x² + ε), knows
no single channel: the stream can be rotated, so that a prefix says most of it, and resized (Ashkboos et al.
2024, "SliceGPT", cut it so; here a quadrature makes up for what is cut). The function stays as it is, up to
rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..graph.channels import Channels
from ..graph.graph import Graph, Node
from ..operators import operator
from .axis_analysis import analyse

NORM, BARE = "LayerNormalization", "RMSNormalization"


def with_free_streams(graph: Graph, keep: Callable[[str], bool] = lambda name: False) -> Graph:
    """The same network, its layer norms over linear streams reduced to root mean squares.

    Parameters
    ----------
    keep : names of channel groups that are not to be resized; norms along them stay as they are
    """
    if not any(node.op == NORM for node in graph.nodes):
        return graph
    # As if all streams were free, to see which can be.
    _, channels = analyse(_reduced(graph, {node.output for node in graph.nodes if node.op == NORM}), keep)
    constants = {name: values.astype(np.float64) for name, values in graph.constants.items()}
    norms: set[str] = set()
    for group in range(len(channels.groups)):
        stream = _Stream(graph, channels, group)
        if stream.is_linear() and stream.norms:
            stream.absorb(constants)
            norms |= {norm.output for norm in stream.norms}
    rounded = {name: values.astype(np.float32) for name, values in constants.items()}
    return _reduced(replace(graph, constants=rounded), norms)


def _reduced(graph: Graph, norms: set[str]) -> Graph:
    """The norms that write ``norms`` without mean, scale and shift."""
    constants, nodes = dict(graph.constants), []
    for node in graph.nodes:
        if node.output in norms:
            power = f"{node.output}.power"
            constants[power] = np.full(1, -0.5, np.float32)
            attributes = {"epsilon": node.attributes["epsilon"]}
            node = node.rewired(op=BARE, inputs=(node.inputs[0], power), attributes=attributes)
        nodes.append(node)
    result = replace(graph, nodes=nodes, constants=constants)
    result.drop_unused_constants()
    return result


@dataclass
class _Stream:
    """What runs along a channel group.

    Attributes
    ----------
    norms : the layer norms over it
    centred : constant that is added to it, or that makes it → its dimension along the stream
    readers : layers that read what a norm makes of it, and the norm
    """

    graph: Graph
    channels: Channels
    group: int
    norms: list[Node] = field(default_factory=list)
    centred: dict[str, int] = field(default_factory=dict)
    readers: list[tuple[Node, Node]] = field(default_factory=list)
    _behind: dict[str, Node | None] = field(default_factory=dict)
    """Activation along the stream → the norm that it comes from; None before all norms."""

    def is_linear(self) -> bool:
        """Whether the norms can be reduced; fills in the other attributes."""
        return all(self._admits(node) for node in self.graph.nodes)

    def _admits(self, node: Node) -> bool:
        names = [name for name in (*node.inputs, *node.outputs) if name in self.channels.dims]
        axes = {name: self.channels.plain_axes(name, self.group) for name in names}
        if any(found is None or len(found) > 1 for found in axes.values()):
            return False
        along = {name: found[0] for name, found in axes.items() if found}
        if not along:
            return True
        if node.op == NORM:
            return self._admits_norm(node, along)
        if operator(node).linear:
            return not node.depthwise and self._admits_layer(node, along)
        from_end = {name: axis - len(self.channels.dims[name]) for name, axis in along.items()}
        if not operator(node).mixes_along(node, from_end):
            return False
        constants = [name for name in node.inputs if name in self.graph.constants]
        self.centred.update({name: along[name] for name in constants})
        behind = [self._behind[name] for name in node.inputs if name not in constants]
        self._behind[node.output] = behind[0]
        return behind == [None] * len(behind) or len(node.inputs) == 1

    def _admits_norm(self, node: Node, along: dict[str, int]) -> bool:
        x = node.inputs[0]
        self.norms.append(node)
        self._behind[node.output] = node
        return along.get(x) == len(self.graph.shape(x)) - 1 and self._behind[x] is None

    def _admits_layer(self, node: Node, along: dict[str, int]) -> bool:
        x, weight, bias = node.inputs
        if node.output in along:
            self._behind[node.output] = None
            self.centred.update({weight: 0, bias: 0})
        if x not in along:
            return True
        norm = self._behind[x]
        # A shift is the same everywhere only where every output sees one whole input.
        whole = operator(node).sees_one_position(node, self.graph.shape(weight))
        if norm is None or node.output in along or not whole:
            return False
        self.readers.append((node, norm))
        return True

    def absorb(self, constants: dict[str, np.ndarray]) -> None:
        """Let the layers around the norms take over their means, scales and shifts."""
        for name, axis in self.centred.items():
            constants[name] = constants[name] - constants[name].mean(axis, keepdims=True)
        for layer, norm in self.readers:
            _, weight, bias = layer.inputs
            scale, shift = (constants[name] for name in norm.inputs[1:])
            rows = constants[weight].reshape(len(constants[weight]), -1)
            constants[bias] = constants[bias] + rows @ shift
            constants[weight] = (rows * scale).reshape(constants[weight].shape)

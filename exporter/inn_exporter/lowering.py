"""From the exporter's graph to MindSpore Lite's terms: nodes, layouts and fusions, all decided here.

Four-dimensional activations are NHWC, all others stay as they are. The network's four-dimensional
outputs end with a transposition to NCHW, as the vendor's converter does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from inn_runtime.manifest import Dimension, Expression

from . import expressions
from .graph import Graph, Node
from .primitives import NCHW, NHWC, PRIMITIVES, RELU, RELU6


@dataclass
class LoweredWeight:
    """A weight in the engine's layout: ``permutation`` of the graph's constant, its control grid."""

    name: str
    permutation: tuple[int, ...]
    dims: tuple[Dimension, ...]
    values: np.ndarray


@dataclass
class LoweredGraph:
    """JSON-ready nodes and tensors, and the weights they refer to."""

    tensors: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    weights: list[LoweredWeight]
    inputs: list[int]
    outputs: list[int]
    macs: Expression
    one_image: bool


class Lowering:
    """What operators' lowering rules see: tensors by name, and `emit`."""

    def __init__(self, graph: Graph, dims: dict[str, tuple[Dimension, ...]]) -> None:
        self.graph = graph
        self.dims = dims
        self.tensors: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = []
        self.weights: list[LoweredWeight] = []
        self.macs: Expression = expressions.constant(0)
        self.one_image = False
        """Whether the engine can run the network on one image at a time only."""
        self._index: dict[str, int] = {}
        self._fused = _fusible_activations(graph)

    # ------------------------------------------------------------------ for lowering rules
    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an activation or constant at full size, batch 1."""
        return self.graph.shape(name)

    def length(self, name: str, axis: int) -> Expression:
        """Length of a dimension as an expression of group widths."""
        return expressions.length(self.dims[name][axis])

    def fused_activation(self, node: Node) -> dict[str, int]:
        """The attribute for an activation fused into ``node``, if there is one."""
        fused = self._fused.get(node.output)
        return {} if fused is None else {"activation_type": _activation_type(fused)}

    def variable(self, name: str) -> int:
        """The tensor of an activation."""
        if name not in self._index:
            self._index[name] = self._tensor({"name": name})
        return self._index[name]

    def operand(self, name: str) -> int:
        """The tensor of an activation or of a constant that takes part in elementwise arithmetic."""
        if name not in self.graph.constants:
            return self.variable(name)
        return self.weight(name, NHWC if len(self.shape(name)) == 4 else None)

    def weight(self, name: str, permutation: Sequence[int] | None = None) -> int:
        """The tensor of a constant, with its dimensions permuted into the engine's layout."""
        if name not in self._index:
            values = self.graph.constants[name]
            order = tuple(permutation or range(values.ndim))
            dims = tuple(self.dims[name][axis] for axis in order)
            self.weights.append(LoweredWeight(name, order, dims, values.transpose(order)))
            self._index[name] = self._tensor({"name": name, "weight": len(self.weights) - 1})
        return self._index[name]

    def integers(self, name: str, values: Sequence[int | Expression], shape: Sequence[int] = ()) -> int:
        """An int32 tensor, by default a vector; entries may be expressions of widths."""
        return self._tensor({"name": name, "values": list(values), "shape": list(shape or [len(values)])})

    def emit(
        self, primitive: str, node: Node, inputs: Sequence[int], output: int | None = None, **attributes: Any
    ) -> int:
        """Append a node; without ``output`` it writes the tensor of the node's (fused) output."""
        number, slots = PRIMITIVES[primitive]
        name = node.name
        if output is None:
            output = self.variable(self.result(node))
        else:  # a step on the way
            name = self.tensors[output]["name"]
        self.nodes.append(
            {
                "name": name,
                "primitive": number,
                "attributes": [[*slots[name], value] for name, value in attributes.items()],
                "inputs": list(inputs),
                "outputs": [output],
            }
        )
        return output

    def transpose(self, node: Node, tensor: int, order: Sequence[int], output: int | None = None) -> int:
        """Append a transposition; without ``output`` it writes a new tensor."""
        if output is None:
            output = self._tensor({"name": f"{node.name}.transposed"})
        axes = self.integers(f"{node.name}.order", list(order))
        self.nodes.append(
            {
                "name": f"{node.name}.transpose",
                "primitive": PRIMITIVES["Transpose"].number,
                "attributes": [],
                "inputs": [tensor, axes],
                "outputs": [output],
            }
        )
        return output

    def temporary(self, node: Node, suffix: str) -> int:
        """A new tensor between two primitives of one node."""
        return self._tensor({"name": f"{node.name}.{suffix}"})

    def count_macs(self, *factors: Expression) -> None:
        """Add a node's multiply-accumulates, Π factors, to the network's."""
        self.macs = expressions.add(self.macs, expressions.multiply(*factors))

    def result(self, node: Node) -> str:
        """Name of what the node writes: the fused activation's output, where there is one."""
        fused = self._fused.get(node.output)
        return node.output if fused is None else fused.output

    # ------------------------------------------------------------------ the driver
    def run(self) -> LoweredGraph:
        from .operators import operator

        graph = self.graph
        absorbed = {activation.output for activation in self._fused.values()}
        inputs = [self._input(name) for name in graph.inputs]
        for node in graph.nodes:
            if node.output not in absorbed:
                operator(node).lower(node, self)
        outputs = [self._output(name) for name in graph.outputs]
        return LoweredGraph(
            self.tensors, self.nodes, self.weights, inputs, outputs, self.macs, self.one_image
        )

    def _tensor(self, entry: dict[str, Any]) -> int:
        self.tensors.append(entry)
        return len(self.tensors) - 1

    def _input(self, name: str) -> int:
        shape = self.graph.shapes[name]
        order = NHWC if len(shape) == 4 else range(len(shape))
        self._index[name] = self._tensor({"name": name, "dims": [shape[axis] for axis in order]})
        return self._index[name]

    def _output(self, name: str) -> int:
        index = self._index[name]
        if len(self.graph.shapes[name]) != 4:
            return index
        self.tensors[index]["name"] = f"{name}.nhwc"
        output = self._tensor({"name": name})
        node = self.graph.producers()[name]
        return self.transpose(node, index, NCHW, output)


def _fusible_activations(graph: Graph) -> dict[str, Node]:
    """Tensor → the activation that alone reads it and that its producer can apply itself."""
    from .operators import operator

    consumers = graph.consumers()
    result = {}
    for node in graph.nodes:
        readers = consumers.get(node.output, [])
        alone = len(readers) == 1 and node.output not in graph.outputs
        if alone and operator(node).fuses_activation and _activation_type(readers[0]) is not None:
            result[node.output] = readers[0]
    return result


def _activation_type(node: Node) -> Any:
    if node.op == "Relu":
        return RELU
    if node.op == "Clip" and (node.attributes["min"], node.attributes["max"]) == (0.0, 6.0):
        return RELU6
    return None

"""From the exporter's graph to MindSpore Lite's terms: nodes, layouts and fusions, all decided here.

Four-dimensional activations are NHWC, all others stay as they are, unless their operator says otherwise:
what the engine holds may have its dimensions in any order. Operators ask for the order that they need, which
costs a transposition where it is another. The network's outputs end in the order that they have in ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inn_runtime.format.manifest import Dimension, Expression

from ..graph import expressions
from ..graph.graph import Graph, Node
from ..graph.lowered import LoweredGraph, LoweredWeight
from .primitives import NHWC, PRIMITIVES

Order = tuple[int, ...]
"""Dimensions of the graph's tensor in the engine's order."""


class LoweringContext:
    """What operators' lowering rules see: tensors by name, and `emit`.

    Parameters
    ----------
    graph : the network
    dims : structure of every dimension of its tensors
    fused : tensor → the activation that its producer applies itself, and the engine's number of that
    """

    def __init__(
        self, graph: Graph, dims: Mapping[str, tuple[Dimension, ...]], fused: Mapping[str, tuple[Node, int]]
    ) -> None:
        self.graph = graph
        self.dims = dims
        self.tensors: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = []
        self.weights: list[LoweredWeight] = []
        self.macs: Expression = expressions.constant(0)
        self.one_image = False
        """Whether the engine can run the network on one image at a time only."""
        self._index: dict[tuple[str, Order], int] = {}
        self._read_with: dict[int, dict[tuple[int, ...], int]] = {}
        self._wide: dict[tuple[str, Order], int] = {}
        self._orders: dict[str, Order] = {}
        self._fused = fused

    # ------------------------------------------------------------------ for lowering rules
    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an activation or constant at full size, batch 1."""
        return self.graph.shape(name)

    def length(self, name: str, axis: int) -> Expression:
        """Length of a dimension as an expression of group widths."""
        return expressions.length(self.dims[name][axis])

    def fused_activation(self, node: Node) -> dict[str, Any]:
        """The attribute for an activation fused into ``node``, if there is one."""
        _, number = self._fused.get(node.output, (None, None))
        return {} if number is None else {"activation_type": number}

    def variable(self, name: str) -> int:
        """The tensor of an activation, in the engine's usual order."""
        return self.arranged(name, usual_order(len(self.shape(name))))

    def plain(self, name: str) -> int:
        """The tensor of an activation with its dimensions as in the graph."""
        return self.arranged(name, tuple(range(len(self.shape(name)))))

    def plain_for_reshape(self, node: Node) -> int:
        """The tensor of a node's first input with its dimensions as in the graph, to be reshaped.

        MindSpore Lite 2.0 drops a transposition before a reshape where the shapes before and after it are
        equal, though elements move.
        """
        name = node.inputs[0]
        plain = tuple(range(len(self.shape(name))))
        return self.plain(name) if self._orders[name] == plain else self._moved_wide(name, plain)

    def _moved_wide(self, name: str, order: Order) -> int:
        """An activation in the given order, with a dimension of length 1 after the batch: as that has changed
        its place, the engine cannot take the transposition for another."""
        if (name, order) not in self._wide:
            held = self._orders[name]
            shape: list[int | Expression] = [-1, *(self.length(name, axis) for axis in held[1:]), 1]
            wide = self._reshaped(self._index[name, held], shape, f"{name}.widened")
            places = [0, len(held), *(held.index(axis) for axis in order[1:])]
            moved = self._tensor({"name": f"{name}.widened_in_order_{''.join(map(str, order))}"})
            self._wide[name, order] = self._move(wide, places, moved)
        return self._wide[name, order]

    def _reshaped(self, tensor: int, shape: Sequence[int | Expression], name: str) -> int:
        """Append a reshape, which writes a new tensor."""
        output = self._tensor({"name": name})
        self._append("Reshape", [tensor, self.integers(f"{name}.shape", shape)], output)
        return output

    def order(self, name: str) -> Order:
        """In which order the engine holds an activation's dimensions."""
        return self._orders[name]

    def arranged(self, name: str, order: Order) -> int:
        """The tensor of an activation or a constant with its dimensions in the given order."""
        if (name, order) not in self._index:
            if name in self.graph.constants and name not in self._orders:
                return self.weight(name, order)
            held = self._orders[name]
            places = [held.index(axis) for axis in order]
            moved = f"{name}.in_order_{''.join(map(str, order))}"
            if order == NHWC and places == [0, 3, 1, 2]:  # the engine would take the result for NCHW
                shape: list[int | Expression] = [-1, *(self.length(name, axis) for axis in order[1:])]
                self._index[name, order] = self._reshaped(self._moved_wide(name, order), shape, moved)
            else:
                source = self._index[name, held]
                self._index[name, order] = self._move(source, places, self._tensor({"name": moved}))
        return self._index[name, order]

    def alias(self, name: str, of: str, order: Order) -> None:
        """Let an activation be what another is, with its dimensions in the given order."""
        self._orders[name] = order
        self._index[name, order] = self._index[of, self._orders[of]]

    def weight(self, name: str, permutation: Sequence[int] | None = None) -> int:
        """The tensor of a constant, with its dimensions permuted into the engine's layout."""
        order = tuple(permutation or range(self.graph.constants[name].ndim))
        if name in self._orders:
            return self.arranged(name, order)
        dims = tuple(self.dims[name][axis] for axis in order)
        self.weights.append(LoweredWeight(name, order, dims))
        self._orders[name] = order
        self._index[name, order] = self._tensor({"name": name, "weight": len(self.weights) - 1})
        return self._index[name, order]

    def kernel_and_bias(self, node: Node, layout: Sequence[int] | None = None) -> list[int]:
        """The tensors of a linear layer's kernel, with its dimensions permuted into ``layout``, and bias.

        MindSpore Lite 2.0 packs a constant as the first layer that reads it needs it, which depends on the
        shape of that layer's input. Layers that share constants, but see other shapes, read other tensors of
        the same weight.
        """
        x, weight, bias = node.inputs
        shape, result = self.shape(x), []
        for name, order in ((weight, layout), (bias, None)):
            first = self.weight(name, order)
            tensors = self._read_with.setdefault(first, {shape: first})
            if shape not in tensors:
                weight_index = self.tensors[first]["weight"]
                tensors[shape] = self._tensor({"name": f"{name}.with_{x}", "weight": weight_index})
            result.append(tensors[shape])
        return result

    def integers(self, name: str, values: Sequence[int | Expression], shape: Sequence[int] = ()) -> int:
        """An int32 tensor, by default a vector; entries may be expressions of widths."""
        return self._tensor({"name": name, "values": list(values), "shape": list(shape or [len(values)])})

    def emit(
        self,
        primitive: str,
        node: Node,
        inputs: Sequence[int],
        output: int | None = None,
        order: Order | None = None,
        further: Sequence[int] = (),
        **attributes: Any,
    ) -> int:
        """Append a node; without ``output`` it writes the tensor of the node's (fused) output, with its
        dimensions in the usual order or in ``order``. ``further`` are the tensors after the first that it
        writes."""
        name = node.name
        if output is None:
            result = self.result(node)
            order = order or usual_order(len(self.shape(result)))
            output = self._index[result, order] = self._tensor({"name": result})
            self._orders[result] = order
        else:  # a step on the way
            name = self.tensors[output]["name"]
        self._append(primitive, inputs, output, name, further, **attributes)
        return output

    def transpose(self, node: Node, tensor: int, order: Sequence[int]) -> int:
        """Append a transposition, which writes a new tensor."""
        return self._move(tensor, order, self._tensor({"name": f"{node.name}.transposed"}))

    def _move(self, tensor: int, order: Sequence[int], output: int) -> int:
        name = self.tensors[output]["name"]
        places = self.integers(f"{name}.order", list(order))
        self._append("Transpose", [tensor, places], output, f"{name}.transpose")
        return output

    def _append(
        self,
        primitive: str,
        inputs: Sequence[int],
        output: int,
        name: str = "",
        further: Sequence[int] = (),
        **attributes: Any,
    ) -> None:
        number, slots = PRIMITIVES[primitive]
        self.nodes.append(
            {
                "name": name or self.tensors[output]["name"],
                "primitive": number,
                "attributes": [[*slots[name], value] for name, value in attributes.items()],
                "inputs": list(inputs),
                "outputs": [output, *further],
            }
        )

    def temporary(self, node: Node, suffix: str) -> int:
        """A new tensor between two primitives of one node."""
        return self._tensor({"name": f"{node.name}.{suffix}"})

    def count_macs(self, *factors: Expression) -> None:
        """Add a node's multiply-accumulates, Π factors, to the network's."""
        self.macs = expressions.add(self.macs, expressions.multiply(*factors))

    def result(self, node: Node) -> str:
        """Name of what the node writes: the fused activation's output, where there is one."""
        fused, _ = self._fused.get(node.output, (node, None))
        return fused.output

    # ------------------------------------------------------------------ for the driver (`passes.lower`)
    def _tensor(self, entry: dict[str, Any]) -> int:
        self.tensors.append(entry)
        return len(self.tensors) - 1

    def input(self, name: str) -> int:
        """A tensor for a network's input."""
        shape = self.graph.shapes[name]
        order = usual_order(len(shape))
        self._orders[name] = order
        self._index[name, order] = self._tensor({"name": name, "dims": [shape[axis] for axis in order]})
        return self._index[name, order]

    def output(self, name: str) -> int:
        """The tensor of a network's output, in ONNX's order and under its own name."""
        held, plain = self._orders[name], tuple(range(len(self.graph.shapes[name])))
        index = self._index[name, held]
        if held == plain and self.tensors[index]["name"] == name:
            return index
        if self.tensors[index]["name"] == name:
            self.tensors[index]["name"] = f"{name}.{'nhwc' if held == NHWC else 'moved'}"
        return self._move(index, [held.index(axis) for axis in plain], self._tensor({"name": name}))

    def lowered(self, inputs: Sequence[int], outputs: Sequence[int]) -> LoweredGraph:
        """All that was emitted."""
        return LoweredGraph(
            self.tensors, self.nodes, self.weights, list(inputs), list(outputs), self.macs, self.one_image
        )


def usual_order(rank: int) -> Order:
    """In which order the engine holds the dimensions of activations of a rank: images are NHWC."""
    return NHWC if rank == 4 else tuple(range(rank))

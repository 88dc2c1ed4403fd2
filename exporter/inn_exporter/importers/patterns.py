"""Operators that files hold in pieces, put together again, and padded shortcuts as convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from ..graph.graph import Node


def recognise(
    nodes: Sequence[Node], constants: dict[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> list[Node]:
    """The nodes, with one in the place of the last of those that make up an operator; the others stay."""
    producers = {node.output: node for node in nodes}
    consumers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.inputs:
            consumers.setdefault(name, []).append(node)
    found = _Patterns(producers, constants, shapes)
    result = []
    for node in nodes:
        readers = consumers.get(node.output, [])
        node = found.gelu(node) or found.layer_norm(node) or found.projection(node, readers) or node
        producers[node.output] = node
        result.append(node)
    return result


class _Patterns:
    def __init__(
        self,
        producers: Mapping[str, Node],
        constants: dict[str, np.ndarray],
        shapes: Mapping[str, tuple[int, ...]],
    ) -> None:
        self._producers = producers
        self._constants = constants
        self._shapes = shapes

    def _inputs(self, name: str, op: str) -> tuple[str, ...]:
        """What the tensor's node reads, if it is an ``op``."""
        node = self._producers.get(name)
        return node.inputs if node is not None and node.op == op else ()

    def _scalar(self, name: str) -> float | None:
        values = self._constants.get(name)
        return None if values is None or values.size != 1 else float(values.item())

    def gelu(self, node: Node) -> Node | None:
        """x · ½ · (1 + erf(x / √2)), in any order of the products."""
        if node.op != "Mul":
            return None
        first, second = node.inputs
        products = [(first, second), (*self._inputs(first, "Mul"), second)]
        products.append((first, *self._inputs(second, "Mul")))
        for names in products:
            scalars = [value for name in names if (value := self._scalar(name)) is not None]
            factors = [name for name in names if self._scalar(name) is None]
            if len(factors) != 2 or not math.isclose(math.prod(scalars), 0.5, rel_tol=1e-6):
                continue
            for x, shifted in permutations(factors):
                if self._is_one_plus_erf(shifted, x):
                    return node.rewired(op="Gelu", inputs=(x,), attributes={})
        return None

    def _is_one_plus_erf(self, name: str, x: str) -> bool:
        """Whether a tensor is 1 + erf(x / √2)."""
        added = self._inputs(name, "Add")
        if not added or self._scalar(added[1]) != 1.0:
            return False
        (inside,) = self._inputs(added[0], "Erf") or ("",)
        scaled = self._inputs(inside, "Mul")
        scale = self._scalar(scaled[1]) if scaled else None
        return scale is not None and scaled[0] == x and math.isclose(scale, math.sqrt(0.5), rel_tol=1e-5)

    def layer_norm(self, node: Node) -> Node | None:
        """(x - mean) / √(variance + ε), with or without · γ + β, over the last dimension."""
        if node.op == "Div":
            found = self._normalised(node)
            if found is None:
                return None
            x, epsilon = found
            width = self._shapes[x][-1]
            names = [
                self._constant(node, "scale", np.ones(width)),
                self._constant(node, "shift", np.zeros(width)),
            ]
            attributes = {"axis": -1, "epsilon": epsilon}
            return node.rewired(op="LayerNormalization", inputs=(x, *names), attributes=attributes)
        if node.op in ("Mul", "Add") and (norm := self._producers.get(node.inputs[0])) is not None:
            if norm.op != "LayerNormalization":
                return None
            gamma, beta = (self._constants[name] for name in norm.inputs[1:])
            values = self._constants.get(node.inputs[1])
            if values is None or values.size not in (1, len(gamma)) or values.shape[-1] != values.size:
                return None
            if node.op == "Mul":
                gamma, beta = gamma * values.reshape(-1), beta * values.reshape(-1)
            else:
                beta = beta + values.reshape(-1)
            names = [self._constant(node, "scale", gamma), self._constant(node, "shift", beta)]
            return norm.rewired(inputs=(norm.inputs[0], *names), outputs=node.outputs)
        return None

    def projection(self, node: Node, readers: Sequence[Node]) -> Node | None:
        """Channels padded with zeros and added to others, as in the first ResNets: a convolution.

        The channels before it and after it are then groups of their own.
        """
        if node.op != "Pad" or node.attributes["mode"] != "constant" or node.attributes["value"]:
            return None
        shape = self._shapes[node.inputs[0]]
        sums = all(r.op == "Add" and not self._constants.keys() & {*r.inputs} for r in readers)
        if len(shape) != 4 or not readers or not sums:
            return None
        _, before, *space, _, after, bottom, right = node.attributes["pads"]
        if any((*space, bottom, right)):
            return None
        channels = shape[1]
        kernel = np.zeros((before + channels + after, channels, 1, 1))
        kernel[before : before + channels, :, 0, 0] = np.eye(channels)
        names = [
            self._constant(node, "kernel", kernel),
            self._constant(node, "bias", np.zeros(len(kernel))),
        ]
        window = {"kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0, 0, 0)}
        return node.rewired(op="Conv", inputs=(node.inputs[0], *names), attributes={"group": 1, **window})

    def _normalised(self, node: Node) -> tuple[str, float] | None:
        """x and ε, if a quotient is what layer normalisation does first."""
        centred, deviation = node.inputs
        difference = self._inputs(centred, "Sub")
        (under_root,) = self._inputs(deviation, "Sqrt") or ("",)
        added = self._inputs(under_root, "Add")
        epsilon = self._scalar(added[1]) if added else None
        if not difference or epsilon is None or self._inputs(difference[1], "ReduceMean") != difference[:1]:
            return None
        shape = self._shapes[difference[0]]
        mean = self._mean(added[0], shape[-1])
        if mean is None or self._inputs(mean.inputs[0], "Mul") != (centred, centred):
            return None
        reductions = self._producers[difference[1]], mean
        if any(node.attributes["axes"] != (len(shape) - 1,) for node in reductions):
            return None
        return difference[0], epsilon

    def _mean(self, name: str, count: int) -> Node | None:
        """The node that makes a mean, or the sum that is divided by ``count`` for it (MindSpore)."""
        node = self._producers.get(name)
        if node is not None and node.op == "Mul":
            share = self._scalar(node.inputs[1])
            if share is None or not math.isclose(share * count, 1.0, rel_tol=1e-6):
                return None
            node = self._producers.get(node.inputs[0])
            return node if node is not None and node.op == "ReduceSum" else None
        return node if node is not None and node.op == "ReduceMean" else None

    def _constant(self, node: Node, name: str, values: np.ndarray) -> str:
        name = f"{node.output}.{name}"
        self._constants[name] = values.astype(np.float32)
        return name

"""The exporter's network: nodes in a small canonical subset of ONNX, constants as arrays.

Importers produce it, passes transform it, `lowering` turns it into MindSpore Lite's terms and
`onnx_writer` back into ONNX. Batch is always 1 in `shapes`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Node:
    """One operator; ``inputs`` and ``outputs`` are tensor names, "" where an optional input is absent."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """The only output."""
        return self.outputs[0]

    @property
    def depthwise(self) -> bool:
        """Whether every output channel of a linear layer sees only its own input channel."""
        return bool(self.attributes.get("group", 1) != 1)

    def rewired(self, **changes: Any) -> Node:
        """A copy with some fields replaced."""
        return replace(self, **changes)


@dataclass
class Graph:
    """A network.

    Attributes
    ----------
    name : the model's name
    inputs, outputs : names of the network's inputs and outputs, in order
    nodes : in topological order
    constants : name → values, float32
    shapes : name → shape of every activation, batch 1
    """

    name: str
    inputs: list[str]
    outputs: list[str]
    nodes: list[Node]
    constants: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]

    def consumers(self) -> dict[str, list[Node]]:
        """Tensor name → nodes that read it."""
        result: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    result.setdefault(name, []).append(node)
        return result

    def producers(self) -> dict[str, Node]:
        """Tensor name → the node that writes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    def layers(self) -> dict[str, tuple[Node, ...]]:
        """Output of a node → the nodes that share constants with it, in order, itself among them."""
        sharing: dict[str, list[Node]] = {}
        for node in self.nodes:
            first = next(self.constant_inputs(node), node.output)
            sharing.setdefault(first, []).append(node)
        return {node.output: tuple(nodes) for nodes in sharing.values() for node in nodes}

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an activation or constant."""
        return self.constants[name].shape if name in self.constants else self.shapes[name]

    def constant_inputs(self, node: Node) -> Iterator[str]:
        """Names of the node's inputs that are constants."""
        return (name for name in node.inputs if name in self.constants)

    def unused_name(self, stem: str) -> str:
        """A tensor name that nothing uses yet."""
        taken = {*self.constants, *self.shapes}
        names = itertools.chain([stem], (f"{stem}.{number}" for number in itertools.count(1)))
        return next(name for name in names if name not in taken)

    def drop_unused_constants(self) -> None:
        """Forget constants that no node reads."""
        used = {name for node in self.nodes for name in node.inputs}
        self.constants = {name: value for name, value in self.constants.items() if name in used}

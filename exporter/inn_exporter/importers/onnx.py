"""ONNX files (opset 11 to 21) to the canonical graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from inn_runtime.errors import UsageError
from onnx import ModelProto

from ..errors import UnsupportedGraphError
from ..graph import Graph, Node
from ..operators import IMPORTERS, SEVERAL_OUTPUTS
from .node import PART, OnnxNode, UnsupportedNodeError
from .prepare import Prepared, prepare


def import_onnx(
    source: str | os.PathLike[str] | ModelProto,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    name: str | None = None,
) -> Graph:
    """Read an ONNX model.

    Parameters
    ----------
    source : a file, or a model in memory
    input_shapes : shapes of inputs whose extent the file leaves open (the batch is always 1)
    name : the network's name; default the file's

    Raises
    ------
    UsageError : no such file, not an ONNX model, an opset or input type that is not supported, weights
        that are not finite
    UnsupportedGraphError : lists every node that cannot be imported
    """
    prepared = prepare(source, input_shapes or {})
    default = prepared.label if isinstance(source, ModelProto) else Path(source).stem
    return Import(prepared).run(name or default)


class Import:
    """State of one import: what the file holds, and the canonical nodes and constants so far."""

    def __init__(self, prepared: Prepared) -> None:
        self.values = prepared.values
        self.opset = prepared.opset
        self.shapes = prepared.shapes
        self._source = prepared
        self._label = prepared.label
        self._constants: dict[str, np.ndarray] = {}
        self._nodes: list[Node] = []
        self._aliases: dict[str, str] = {}

    # ------------------------------------------------------------------ for OnnxNode
    def resolve(self, name: str) -> str:
        """The tensor that a name stands for, through nodes that do nothing."""
        while name in self._aliases:
            name = self._aliases[name]
        return name

    def require_finite(self, name: str, values: np.ndarray) -> None:
        if not np.isfinite(values).all():
            raise UsageError(f"{self._label}: constant {name!r} holds values that are not finite")

    def add_constant(self, stem: str, values: np.ndarray) -> str:
        """Keep a constant; where the name is taken, by other values or an activation, it gets a number."""
        self.require_finite(stem, values)
        name, number = stem, 1
        while name in self.shapes or (name in self._constants and not _same(self._constants[name], values)):
            name, number = f"{stem}.{number}", number + 1
        self._constants[name] = np.ascontiguousarray(values, np.float32)
        return name

    def producer(self, tensor: str) -> Node | None:
        """The canonical node that writes a tensor."""
        return next((node for node in reversed(self._nodes) if node.output == tensor), None)

    def constant(self, name: str) -> np.ndarray | None:
        """Values of a constant of the canonical graph."""
        return self._constants.get(name)

    def add(self, node: Node) -> None:
        """Add a node as it is."""
        self._nodes.append(node)

    def insert(
        self,
        op: str,
        before: str,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        attributes: dict[str, Any],
    ) -> str:
        """Add a node in front of the one that writes tensor ``before``; returns its output."""
        output, number = f"{before}:{op}", 1
        while output in self.shapes:
            output, number = f"{before}:{op}.{number}", number + 1
        self._nodes.append(Node(op, output, inputs, (output,), attributes))
        self.shapes[output] = shape
        return output

    # ------------------------------------------------------------------ the import
    def run(self, name: str) -> Graph:
        problems = []
        read = {n for proto in self._source.nodes for n in proto.input} | set(self._source.outputs)
        unknown: set[str] = set()
        for proto in self._source.nodes:
            node = OnnxNode(proto, self)
            try:
                if not node.is_standard or proto.op_type not in IMPORTERS:
                    raise node.unsupported("this operator is not supported")
                extra = read.intersection(filter(None, proto.output[1:]))
                if extra and proto.op_type not in SEVERAL_OUTPUTS:
                    raise node.unsupported(f"its output {min(extra)!r} is used")
                if proto.output[0] not in self.shapes and unknown.intersection(proto.input):
                    unknown.update(proto.output)  # the cause is on the list already
                    continue
                result = IMPORTERS[proto.op_type](node)
            except UnsupportedNodeError as problem:
                problems.append(str(problem))
                unknown.update(proto.output)
                continue
            if result.op == "Identity":
                self._aliases[result.output] = result.inputs[0]
            else:
                self._nodes.append(result)
        self._refuse(problems)
        graph = self._finish(name)
        self._refuse([node.attributes["reason"] for node in graph.nodes if node.op == PART])
        return graph

    def _refuse(self, problems: list[str]) -> None:
        if problems:
            count = f"{len(problems)} node" + ("s" if len(problems) > 1 else "")
            raise UnsupportedGraphError(
                "\n  ".join([f"{self._label}: {count} cannot be imported:", *problems])
            )

    def _finish(self, name: str) -> Graph:
        inputs, outputs = self._source.inputs, self._source.outputs
        renamed = self._output_names()
        shapes = {name: self.shapes[name] for name in inputs}
        needed = {self.resolve(output) for output in outputs}
        nodes = []
        for node in reversed(self._nodes):
            if node.output not in needed:
                continue
            needed.update(read := tuple(map(self.resolve, node.inputs)))
            output = renamed.get(node.output, node.output)
            nodes.append(node.rewired(inputs=tuple(renamed.get(n, n) for n in read), outputs=(output,)))
            shapes[output] = self.shapes[node.output]
        nodes.reverse()
        graph = Graph(name, inputs, outputs, _unique_names(nodes), self._constants, shapes)
        graph.drop_unused_constants()
        return graph

    def _output_names(self) -> dict[str, str]:
        """Tensor → the name of the network's output that it is, where a node without effect writes that."""
        written = {node.output for node in self._nodes}
        result: dict[str, str] = {}
        for output in self._source.outputs:
            tensor = self.resolve(output)
            if tensor in self._source.inputs:
                raise UsageError(f"{self._label}: output {output!r} is the input {tensor!r}, unchanged")
            if tensor not in written:
                raise UsageError(f"{self._label}: output {output!r} does not depend on an input")
            if tensor in result:
                raise UsageError(
                    f"{self._label}: outputs {result[tensor]!r} and {output!r} are the same tensor"
                )
            result[tensor] = output
        return result


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


def _unique_names(nodes: Iterable[Node]) -> list[Node]:
    """Nodes with distinct names."""
    seen: set[str] = set()
    result = []
    for node in nodes:
        name, number = node.name, 2
        while name in seen:
            name, number = f"{node.name}.{number}", number + 1
        seen.add(name)
        result.append(node.rewired(name=name))
    return result

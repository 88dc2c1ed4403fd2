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
from ..graph.graph import Graph, Node
from ..graph.view import View, ViewAxis, joined_runs, length
from ..operators import IMPORTERS, SEVERAL_OUTPUTS
from ..operators.onnx_node import OnnxNode, UnsupportedNodeError
from .patterns import recognise
from .prepare import Prepared, prepare
from .refusals import unsupported_operator


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
        self.kinds = prepared.kinds
        self._source = prepared
        self._label = prepared.label
        self._constants: dict[str, np.ndarray] = {}
        self._nodes: list[Node] = []
        self._views: dict[str, View] = {}
        self._arranged: dict[tuple[str, tuple[ViewAxis, ...]], str] = {}

    # ------------------------------------------------------------------ for OnnxNode
    def view(self, name: str) -> View:
        """What a tensor of the file is in the canonical graph."""
        if name not in self._views:
            self._views[name] = View.whole(name, self.shapes[name])
        return self._views[name]

    def arranged(self, view: View, axes: Sequence[ViewAxis], before: str) -> str:
        """A canonical tensor with what a view shows, ``axes`` after the batch; nodes that make it are put in
        front of the one that writes tensor ``before``."""
        key = view.tensor, tuple(axes)
        if key not in self._arranged:
            self._arranged[key] = self._arrange(view, [*axes], before)
        return self._arranged[key]

    def _arrange(self, view: View, axes: list[ViewAxis], before: str) -> str:
        tensor, found, shape = view.tensor, [*view.axes], (1, *map(length, axes))

        def step(op: str, shape: tuple[int, ...], /, **attributes: Any) -> str:
            return self.insert(op, before, (tensor,), shape, attributes)

        if found == axes:
            return tensor
        order = [factor for axis in axes for factor in axis]
        if [factor for axis in found for factor in axis] == order:
            if len(axes) == 1:
                return step("Flatten", shape, axis=1)
            if len(found) == 1 and shape[2:] == (1, 1):
                return step("Unsqueeze", shape, axes=(2, 3))
            return step("Reshape", shape, shape=(0, *shape[1:]))
        if len(found) == 3 and found[1:] == axes[1:] and axes[0] == found[0][::-1] and len(axes[0]) == 2:
            return step("ChannelShuffle", shape, groups=found[0][0].size, shape=shape)
        known = [axis for axis in found if axis]
        if {*known} == {*axes} - {()}:
            parts = known  # whole axes change places
        else:
            parts = joined_runs([factor for axis in found for factor in axis], order)
        if parts != found:
            cut = (1, *map(length, parts))
            tensor = step("Reshape", cut, shape=(0, *cut[1:]))
        places = sorted(range(len(parts)), key=lambda part: order.index(parts[part][0]))
        turned = (1, *(length(parts[place]) for place in places))
        tensor = step("Transpose", turned, perm=(0, *(1 + place for place in places)))
        return tensor if turned == shape else step("Reshape", shape, shape=(0, *shape[1:]))

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

    def write(self, name: str, result: Node | View) -> None:
        """Say what a tensor of the file is."""
        if isinstance(result, View):
            self._views[name] = result
        else:
            self._nodes.append(result)

    def insert(
        self,
        op: str,
        before: str,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        attributes: dict[str, Any],
        name: str | None = None,
    ) -> str:
        """Add a node in front of the one that writes tensor ``before``; returns its output."""
        output, number = f"{before}:{op}", 1
        while output in self.shapes:
            output, number = f"{before}:{op}.{number}", number + 1
        self._nodes.append(Node(op, name or output, inputs, (output,), attributes))
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
                    raise node.unsupported(unsupported_operator(proto))
                extra = read.intersection(filter(None, proto.output[1:]))
                if extra and proto.op_type not in SEVERAL_OUTPUTS:
                    raise node.unsupported(f"its output {min(extra)!r} is used")
                if proto.output[0] not in self.shapes and unknown.intersection(proto.input):
                    unknown.update(proto.output)  # the cause is on the list already
                    continue
                result = IMPORTERS[proto.op_type](node)
                if isinstance(result, Node) and self.shapes.get(result.output, (1,))[:1] != (1,):
                    raise node.unsupported(f"an output of shape {node.output_shape}, whose batch comes later")
            except UnsupportedNodeError as problem:
                problems.append(str(problem))
                unknown.update(proto.output)
                continue
            self.write(proto.output[0], result)
        self._refuse(problems)
        return self._finish(name)

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
        needed = set(renamed)
        nodes = []
        for node in reversed(recognise(self._nodes, self._constants, self.shapes)):
            if node.output not in needed:
                continue
            needed.update(node.inputs)
            output = renamed.get(node.output, node.output)
            nodes.append(
                node.rewired(inputs=tuple(renamed.get(n, n) for n in node.inputs), outputs=(output,))
            )
            shapes[output] = self.shapes[node.output]
        nodes.reverse()
        graph = Graph(name, inputs, outputs, _unique_names(nodes), self._constants, shapes)
        graph.drop_unused_constants()
        return graph

    def _output_names(self) -> dict[str, str]:
        """Tensor → the name of the network's output that it is, where a node without effect writes that."""
        result: dict[str, str] = {}
        for output in self._source.outputs:
            view = None if output in self.values else self.view(output)
            if view is not None and view.shape[:1] != (1,):
                raise UsageError(
                    f"{self._label}: output {output!r}: expected the batch first, found shape {view.shape}"
                )
            tensor = output if view is None else self.arranged(view, view.dims[1:], output)
            written = {node.output for node in self._nodes}
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

"""ONNX files to the canonical graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from inn_runtime.errors import InnError, UsageError
from onnx import ModelProto, NodeProto

from ..errors import UnsupportedGraphError
from ..graph.graph import Graph, Node
from ..graph.view import View
from ..operators import IMPORTERS, SEVERAL_OUTPUTS
from ..operators.graph_builder import GraphBuilder
from ..operators.onnx_node import OnnxNode, UnsupportedNodeError
from .masks import with_finite_masks
from .patterns import recognise
from .prepare import Prepared, prepare
from .quotients import with_finite_quotients
from .refusals import refusal
from .unsupported import unsupported_form, unsupported_operator


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
    prepared = with_finite_quotients(with_finite_masks(prepare(source, input_shapes or {})))
    default = prepared.label if isinstance(source, ModelProto) else Path(source).stem
    return _Import(prepared).run(name or default)


class _Import:
    """One import, node by node."""

    def __init__(self, prepared: Prepared) -> None:
        self._source = prepared
        self._builder = GraphBuilder(
            prepared.label, prepared.opset, prepared.values, prepared.shapes, prepared.kinds
        )

    def run(self, name: str) -> Graph:
        problems, broken = [], []
        read = {n for proto in self._source.nodes for n in proto.input} | set(self._source.outputs)
        constants = {constant: values.shape for constant, values in self._source.values.items()}
        unknown: set[str] = set()
        for proto in self._source.nodes:
            node = OnnxNode(proto, self._builder)
            outputs = [output for output in proto.output if output]
            try:
                if not node.is_standard or proto.op_type not in IMPORTERS:
                    raise node.unsupported(unsupported_operator(proto))
                if reason := unsupported_form(proto, constants):
                    raise node.unsupported(reason)
                if unknown.intersection(proto.input):
                    unknown.update(outputs)  # the cause is on the list already
                    continue
                extra = read.intersection(outputs[1:])
                if extra and proto.op_type not in SEVERAL_OUTPUTS:
                    raise node.unsupported(f"its output {min(extra)!r} is used")
                result = self._imported(node, proto)
            except UnsupportedNodeError as problem:
                problems.append(str(problem))
                unknown.update(outputs)
                continue
            except UsageError as problem:  # a constant that is not finite
                broken.append(str(problem).removeprefix(f"{self._source.label}: "))
                unknown.update(outputs)
                continue
            if proto.output[0]:
                self._builder.write(proto.output[0], result)
        self._refuse(problems, list(dict.fromkeys(broken)))
        return self._finish(name)

    def _imported(self, node: OnnxNode, proto: NodeProto) -> Node | View:
        """What a node is; whatever goes wrong on the way, it is the node that is not supported."""
        try:
            result = IMPORTERS[proto.op_type](node)
            if isinstance(result, Node) and node.output_shape[:1] != (1,):
                raise node.unsupported(f"an output of shape {node.output_shape}, whose batch comes later")
        except (UnsupportedNodeError, InnError):
            raise
        except Exception:  # an importer relies on what this node does not have
            raise node.unsupported("this form is not supported") from None
        return result

    def _refuse(self, problems: list[str], broken: list[str]) -> None:
        if broken and not problems:
            raise UsageError(refusal(self._source.label, broken))
        if problems:
            count = f"{len(problems)} node" + ("s" if len(problems) > 1 else "")
            raise UnsupportedGraphError(
                "\n  ".join([f"{self._source.label}: {count} cannot be imported:", *problems, *broken])
            )

    def _finish(self, name: str) -> Graph:
        inputs, outputs = self._source.inputs, self._source.outputs
        renamed = self._output_names()
        shapes = {name: self._builder.shapes[name] for name in inputs}
        needed = set(renamed)
        nodes = []
        for node in reversed(recognise(self._builder.nodes, self._builder.constants, self._builder.shapes)):
            if node.output not in needed:
                continue
            needed.update(node.inputs)
            output = renamed.get(node.output, node.output)
            nodes.append(
                node.rewired(inputs=tuple(renamed.get(n, n) for n in node.inputs), outputs=(output,))
            )
            shapes[output] = self._builder.shapes[node.output]
        nodes.reverse()
        graph = Graph(name, inputs, outputs, _unique_names(nodes), self._builder.constants, shapes)
        graph.drop_unused_constants()
        return graph

    def _output_names(self) -> dict[str, str]:
        """Tensor → the name of the network's output that it is, where a node without effect writes that."""
        result: dict[str, str] = {}
        problems = []
        for output in self._source.outputs:
            view = None if output in self._builder.values else self._builder.view(output)
            where = f"output {output!r}"
            if view is not None and view.shape[:1] != (1,):
                problems.append(f"{where}: expected the batch first, found shape {view.shape}")
                continue
            tensor = output if view is None else self._builder.arranged(view, view.dims[1:], output)
            written = {node.output for node in self._builder.nodes}
            if tensor in self._source.inputs:
                problems.append(f"{where} is the input {tensor!r}, unchanged")
            elif tensor not in written:
                problems.append(f"{where} does not depend on an input")
            elif tensor in result:
                problems.append(f"outputs {result[tensor]!r} and {output!r} are the same tensor")
            result[tensor] = output
        if problems:
            raise UsageError(refusal(self._source.label, problems))
        return result


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

"""A graph in ONNX's terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, TensorProto, numpy_helper

from ..graph.graph import Graph, Node
from ..operators import OPERATORS, operator
from ..operators.base import OnnxStep


def named_steps(node: Node) -> Iterator[tuple[OnnxStep, str]]:
    """The ONNX nodes of a node (opset 17), and their names; the last has its name."""
    steps = operator(node).onnx_nodes(node)
    for number, step in enumerate(steps):
        yield step, node.name if step is steps[-1] else f"{node.name}.{number}"


def step_constant(value: Any, name: str) -> TensorProto:
    """A constant of a step as a tensor: whole numbers are int64, all others float32."""
    whole = isinstance(value, (tuple, list)) and not any(isinstance(v, float) for v in value)
    return numpy_helper.from_array(np.array(value, np.int64 if whole else np.float32), name)


def onnx_layouts(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Constants that ONNX lays out otherwise than the graph, and their axes there in the graph's order."""
    result = {}
    for node in graph.nodes:
        for name in graph.constant_inputs(node):
            if (axes := operator(node).onnx_permutation(node, name)) is not None:
                result[name] = axes
    return result


def set_widths(body: GraphProto, constants: Mapping[str, np.ndarray]) -> None:
    """Let attributes fit the widths of resized constants, as ONNX lays them out."""
    for node in body.node:
        if node.op_type in OPERATORS:
            OPERATORS[node.op_type].resize_onnx(node, constants)

"""The graph as ONNX (opset 17), with its weights or, for the bundle, as a skeleton without them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from inn_runtime.network import Bundle, Model
from onnx import ModelProto, TensorProto, helper, numpy_helper

from ..graph.graph import Graph, Node
from ..graph.lowered import LoweredWeight
from ..operators import OPERATORS, operator

OPSET, IR_VERSION = 17, 8


def skeleton(graph: Graph, weights: Sequence[LoweredWeight]) -> bytes:
    """The network without its weights: each initializer says, as JSON in its description, how the bundle
    lays its weight out (``permutation`` of the initializer)."""
    onnx_layouts = _onnx_layouts(graph)
    initializers = []
    for weight in weights:
        onnx_axes = onnx_layouts.get(weight.name, range(len(weight.permutation)))
        description = json.dumps({"permutation": [onnx_axes[axis] for axis in weight.permutation]})
        initializers.append(
            TensorProto(name=weight.name, data_type=TensorProto.FLOAT, doc_string=description)
        )
    return _model(graph, initializers).SerializeToString(deterministic=True)


def resized_onnx(model: Model) -> ModelProto:
    """A resized network as ONNX, from the bundle's skeleton and the weights that the runtime samples."""
    proto = onnx.load_from_string(model.bundle.source_model())
    layouts = {
        t.name: json.loads(t.doc_string)["permutation"] for t in proto.graph.initializer if t.doc_string
    }
    constants = resized_constants(model, layouts)
    for initializer in proto.graph.initializer:
        if initializer.name in constants:
            initializer.CopyFrom(numpy_helper.from_array(constants[initializer.name], initializer.name))
    for node in proto.graph.node:
        if node.op_type in OPERATORS:
            OPERATORS[node.op_type].resize_onnx(node, constants)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def resized_constants(model: Model, layouts: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """The weights of a resized network; ``layouts`` gives each one's permutation in the bundle."""
    return {
        weight.name: np.ascontiguousarray(model.weight(index).transpose(np.argsort(layouts[weight.name])))
        for index, weight in enumerate(model.bundle.manifest.weights)
    }


def export_onnx(bundle: Bundle, size: float | str) -> bytes:
    """Bytes of the resized network as an ONNX file."""
    content: bytes = resized_onnx(bundle.resample(size)).SerializeToString(deterministic=True)
    return content


def _onnx_layouts(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Constants that ONNX lays out otherwise than the graph, and their axes there in the graph's order."""
    result = {}
    for node in graph.nodes:
        for name in graph.constant_inputs(node):
            if (axes := operator(node).onnx_permutation(node, name)) is not None:
                result[name] = axes
    return result


def _model(graph: Graph, initializers: list[TensorProto]) -> ModelProto:
    nodes, attributes = [], []
    for node in graph.nodes:
        protos, extra = _nodes(node)
        nodes.extend(protos)
        attributes.extend(extra)
    body = helper.make_graph(
        nodes,
        graph.name,
        [_value(graph, name) for name in graph.inputs],
        [_value(graph, name) for name in graph.outputs],
        [*initializers, *attributes],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "innlite"
    return model


def _value(graph: Graph, name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *graph.shapes[name][1:]])


def _nodes(node: Node) -> tuple[list[Any], list[TensorProto]]:
    """The ONNX nodes of a node, and constants that only they read."""
    nodes, extra = [], []
    steps = operator(node).onnx_nodes(node)
    for number, step in enumerate(steps):
        name = node.name if step is steps[-1] else f"{node.name}.{number}"
        inputs = list(step.inputs)
        for key, value in step.constants.items():
            whole = isinstance(value, tuple) and not any(isinstance(v, float) for v in value)
            kind = np.int64 if whole else np.float32
            extra.append(numpy_helper.from_array(np.array(value, kind), f"{name}.{key}"))
            inputs.append(f"{name}.{key}")
        outputs = step.outputs or (step.output,)
        nodes.append(helper.make_node(step.op, inputs, outputs, name=name, **step.attributes))
    return nodes, extra

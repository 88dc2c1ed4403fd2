"""The graph as ONNX, with its weights or, for the bundle, as a skeleton without them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from inn_runtime.network import Bundle, Model
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from ..execution.onnx_graph import named_steps, onnx_layouts, set_widths
from ..graph.graph import Graph
from ..graph.lowered import LoweredWeight
from ..operators import operator
from .onnx_forms import in_opset, opset_for
from .source_facts import SourceFacts, tell_of_bundle


def skeleton(graph: Graph, weights: Sequence[LoweredWeight], source: SourceFacts | None = None) -> bytes:
    """The network without its weights: each initializer says, as JSON in its description, how the bundle
    lays its weight out (``permutation`` of the initializer)."""
    layouts = onnx_layouts(graph)
    initializers = []
    for weight in weights:
        onnx_axes = layouts.get(weight.name, range(len(weight.permutation)))
        description = json.dumps({"permutation": [onnx_axes[axis] for axis in weight.permutation]})
        initializers.append(
            TensorProto(name=weight.name, data_type=TensorProto.FLOAT, doc_string=description)
        )
    return _model(graph, initializers, source or SourceFacts()).SerializeToString(deterministic=True)


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
    set_widths(proto.graph, constants)
    tell_of_bundle(proto, model.manifest, model.plan.size)
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


def _model(graph: Graph, initializers: list[TensorProto], source: SourceFacts) -> ModelProto:
    steps = []
    for node in graph.nodes:
        known = operator(node)
        since = known.onnx_since(node, graph.shapes[node.output])
        steps += [(step, since, name) for step, name in named_steps(node)]
    opset = opset_for(((step, since) for step, since, _ in steps), source.opset)
    body = GraphProto(name=graph.name, initializer=initializers)
    for step, _, name in steps:
        written = in_opset(step, name, opset)
        assert written is not None, "the opset was chosen so"
        body.node.append(written[0])
        body.initializer.extend(written[1])
    for names, output in ((graph.inputs, False), (graph.outputs, True)):
        for name in names:
            source.declare(body, name, graph.shapes[name], output)
    versions = [helper.make_opsetid("", opset)]
    ir_version = helper.find_min_ir_version_for(versions)
    model = helper.make_model(body, opset_imports=versions, ir_version=ir_version)
    model.producer_name = "innlite"
    source.tell(model)
    return model

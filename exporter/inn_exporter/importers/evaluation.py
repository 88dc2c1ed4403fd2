"""Nodes whose inputs are known, computed by ONNX's reference implementation."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from onnx.reference import ReferenceEvaluator

from .opsets import DEFAULT_DOMAINS

_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
LOOKS_ONLY = {"Shape": 0, "Size": 0, "CastLike": 1}
"""Operators that ask an input for no more than its shape and type, and which input."""
_NEWER = 13
"""The opset whose Unsqueeze and Softmax the reference implementation takes those before for."""
_OF_MATRICES = {"Softmax", "LogSoftmax", "Hardmax"}
"""Operators that before it took all dimensions from an axis on as one."""


def results(
    node: NodeProto, values: Mapping[str, np.ndarray], activations: Mapping[str, np.ndarray], opset: int
) -> list[np.ndarray] | None:
    """A node's outputs, or None where they depend on the network's inputs."""
    if node.op_type in _RANDOM or node.domain not in DEFAULT_DOMAINS:
        return None
    known = {}
    for index, name in enumerate(node.input):
        if name in values:
            known[name] = values[name]
        elif name in activations and LOOKS_ONLY.get(node.op_type) == index:
            known[name] = activations[name]
        elif name:
            return None
    try:
        if opset < _NEWER and node.op_type == "Unsqueeze":
            return _run(*_axes_as_input(node, known), _NEWER)
        if opset < _NEWER and node.op_type in _OF_MATRICES:
            return [_of_matrix(node, known[node.input[0]])]
        return _run(node, known, opset)
    except Exception:  # what the evaluator cannot compute is reported as an unsupported node
        return None


def _run(node: NodeProto, known: Mapping[str, np.ndarray], opset: int) -> list[np.ndarray]:
    evaluator = ReferenceEvaluator(node, opsets={"": opset})
    return [np.asarray(result) for result in evaluator.run(None, dict(known))]


def _attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _axes_as_input(
    node: NodeProto, known: Mapping[str, np.ndarray]
) -> tuple[NodeProto, dict[str, np.ndarray]]:
    """A node with what was an attribute up to opset 12."""
    axes = np.array(_attribute(node, "axes"), np.int64)
    newer = helper.make_node(node.op_type, [node.input[0], "axes of it"], node.output)
    return newer, {**known, "axes of it": axes}


def _of_matrix(node: NodeProto, values: np.ndarray) -> np.ndarray:
    axis = _attribute(node, "axis", 1) % values.ndim
    newer = helper.make_node(node.op_type, ["x"], ["y"], axis=1)
    matrix = values.reshape(prod(values.shape[:axis]), -1)
    return _run(newer, {"x": matrix}, _NEWER)[0].reshape(values.shape)

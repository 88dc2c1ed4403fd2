"""Attention masks: MindSpore Lite takes no infinities, so hidden scores get a large finite value instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from onnx import NodeProto, helper

from .prepare import Prepared

HIDDEN = np.float32(-1e9)
"""In the place of -∞ before a softmax: e to the power of it is 0 in float32, beside scores of up to 10⁹, and
sums of several are finite."""

_MASKS = {"Add", "Where"}
_PASSES = {"Add", "Cast", "Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze", "Where"}
"""Operators behind which a hidden score is hidden still."""


def with_finite_masks(prepared: Prepared) -> Prepared:
    """The model with finite masks, and without the guards against scores that are all hidden, of which there
    are none then.

    Constants that do anything else than hide scores stay as they are, as do those that hide all scores of a
    softmax, whose result is not a number.
    """
    readers: dict[str, list[NodeProto]] = {}
    for node in prepared.nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    values = dict(prepared.values)
    for name, array in prepared.values.items():
        hidden = np.isneginf(array) if array.dtype.kind == "f" else np.zeros(())
        used = readers.get(name, [])
        if hidden.any() and used and all(_hides(node, hidden, readers, prepared.outputs) for node in used):
            values[name] = np.where(hidden, HIDDEN, array).astype(array.dtype)
    return replace(prepared, values=values, nodes=_without_guards(prepared.nodes, values))


def _hides(
    node: NodeProto, hidden: np.ndarray, readers: Mapping[str, Sequence[NodeProto]], outputs: Sequence[str]
) -> bool:
    """Whether a node that reads a constant hides scores by it, but not all of a row."""
    whole_row = node.op_type == "Add" and hidden.ndim > 0 and hidden.all(-1).any()
    return node.op_type in _MASKS and not whole_row and _is_scored(node.output[0], readers, outputs)


def _is_scored(name: str, readers: Mapping[str, Sequence[NodeProto]], outputs: Sequence[str]) -> bool:
    """Whether all that is made of a tensor is a softmax's."""
    used = readers.get(name, [])
    return (
        bool(used)
        and name not in outputs
        and all(
            node.op_type == "Softmax"
            or (node.op_type in _PASSES and _is_scored(node.output[0], readers, outputs))
            for node in used
        )
    )


def _without_guards(nodes: Sequence[NodeProto], values: Mapping[str, np.ndarray]) -> list[NodeProto]:
    """PyTorch takes 0 for a softmax that is not a number: Where(IsNaN(y), 0, y) is y."""
    makers = {name: node for node in nodes for name in node.output}
    result, guards = [], set()
    for node in nodes:
        test = makers.get(node.input[0]) if node.op_type == "Where" else None
        if test is not None and test.op_type == "IsNaN" and test.input[0] == node.input[2]:
            guarded = makers.get(node.input[2])
            if guarded is not None and guarded.op_type == "Softmax" and node.input[1] in values:
                guards.add(test.output[0])
                node = helper.make_node("Identity", [node.input[2]], node.output, name=node.name)
        result.append(node)
    read = {name for node in result for name in node.input}
    return [node for node in result if not (node.output[0] in guards and node.output[0] not in read)]

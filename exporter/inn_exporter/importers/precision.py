"""Models in float16, in double or with images as bytes, as float32 ones."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE})
"""Types whose values are taken as float32."""
NARROW = frozenset({TensorProto.UINT8, TensorProto.INT8})
"""Types of images; an input of one becomes float32 where it is cast to floats before anything is computed."""

_MOVES = frozenset({"Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
_LOOKS = frozenset({"Shape", "Size"})
_TARGETS = {"Cast": "to", "EyeLike": "dtype"}
"""Operators that write a type which an attribute names."""


def to_float32(model: ModelProto) -> None:
    """Change inputs, outputs, constants and casts in place; a cast between floats then does nothing."""
    floats = converted_inputs(model.graph)
    for info in model.graph.input:
        if info.name in floats:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    _convert(model.graph)


def converted_inputs(graph: GraphProto) -> set[str]:
    """Inputs that can be float32."""
    readers: dict[str, list[tuple[int, NodeProto]]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            readers.setdefault(name, []).append((place, node))
    outputs = {info.name for info in graph.output}

    def is_cast(name: str) -> bool:
        """Whether a tensor of bytes is read by casts to floats only, perhaps after it was moved."""
        if name in outputs:
            return False
        for place, node in readers.get(name, []):
            cast = node.op_type == "Cast" and any(a.name == "to" and a.i in FLOATS for a in node.attribute)
            moved = node.op_type in _MOVES and place == 0 and is_cast(node.output[0])
            if not (cast or moved or node.op_type in _LOOKS):
                return False
        return True

    kinds = {info.name: info.type.tensor_type.elem_type for info in graph.input}
    return {name for name, kind in kinds.items() if kind in FLOATS or (kind in NARROW and is_cast(name))}


def _convert(graph: GraphProto) -> None:
    """A graph and those inside its nodes."""
    for tensor in graph.initializer:
        _convert_tensor(tensor)
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type in FLOATS:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == _TARGETS.get(node.op_type) and attribute.i in FLOATS:
                attribute.i = TensorProto.FLOAT
            if attribute.HasField("t"):
                _convert_tensor(attribute.t)
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _convert(inner)


def _convert_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in FLOATS - {TensorProto.FLOAT}:
        tensor.CopyFrom(numpy_helper.from_array(_as_float32(numpy_helper.to_array(tensor)), tensor.name))


def _as_float32(values: np.ndarray) -> np.ndarray:
    """The nearest float32, finite where the values are."""
    limit = float(np.finfo(np.float32).max)
    near = np.where(np.isfinite(values), np.clip(values.astype(np.float64), -limit, limit), values)
    return near.astype(np.float32)

"""Packing a lowered graph as a MindSpore Lite model (`.ms`), one FlatBuffer, without a converter.

The field numbers are those of MindSpore Lite's public schema (model.fbs). Nothing here knows an
operator: nodes carry their primitive's union number and attributes as (slot, type, value).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt

from ..errors import UsageError, shown
from ..format.manifest import Attribute, Expression, GraphNode, GraphTensor, Manifest, evaluate

FILE_IDENTIFIER = b"MSL2"
FLOAT32, FLOAT16, INT32 = 43, 42, 34
NODE_CONSTANT, NODE_VARIABLE = 0, 2
FORMAT_NHWC = 1
FRAMEWORK_ONNX = 2
MAX_MODEL_BYTES = (1 << 31) - 1

# Slots of the schema's tables.
_TENSOR = {"nodeType": 0, "dataType": 1, "dims": 2, "format": 3, "data": 6, "name": 9}
_NODE = {"name": 0, "primitive": 2, "inputIndex": 3, "outputIndex": 4}
_SUBGRAPH = {"name": 0, "inputs": 1, "outputs": 2, "nodes": 3, "tensors": 4}
_META = {
    **{"name": 0, "version": 1, "fmkType": 2, "inputs": 3, "outputs": 4},
    **{"nodes": 6, "tensors": 7, "subGraph": 8},
}

_BITS = {"byte": 8, "int": 32, "long": 64}

WEIGHT_TYPES = {"float32": (FLOAT32, 4), "float16": (FLOAT16, 2)}
"""Types that weights can have in the file, and bytes of a value. The engine widens float16 as it builds."""

WeightReader = Callable[[int], Iterable[npt.NDArray[np.float32]]]


def check_weight_type(name: str) -> None:
    """UsageError where it is none of `WEIGHT_TYPES`."""
    if name not in WEIGHT_TYPES:
        raise UsageError(f"weights: expected one of {', '.join(WEIGHT_TYPES)}, found {shown(name)}")


def pack(
    manifest: Manifest, widths: tuple[int, ...], weight: WeightReader, weight_type: str = "float32"
) -> memoryview:
    """The bytes of a `.ms` file.

    Parameters
    ----------
    manifest : its lowered graph is packed
    widths : the width of every channel group
    weight : called once per weight tensor, in graph order; its blocks are copied and dropped at once
    weight_type : one of `WEIGHT_TYPES`

    Raises
    ------
    UsageError : the file would be larger than a FlatBuffer can be, a number than its type, or a weight than a
        float16
    """
    size = size_at_most(manifest, widths, weight_type)
    if size > MAX_MODEL_BYTES:
        raise UsageError(
            f"{manifest.name}: a .ms file holds at most {MAX_MODEL_BYTES / 1e6:,.0f} MB, this one would take "
            f"{size / 1e6:,.0f} MB: choose a smaller size"
        )
    # One allocation: the builder would otherwise double its buffer, and copy it, as it grows.
    builder = flatbuffers.Builder(size)
    tensors = [_tensor(builder, t, manifest, widths, weight, weight_type) for t in manifest.tensors]
    nodes = [_node(builder, n, widths) for n in manifest.nodes]
    inputs = [port.tensor for port in manifest.inputs]
    outputs = [port.tensor for port in manifest.outputs]
    subgraph = _table(
        builder,
        {
            _SUBGRAPH["name"]: builder.CreateString("main"),
            _SUBGRAPH["inputs"]: _numbers(builder, inputs, np.uint32),
            _SUBGRAPH["outputs"]: _numbers(builder, outputs, np.uint32),
            _SUBGRAPH["nodes"]: _numbers(builder, range(len(nodes)), np.uint32),
            _SUBGRAPH["tensors"]: _numbers(builder, range(len(tensors)), np.uint32),
        },
    )
    references = {
        _META["name"]: builder.CreateString(manifest.name),
        _META["version"]: builder.CreateString("innlite"),
        _META["inputs"]: _numbers(builder, inputs, np.uint32),
        _META["outputs"]: _numbers(builder, outputs, np.uint32),
        _META["nodes"]: _offsets(builder, nodes),
        _META["tensors"]: _offsets(builder, tensors),
        _META["subGraph"]: _offsets(builder, [subgraph]),
    }
    builder.Finish(_table(builder, references, {_META["fmkType"]: FRAMEWORK_ONNX}), FILE_IDENTIFIER)
    return memoryview(builder.Bytes)[builder.Head() :]


def packed_size(manifest: Manifest, widths: tuple[int, ...], weight_type: str = "float32") -> int:
    """Bytes of the file, found without any weight: the buffer's pages are never touched."""
    return len(pack(manifest, widths, lambda _: (), weight_type))


def size_at_most(manifest: Manifest, widths: tuple[int, ...], weight_type: str = "float32") -> int:
    """Bytes that the file hardly exceeds (the buffer then grows); but for the tensors' data, generous."""
    total = 4096
    for tensor in manifest.tensors:
        total += 512 + 4 * len(tensor.name) + 4 * len(tensor.values or ())
        if tensor.weight is not None:
            bytes_each = WEIGHT_TYPES[weight_type][1]
            total += bytes_each * math.prod(manifest.weights[tensor.weight].shape(widths))
    for node in manifest.nodes:
        total += 512 + 4 * len(node.name) + 4 * (len(node.inputs) + len(node.outputs))
        for attribute in node.attributes:
            total += 64 + (8 * len(attribute.value) if isinstance(attribute.value, (str, tuple)) else 0)
    return -(-total // 16) * 16  # what is aligned in the file is then so in memory


def _tensor(
    builder: Any,
    tensor: GraphTensor,
    manifest: Manifest,
    widths: tuple[int, ...],
    weight: WeightReader,
    weight_type: str,
) -> int:
    kind, node_type, dims, data = FLOAT32, NODE_VARIABLE, tensor.dims, None
    if tensor.weight is not None:
        node_type, dims = NODE_CONSTANT, manifest.weights[tensor.weight].shape(widths)
        kind, bytes_each = WEIGHT_TYPES[weight_type]
        blocks = weight(tensor.weight)
        stored = as_float16(blocks, tensor.name) if kind == FLOAT16 else blocks
        data = _values(builder, math.prod(dims), stored, np.dtype(f"f{bytes_each}"))
    elif tensor.values is not None:
        constant = np.array([_value(e, widths, "int") for e in tensor.values], np.int32)
        kind, node_type, dims, data = (
            INT32,
            NODE_CONSTANT,
            tensor.shape,
            _values(builder, constant.size, [constant], constant.dtype),
        )
    references = {
        _TENSOR["dims"]: _numbers(builder, dims, np.int32),
        _TENSOR["name"]: builder.CreateString(tensor.name),
    }
    if data is not None:
        references[_TENSOR["data"]] = data
    numbers = {
        _TENSOR["nodeType"]: node_type,
        _TENSOR["dataType"]: kind,
        _TENSOR["format"]: FORMAT_NHWC,
    }
    return _table(builder, references, numbers)


def _node(builder: Any, node: GraphNode, widths: tuple[int, ...]) -> int:
    values = [_attribute(builder, a, widths) for a in node.attributes]
    builder.StartObject(max((a.slot for a in node.attributes), default=-1) + 1)
    for attribute, value in zip(node.attributes, values):
        _PREPEND[attribute.type](builder, attribute.slot, value)
    content = builder.EndObject()
    builder.StartObject(2)
    builder.PrependUint8Slot(0, node.primitive, 0)
    builder.PrependUOffsetTRelativeSlot(1, content, 0)
    primitive = builder.EndObject()
    return _table(
        builder,
        {
            _NODE["name"]: builder.CreateString(node.name),
            _NODE["primitive"]: primitive,
            _NODE["inputIndex"]: _numbers(builder, node.inputs, np.uint32),
            _NODE["outputIndex"]: _numbers(builder, node.outputs, np.uint32),
        },
    )


# The default is None, not the schema's: a value is written even where it equals the default.
_PREPEND: dict[str, Callable[[Any, int, Any], None]] = {
    "bool": lambda b, slot, v: b.PrependBoolSlot(slot, v, None),
    "byte": lambda b, slot, v: b.PrependInt8Slot(slot, v, None),
    "int": lambda b, slot, v: b.PrependInt32Slot(slot, v, None),
    "long": lambda b, slot, v: b.PrependInt64Slot(slot, v, None),
    "float": lambda b, slot, v: b.PrependFloat32Slot(slot, v, None),
    "longs": lambda b, slot, v: b.PrependUOffsetTRelativeSlot(slot, v, 0),
    "floats": lambda b, slot, v: b.PrependUOffsetTRelativeSlot(slot, v, 0),
    "string": lambda b, slot, v: b.PrependUOffsetTRelativeSlot(slot, v, 0),
}


def _attribute(builder: Any, attribute: Attribute, widths: tuple[int, ...]) -> Any:
    """The attribute's value at these widths; an offset where it is a vector or a text."""
    value: Any = attribute.value
    if attribute.type == "longs":
        return _numbers(builder, [_value(e, widths, "long") for e in value], np.int64)
    if attribute.type == "floats":
        return _numbers(builder, value, np.float32)
    if attribute.type == "string":
        return builder.CreateString(value)
    if attribute.type in ("byte", "int", "long"):
        return _value(value, widths, attribute.type)
    return value


def _value(expression: Expression, widths: tuple[int, ...], kind: str) -> int:
    """An expression's value. Up to size 1 it fits by the manifest's checks; beyond, it may not."""
    value, bits = evaluate(expression, widths), _BITS[kind]
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise UsageError(f"an attribute or constant exceeds {bits} bits at this size: choose a smaller one")
    return value


def _numbers(builder: Any, values: Any, dtype: Any) -> int:
    offset: int = builder.CreateNumpyVector(np.array(list(values), dtype))
    return offset


def as_float16(blocks: Iterable[npt.NDArray[np.float32]], name: str) -> Iterator[npt.NDArray[np.float16]]:
    """Blocks of a weight, rounded. UsageError where a value is beyond float16's range."""
    for block in blocks:
        with np.errstate(over="ignore"):  # said below, with the weight's name
            rounded = block.astype(np.float16)
        if not np.isfinite(rounded).all():
            raise UsageError(f"weight {name!r} holds values beyond float16's 65,504: use float32 weights")
        yield rounded


def _values(builder: Any, count: int, blocks: Iterable[npt.NDArray[Any]], dtype: np.dtype[Any]) -> int:
    """A vector of bytes, aligned to 16, of ``count`` values.

    Blocks that follow each other, of any strides, are converted to ``dtype`` straight into the buffer.
    """
    length = count * dtype.itemsize
    builder.StartVector(1, length, 16)
    builder.head -= length
    target = np.frombuffer(builder.Bytes, dtype, count, builder.head)
    start = 0
    for block in blocks:
        np.copyto(target[start : start + block.size].reshape(block.shape), block)
        start += block.size
    offset: int = builder.EndVector()
    return offset


def _offsets(builder: Any, values: list[int]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependUOffsetTRelative(value)
    offset: int = builder.EndVector()
    return offset


def _table(builder: Any, references: dict[int, int], integers: dict[int, int] | None = None) -> int:
    """A table of offsets and 32-bit integers, keyed by slot."""
    builder.StartObject(max([*references, *(integers or {})]) + 1)
    for slot, reference in references.items():
        builder.PrependUOffsetTRelativeSlot(slot, reference, 0)
    for slot, integer in (integers or {}).items():
        builder.PrependInt32Slot(slot, integer, None)
    offset: int = builder.EndObject()
    return offset

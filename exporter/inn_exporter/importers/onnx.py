"""ONNX files (opset 11 to 21) to the canonical graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from ..errors import UnsupportedGraphError, UsageError
from ..graph import Graph, Node
from ..operators import IMPORTERS
from .node import OnnxNode, UnsupportedNodeError

OPSETS = range(11, 22)


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
    UsageError : no such file, not an ONNX model, an opset or input type that is not supported
    UnsupportedGraphError : lists every node that cannot be imported
    """
    if isinstance(source, ModelProto):
        model, label = ModelProto(), name or source.graph.name or "model"
        model.CopyFrom(source)
    else:
        model, label = _load(Path(source)), str(source)
    opset = _opset(model, label)
    batches = _fix_inputs(model, input_shapes or {}, label)
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    _free_batch(model, values, batches)
    context = Import(model, values, opset, label)
    return context.run(name or (label if isinstance(source, ModelProto) else Path(source).stem))


class Import:
    """State of one import: known constants, shapes, and the canonical nodes so far."""

    def __init__(self, model: ModelProto, values: dict[str, np.ndarray], opset: int, label: str) -> None:
        self.values = values
        self.opset = opset
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._model = model
        self._label = label
        self._constants: dict[str, np.ndarray] = {}
        self._nodes: list[Node] = []
        self._aliases: dict[str, str] = {}
        self._infer_shapes()

    def _infer_shapes(self) -> None:
        del self._model.graph.value_info[:]
        for output in self._model.graph.output:
            output.type.tensor_type.ClearField("shape")
        try:
            inferred = shape_inference.infer_shapes(self._model, strict_mode=True, data_prop=True)
        except shape_inference.InferenceError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UsageError(f"{self._label}: shapes do not fit together: {reason}") from None
        graph = inferred.graph
        for info in (*graph.input, *graph.value_info, *graph.output):
            dims = info.type.tensor_type.shape.dim
            if info.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in dims):
                self.shapes[info.name] = tuple(d.dim_value for d in dims)

    # ------------------------------------------------------------------ for OnnxNode
    def resolve(self, name: str) -> str:
        """The tensor that a name stands for, through nodes that do nothing."""
        while name in self._aliases:
            name = self._aliases[name]
        return name

    def add_constant(self, stem: str, values: np.ndarray) -> str:
        """Keep a constant; where the name is taken, by other values or an activation, it gets a number."""
        if not np.isfinite(values).all():
            raise UsageError(f"{self._label}: constant {stem!r} holds values that are not finite")
        name, number = stem, 1
        while name in self.shapes or (name in self._constants and not _same(self._constants[name], values)):
            name, number = f"{stem}.{number}", number + 1
        self._constants[name] = np.ascontiguousarray(values, np.float32)
        return name

    def insert(self, op: str, before: OnnxNode, inputs: tuple[str, ...], attributes: dict[str, Any]) -> str:
        output = f"{before.name}:{op}"
        self._nodes.append(Node(op, output, inputs, (output,), attributes))
        shape = self.shapes[inputs[0]]
        self.shapes[output] = (*shape[:2], *[1] * (len(shape) - 2)) if op == "GlobalAveragePool" else shape
        return output

    # ------------------------------------------------------------------ the import
    def run(self, name: str) -> Graph:
        problems = []
        for proto in self._model.graph.node:
            if self._evaluate(proto):
                continue
            node = OnnxNode(proto, self)
            try:
                if proto.domain not in ("", "ai.onnx") or proto.op_type not in IMPORTERS:
                    raise node.unsupported("this operator is not supported")
                result = IMPORTERS[proto.op_type](node)
            except UnsupportedNodeError as problem:
                problems.append(str(problem))
                continue
            if result.op == "Identity":
                self._aliases[result.output] = result.inputs[0]
            else:
                self._nodes.append(result)
        if problems:
            count = f"{len(problems)} node" + ("s" if len(problems) > 1 else "")
            raise UnsupportedGraphError(
                "\n  ".join([f"{self._label}: {count} cannot be imported:", *problems])
            )
        return self._finish(name)

    def _finish(self, name: str) -> Graph:
        inputs = [i.name for i in self._model.graph.input]
        outputs = [o.name for o in self._model.graph.output]
        renamed = {self.resolve(o): o for o in outputs if o in self._aliases and self.resolve(o) not in inputs}
        nodes = [
            node.rewired(
                inputs=tuple(renamed.get(n, n) for n in map(self.resolve, node.inputs)),
                outputs=tuple(renamed.get(n, n) for n in node.outputs),
            )
            for node in self._nodes
        ]
        shapes = {name: self.shapes[name] for name in inputs}
        for old_node, node in zip(self._nodes, nodes):
            for old, new in zip(old_node.outputs, node.outputs):
                shapes[new] = self.shapes[old]
        missing = [o for o in outputs if o not in {n for node in nodes for n in node.outputs}]
        if missing:
            raise UsageError(f"{self._label}: output {missing[0]!r} does not depend on an input")
        graph = Graph(name, inputs, outputs, _unique_names(nodes), self._constants, shapes)
        graph.drop_unused_constants()
        return graph

    def _evaluate(self, proto: NodeProto) -> bool:
        """Fold a node whose inputs are all known (shape arithmetic, stored constants)."""
        if proto.op_type == "Shape" and proto.input[0] in self.shapes and proto.input[0] not in self.values:
            known = {proto.input[0]: np.zeros(self.shapes[proto.input[0]], np.float32)}
        elif all(name in self.values for name in proto.input if name) and proto.op_type not in _RANDOM:
            known = {name: self.values[name] for name in proto.input if name}
        else:
            return False
        results = ReferenceEvaluator(proto, opsets={"": self.opset}).run(None, known)
        self.values.update(zip(proto.output, (np.asarray(r) for r in results)))
        return True


_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"}


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


def _unique_names(nodes: Iterable[Node]) -> list[Node]:
    """Nodes with distinct names."""
    seen: dict[str, int] = {}
    result = []
    for node in nodes:
        count = seen[node.name] = seen.get(node.name, 0) + 1
        result.append(node if count == 1 else node.rewired(name=f"{node.name}.{count}"))
    return result


def _load(path: Path) -> ModelProto:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # protobuf, checker and external-data errors share no base class
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{path}: not a valid ONNX model: {reason}") from None
    return model


def _opset(model: ModelProto, label: str) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    opset = versions[0] if versions else 0
    if opset not in OPSETS:
        raise UsageError(f"{label}: expected opset {OPSETS[0]} to {OPSETS[-1]}, found {opset}")
    return opset


def _fix_inputs(model: ModelProto, shapes: Mapping[str, Sequence[int]], label: str) -> set[int]:
    """Remove initializers from the inputs, give every input a static shape with batch 1.

    Returns the batch sizes that the file declared.
    """
    initializers = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in initializers]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    unknown = sorted(set(shapes) - {i.name for i in inputs})
    if unknown:
        raise UsageError(
            f"{label}: no input is named {unknown[0]!r}; its inputs are {', '.join(i.name for i in inputs)}"
        )
    batches = set()
    for info in model.graph.input:
        kind = info.type.tensor_type.elem_type
        if kind != onnx.TensorProto.FLOAT:
            found = onnx.TensorProto.DataType.Name(kind)
            raise UsageError(f"{label}: input {info.name!r}: expected float32, found {found.lower()}")
        dims = info.type.tensor_type.shape.dim
        given = list(shapes.get(info.name, ()))
        if given and len(given) != len(dims):
            raise UsageError(f"{label}: input {info.name!r} has {len(dims)} dimensions, found shape {given}")
        if len(dims) < 2:
            raise UsageError(f"{label}: input {info.name!r}: expected a batch and at least one dimension more")
        batches.add(dims[0].dim_value)
        dims[0].dim_value = 1
        for axis, dim in enumerate(dims):
            if axis and given:
                dim.dim_value = given[axis]
            if dim.dim_value <= 0:
                raise UsageError(
                    f"{label}: input {info.name!r}: dimension {axis} is open; give its size with --input-shape"
                )
    return batches - {0, 1}


def _free_batch(model: ModelProto, values: dict[str, np.ndarray], batches: set[int]) -> None:
    """Let reshapes that hold the file's fixed batch copy it from their input instead."""
    targets = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in targets and values[tensor.name].size and int(values[tensor.name][0]) in batches:
            changed = values[tensor.name].copy()
            changed[0] = 0
            values[tensor.name] = changed
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))

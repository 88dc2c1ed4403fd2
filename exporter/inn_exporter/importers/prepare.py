"""Making an ONNX model ready: read and check it, fix its shapes at batch 1, evaluate what is constant."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from inn_runtime.errors import UsageError
from onnx import (
    ModelProto,
    NodeProto,
    ValueInfoProto,
    helper,
    inliner,
    numpy_helper,
    shape_inference,
)

from ..operators import IMPORTERS
from .batch import set_batch_to_one
from .evaluation import results
from .opsets import DEFAULT_DOMAINS, opset_problems
from .precision import to_float32
from .refusals import input_problems, missing_files, refusal
from .sequences import batched_inputs, sequence_problems
from .unsupported import hopeless_nodes


@dataclass
class Prepared:
    """A model without constant nodes and without nodes that no output needs.

    Attributes
    ----------
    label : what error messages call it
    opset : version of the default operator set
    inputs, outputs : names, in order
    nodes : in topological order
    values : constants, as the file holds them or as evaluated
    shapes : shape of every activation that can be inferred, batch 1
    kinds : NumPy's name of its type
    """

    label: str
    opset: int
    inputs: list[str]
    outputs: list[str]
    nodes: list[NodeProto]
    values: dict[str, np.ndarray]
    shapes: dict[str, tuple[int, ...]]
    kinds: dict[str, str]


def prepare(
    source: str | os.PathLike[str] | ModelProto, input_shapes: Mapping[str, Sequence[int]]
) -> Prepared:
    """Read a model; see `import_onnx` for the arguments and errors."""
    model, label = _read(source)
    opset = _check(model, input_shapes, label)
    _say_ranks(model, input_shapes)
    with _valid(label):
        onnx.checker.check_model(model)
        if model.functions:
            model = inliner.inline_local_functions(model)
        to_float32(model)
    batched = batched_inputs(model)
    batch = _fix_inputs(model, input_shapes)
    _drop_dead_nodes(model)
    with _valid(label):
        values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    activations = _infer(model, values, label)
    while _evaluate(model, values, activations, opset):
        activations = _infer(model, values, label)
    with _valid(label):
        if problems := sequence_problems(model, batched):
            raise UsageError(refusal(label, problems))
    if batch != 1:
        set_batch_to_one(model, values, activations, opset, batch, label)
        activations = _infer(model, values, label)
    return Prepared(
        label,
        opset,
        [i.name for i in model.graph.input],
        [o.name for o in model.graph.output],
        list(model.graph.node),
        values,
        {name: array.shape for name, array in activations.items()},
        {name: array.dtype.name for name, array in activations.items()},
    )


def _read(source: str | os.PathLike[str] | ModelProto) -> tuple[ModelProto, str]:
    if isinstance(source, ModelProto):
        model = ModelProto()
        model.CopyFrom(source)
        return model, source.graph.name or "model"
    path = Path(source)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    with _valid(str(path)):
        model = onnx.load(path, load_external_data=False)
        if missing := missing_files(model, path.parent):
            files = ", ".join(map(repr, missing))
            raise UsageError(f"{path}: its weights are in {files}, not found; put them beside the model")
        onnx.load_external_data_for_model(model, str(path.parent))
    return model, str(path)


@contextmanager
def _valid(label: str) -> Iterator[None]:
    """Around calls of the ONNX package, which raises whatever it meets in a damaged file."""
    try:
        yield
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"{label}: {error.strerror or error}") from None
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(f"{label}: not a valid ONNX model: {reason}") from None


def _check(model: ModelProto, shapes: Mapping[str, Sequence[int]], label: str) -> int:
    """The opset; raises with every reason why the model as a whole cannot be imported."""
    if not model.HasField("graph"):
        raise UsageError(f"{label}: not a valid ONNX model: it holds no graph")
    problems = [*opset_problems(model, IMPORTERS), *input_problems(model.graph, shapes)]
    if problems:
        _drop_dead_nodes(model)
        raise UsageError(refusal(label, [*problems, *hopeless_nodes(model, IMPORTERS)]))
    return next(entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS)


def _say_ranks(model: ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Give inputs and outputs without a shape one, which ONNX's checker asks for.

    Inputs have as many dimensions as the user says; outputs are inferred later.
    """
    for info in (*model.graph.input, *model.graph.output):
        tensor = info.type.tensor_type
        if info.type.HasField("tensor_type") and not tensor.HasField("shape"):
            tensor.shape.SetInParent()
            for _ in shapes.get(info.name, ()):
                tensor.shape.dim.add()


def _fix_inputs(model: ModelProto, shapes: Mapping[str, Sequence[int]]) -> int:
    """Remove initializers from the inputs and give every input a static shape; returns the batch.

    A batch that the file fixes stays for now, since shape arithmetic may depend on it; an open one is 1.
    """
    initializers = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in initializers]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    batch = 1
    for info in model.graph.input:
        tensor, given = info.type.tensor_type, shapes.get(info.name, ())
        batch = max(1, tensor.shape.dim[0].dim_value)
        tensor.shape.dim[0].dim_value = batch
        for dim, length in zip(tensor.shape.dim[1:], given[1:]):
            dim.dim_value = length
    return batch


def _drop_dead_nodes(model: ModelProto) -> None:
    """Forget nodes that no output needs."""
    needed = {output.name for output in model.graph.output}
    live = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            live.append(node)
            needed.update(node.input)
            for attribute in node.attribute:  # a subgraph reads what it likes from outside
                for graph in (attribute.g, *attribute.graphs):
                    needed.update(name for inner in graph.node for name in inner.input)
    _replace_nodes(model, live[::-1])


def _replace_nodes(model: ModelProto, nodes: Sequence[NodeProto]) -> None:
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _infer(model: ModelProto, values: Mapping[str, np.ndarray], label: str) -> dict[str, np.ndarray]:
    """Activation → an array of its shape and type, without memory of its own."""
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    with _valid(label), _inferable(model):
        try:
            graph = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        except shape_inference.InferenceError as error:
            reason = str(error).strip().splitlines()[-1]
            raise UsageError(f"{label}: shapes do not fit together: {reason}") from None
        found = {info.name: _stand_in(info) for info in (*graph.input, *graph.value_info, *graph.output)}
    return {name: array for name, array in found.items() if array is not None and name not in values}


@contextmanager
def _inferable(model: ModelProto) -> Iterator[None]:
    """The model while shapes are inferred: ONNX does not infer that of GroupNormalization, its input's."""
    nodes = [node for node in model.graph.node if node.op_type == "GroupNormalization"]
    for node in nodes:
        node.op_type = "Identity"
    try:
        yield
    finally:
        for node in nodes:
            node.op_type = "GroupNormalization"


def _stand_in(info: ValueInfoProto) -> np.ndarray | None:
    """Zeros of a tensor's shape and type, where both are known."""
    tensor = info.type.tensor_type
    if not tensor.elem_type or not tensor.HasField("shape"):
        return None
    if not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
        return None
    zero = np.zeros((), helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return np.broadcast_to(zero, [dim.dim_value for dim in tensor.shape.dim])


def _evaluate(
    model: ModelProto, values: dict[str, np.ndarray], activations: Mapping[str, np.ndarray], opset: int
) -> bool:
    """Turn nodes whose result is known (stored constants, shape arithmetic) into initializers."""
    left = []
    for node in model.graph.node:
        found = results(node, values, activations, opset)
        if found is None:
            left.append(node)
            continue
        for name, array in zip(node.output, found):
            if name:
                values[name] = array
                model.graph.initializer.append(numpy_helper.from_array(array, name))
    changed = len(left) < len(model.graph.node)
    if changed:
        _replace_nodes(model, left)
    return changed

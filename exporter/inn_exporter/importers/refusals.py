"""Why a file as a whole cannot be imported, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from onnx import GraphProto, ModelProto, TensorProto, external_data_helper

from .precision import NARROW, converted_inputs


def input_problems(graph: GraphProto, shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """What is wrong with the network's inputs; ``shapes`` are those that the user gives."""
    problems = []
    initializers = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in initializers]
    names = [info.name for info in inputs]
    floats = converted_inputs(graph)
    for unknown in sorted(set(shapes) - set(names)):
        problems.append(f"no input is named {unknown!r}; its inputs are {', '.join(names)}")
    batches = []
    for info in inputs:
        where, tensor = f"input {info.name!r}", info.type.tensor_type
        if info.name not in floats:
            problems.append(f"{where}: expected float32, found {_kind(tensor.elem_type)}")
        given, dims = list(shapes.get(info.name, ())), tensor.shape.dim
        lengths = [dim.dim_value for dim in dims]
        if given and tensor.HasField("shape") and len(given) != len(dims):
            problems.append(f"{where} has {len(dims)} dimensions, found shape {given}")
            continue
        lengths = [*lengths[:1], *given[1:]] if given else lengths
        if len(given or lengths) < 2:
            problems.append(f"{where}: expected a batch and at least one dimension more")
            continue
        for axis, length in list(enumerate(lengths))[1:]:
            if length <= 0:
                problems.append(f"{where}: dimension {axis} is open; give its size with --input-shape")
        batches.append(max(1, lengths[0]))
    if len(set(batches)) > 1:
        problems.append(f"its inputs have different batch sizes: {batches}")
    return problems


def _kind(kind: int) -> str:
    """What messages say of an input's type that cannot be read."""
    found = TensorProto.DataType.Name(kind).lower()
    if kind in NARROW:
        return f"{found}, which only a Cast to a float type may read"
    return f"{found}; give embedded tokens" if "int" in found else found


def missing_files(model: ModelProto, folder: Path) -> list[str]:
    """Files with weights that are not beside the model."""
    tensors = [t for t in model.graph.initializer if external_data_helper.uses_external_data(t)]
    locations = {external_data_helper.ExternalDataInfo(tensor).location for tensor in tensors}
    return sorted(location for location in locations if not (folder / location).is_file())


def refusal(label: str, problems: Sequence[str]) -> str:
    """One message for all problems."""
    if len(problems) == 1:
        return f"{label}: {problems[0]}"
    return "\n  ".join([f"{label}: cannot be imported, for {len(problems)} reasons:", *problems])

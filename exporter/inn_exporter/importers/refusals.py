"""Why a file cannot be imported, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, external_data_helper

OPSETS = range(11, 22)
WITHDRAWN = range(18, 21)
"""Opsets whose GroupNormalization has a scale for each group only, which was an error in ONNX."""
DEFAULT_DOMAINS = ("", "ai.onnx")

_CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
_QUANTISED = {
    "ConvInteger",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
}


def unsupported_operator(node: NodeProto) -> str:
    """Why no importer takes a node."""
    if node.domain not in DEFAULT_DOMAINS:
        return f"an operator of the domain {node.domain!r}: export with ONNX's own operators only"
    if node.op_type in _CONTROL_FLOW:
        return "control flow (a subgraph): export with fixed shapes and options, so that it is decided then"
    if node.op_type in _QUANTISED:
        return "a quantised network: export it in float32; --storage int8 makes the bundle small"
    return "this operator is not supported"


def opset_problem(model: ModelProto) -> str | None:
    """What is wrong with the version of the operator set."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]
    found = versions[0] if versions else 0
    if found in WITHDRAWN and any(node.op_type == "GroupNormalization" for node in model.graph.node):
        return f"ONNX withdrew the GroupNormalization of opset {found}; export with opset 21, or 17"
    if found in OPSETS:
        return None
    advice = "onnx.version_converter brings it up" if 0 < found < OPSETS[0] else "export with one of these"
    return f"expected opset {OPSETS[0]} to {OPSETS[-1]}, found {found}; {advice}"


def input_problems(graph: GraphProto, shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """What is wrong with the network's inputs; ``shapes`` are those that the user gives."""
    problems = []
    initializers = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in initializers]
    names = [info.name for info in inputs]
    for unknown in sorted(set(shapes) - set(names)):
        problems.append(f"no input is named {unknown!r}; its inputs are {', '.join(names)}")
    batches = []
    for info in inputs:
        where, tensor = f"input {info.name!r}", info.type.tensor_type
        if tensor.elem_type != TensorProto.FLOAT:
            found = TensorProto.DataType.Name(tensor.elem_type).lower()
            advice = "; give embedded tokens" if "int" in found else ""
            problems.append(f"{where}: expected float32, found {found}{advice}")
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


def hopeless_nodes(graph: GraphProto) -> list[str]:
    """Nodes that nothing will make importable, whatever their inputs are."""
    found = []
    for node in graph.node:
        hopeless = node.op_type in _CONTROL_FLOW | _QUANTISED or node.domain not in DEFAULT_DOMAINS
        if hopeless:
            found.append(f"{node.name or node.output[0]}: {node.op_type}: {unsupported_operator(node)}")
    return found


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

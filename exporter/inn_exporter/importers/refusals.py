"""Why a file cannot be imported, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, defs, external_data_helper, helper

from .precision import NARROW, converted_inputs

OPSETS = range(11, 22)
WITHDRAWN = range(18, 21)
"""Opsets whose GroupNormalization has a scale for each group only, which was an error in ONNX."""
DEFAULT_DOMAINS = ("", "ai.onnx")

WIDENED = {
    "AveragePool": 22,
    "Cast": 28,
    "Conv": 22,
    "ConvTranspose": 22,
    "DepthToSpace": 28,
    "Dropout": 22,
    "Elu": 22,
    "Flatten": 25,
    "GlobalAveragePool": 22,
    "GlobalMaxPool": 22,
    "HardSigmoid": 22,
    "HardSwish": 22,
    "Identity": 25,
    "InstanceNormalization": 22,
    "MaxPool": 22,
    "Pad": 25,
    "Reshape": 25,
    "Softplus": 22,
    "Squeeze": 25,
    "Transpose": 25,
    "Unsqueeze": 25,
}
"""Operators of which later opsets say only that they take more types, and the last version that was read."""
_REDEFINED = {"AveragePool": "ceil_mode", "MaxPool": "ceil_mode"}
"""… unless this attribute is set: opset 22 also says which windows there are."""
LOOKS_ONLY = {"Shape": 0, "Size": 0, "CastLike": 1}
"""Operators that ask an input for no more than its shape and type, and which input."""

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


_CUT = "cut the network before it, for example with onnx.utils.extract_model"
_REASONS = {
    **dict.fromkeys(
        _CONTROL_FLOW,
        "control flow (a subgraph): export with fixed shapes and options, so that it is decided then",
    ),
    **dict.fromkeys(
        _QUANTISED, "a quantised network: export it in float32; --storage int8 makes the bundle small"
    ),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), f"recurrent layers are not supported yet; {_CUT}"),
    **dict.fromkeys(
        (
            "ArgMax",
            "ArgMin",
            "GatherElements",
            "GatherND",
            "NonMaxSuppression",
            "NonZero",
            "RoiAlign",
            "TopK",
        ),
        f"post-processing: {_CUT}",
    ),
    **dict.fromkeys(
        ("AffineGrid", "GridSample"),
        f"pixels at computed places are not supported: use Resize for fixed ones, or {_CUT}",
    ),
}


def unsupported_operator(node: NodeProto) -> str:
    """Why no importer takes a node."""
    if node.domain not in DEFAULT_DOMAINS:
        return f"an operator of the domain {node.domain!r}: export with ONNX's own operators only"
    return _REASONS.get(node.op_type, "this operator is not supported")


def unsupported_form(node: NodeProto, shapes: Mapping[str, Sequence[int]]) -> str | None:
    """Why a node is of a kind that its operator's importer need not see."""
    if node.op_type in ("Conv", "ConvTranspose") and len(shapes.get(node.input[0], ())) == 5:
        kind = "convolution" if node.op_type == "Conv" else "transposed convolution"
        return (
            f"3-D {kind} is not supported, only 1-D and 2-D: make it of 2-D layers, with frames as channels, "
            f"or {_CUT}"
        )
    return None


def opset_problems(model: ModelProto, imported: Collection[str]) -> list[str]:
    """What is wrong with the version of the operator set; ``imported`` are operators that importers read."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]
    found = versions[0] if versions else 0
    nodes = [node for body in (model.graph, *model.functions) for node in body.node]
    used = {node.op_type for node in nodes if node.domain in DEFAULT_DOMAINS}
    if found in WITHDRAWN and "GroupNormalization" in used:
        return [f"ONNX withdrew the GroupNormalization of opset {found}; export with opset 21, or 17"]
    if found in OPSETS:
        return []
    if not OPSETS[-1] < found <= defs.onnx_opset_version():
        old = 0 < found < OPSETS[0]
        advice = "onnx.version_converter brings it up" if old else "export with one of these"
        return [f"expected opset {OPSETS[0]} to {OPSETS[-1]}, found {found}; {advice}"]
    problems = []
    for op in sorted(used.intersection(imported)):
        since = defs.get_schema(op, found).since_version
        attribute = _REDEFINED.get(op)
        redefined = any(
            helper.get_attribute_value(entry)
            for node in nodes
            for entry in node.attribute
            if node.op_type == op and entry.name == attribute
        )
        if since > max(OPSETS[-1], WIDENED.get(op, 0)) or (since > OPSETS[-1] and redefined):
            what = f"{op} with {attribute}" if redefined else op
            problems.append(
                f"{what} of opset {since} may differ from what it was up to opset {OPSETS[-1]} (the file's "
                f"is {found}); export with opset {OPSETS[-1]}"
            )
    return problems


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


def hopeless_nodes(model: ModelProto, imported: Collection[str]) -> list[str]:
    """Nodes that nothing will make importable, whatever the inputs' shapes and types are.

    An operator without an importer is none as long as it may be arithmetic on shapes alone.
    """
    functions = {(function.domain, function.name) for function in model.functions}
    values = {info.name for info in model.graph.input} - {tensor.name for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        skipped = LOOKS_ONLY.get(node.op_type)
        depends = any(name in values for place, name in enumerate(node.input) if place != skipped)
        if depends:
            values.update(filter(None, node.output))
        if (node.domain, node.op_type) in functions:
            continue
        foreign = node.domain not in DEFAULT_DOMAINS or node.op_type in _CONTROL_FLOW
        if foreign or (depends and node.op_type not in imported):
            name = node.name or next(filter(None, node.output), node.op_type)
            found.append(f"{name}: {node.op_type}: {unsupported_operator(node)}")
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

"""Why a node cannot be imported whatever its importer says, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from onnx import ModelProto, NodeProto

from .evaluation import LOOKS_ONLY
from .opsets import DEFAULT_DOMAINS

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
    "RNN": f"of the recurrent layers, LSTM and GRU are supported; {_CUT}",
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
        ("And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "Less", "LessOrEqual", "Not", "Or", "Xor"),
        f"a condition that is computed: {_CUT}",
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


def unsupported_form(node: NodeProto, constants: Mapping[str, Sequence[int]]) -> str | None:
    """Why a node is of a kind that its operator's importer need not see; ``constants`` are their shapes."""
    if node.op_type in ("Conv", "ConvTranspose") and len(constants.get(node.input[1], ())) == 5:
        kind = "convolution" if node.op_type == "Conv" else "transposed convolution"
        return (
            f"3-D {kind} is not supported, only 1-D and 2-D: make it of 2-D layers, with frames as channels, "
            f"or {_CUT}"
        )
    return None


def hopeless_nodes(model: ModelProto, imported: Collection[str]) -> list[str]:
    """Nodes that nothing will make importable, whatever the inputs' shapes and types are.

    An operator without an importer is none as long as it may be arithmetic on shapes alone.
    """
    constants = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    functions = {(function.domain, function.name) for function in model.functions}
    values = {info.name for info in model.graph.input} - constants.keys()
    found = []
    for node in model.graph.node:
        skipped = LOOKS_ONLY.get(node.op_type)
        depends = any(name in values for place, name in enumerate(node.input) if place != skipped)
        if depends:
            values.update(filter(None, node.output))
        if (node.domain, node.op_type) in functions:
            continue
        foreign = node.domain not in DEFAULT_DOMAINS or node.op_type in _CONTROL_FLOW
        reason = None if foreign else unsupported_form(node, constants)
        if foreign or (depends and node.op_type not in imported):
            reason = unsupported_operator(node)
        if reason:
            name = node.name or next(filter(None, node.output), node.op_type)
            found.append(f"{name}: {node.op_type}: {reason}")
    return found

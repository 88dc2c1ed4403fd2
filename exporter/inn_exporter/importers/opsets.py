"""Which versions of ONNX's operator set can be read, and with which operators."""

from __future__ import annotations

from collections.abc import Collection

from onnx import ModelProto, defs, helper

OPSETS = range(11, 22)
"""Those that importers were written for."""
WITHDRAWN = range(18, 21)
"""Opsets whose GroupNormalization has a scale for each group only, which was an error in ONNX."""
DEFAULT_DOMAINS = ("", "ai.onnx")

WIDENED = {
    "AveragePool": 22,
    "Cast": 28,
    "Celu": 28,
    "Conv": 22,
    "ConvTranspose": 22,
    "DepthToSpace": 28,
    "Dropout": 22,
    "Einsum": 28,
    "Elu": 22,
    "Flatten": 25,
    "GlobalAveragePool": 22,
    "GlobalMaxPool": 22,
    "GRU": 22,
    "HardSigmoid": 22,
    "HardSwish": 22,
    "Identity": 25,
    "InstanceNormalization": 22,
    "LSTM": 22,
    "LpNormalization": 22,
    "MaxPool": 22,
    "Mish": 22,
    "Pad": 25,
    "Reshape": 25,
    "Selu": 22,
    "Softplus": 22,
    "Softsign": 22,
    "Squeeze": 25,
    "Transpose": 25,
    "Unsqueeze": 25,
}
"""Operators of which later opsets say only that they take more types, and the last version that was read."""
_REDEFINED = {"AveragePool": "ceil_mode", "MaxPool": "ceil_mode"}
"""… unless this attribute is set: opset 22 also says which windows there are."""


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

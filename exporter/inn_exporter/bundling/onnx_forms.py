"""In which opset a network is written as ONNX, and how that opset spells each of its nodes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from onnx import NodeProto, TensorProto, defs, helper, numpy_helper

from ..execution.onnx_graph import step_constant
from ..importers.opsets import OPSETS, WIDENED
from ..operators.base import OnnxStep

_COUNTED = "num_outputs"
"""An attribute that says what the outputs say; opsets without it do not miss it."""


def opset_for(steps: Iterable[tuple[OnnxStep, int]], wanted: int) -> int:
    """The opset that a network is written in: the wanted one if it can say all steps, else the next later
    one that can, else the next earlier one. Opset 17 always can.

    Parameters
    ----------
    steps : ONNX nodes, and the first opset in which each has the meaning that is meant
    """
    known = list(steps)
    first = max((since for _, since in known), default=OPSETS[0])
    candidates = [
        *range(max(wanted, first), defs.onnx_opset_version() + 1),
        *reversed(range(first, wanted)),
    ]
    return next(v for v in candidates if all(in_opset(step, "", v) is not None for step, _ in known))


def in_opset(step: OnnxStep, name: str, opset: int) -> tuple[NodeProto, list[TensorProto]] | None:
    """A step as the opset spells it, and constants that only it reads; None where the opset cannot.

    What one opset has as an attribute is an input in another (``axes``).
    """
    schema = _schema(step.op, opset)
    if schema is None:
        return None
    ports = [port.name for port in schema.inputs]
    attributes, constants, inputs = {}, dict(step.constants), list(step.inputs)
    for key in [key for key in constants if key in schema.attributes]:
        attributes[key] = constants.pop(key)
    for key, value in step.attributes.items():
        if key in schema.attributes:
            attributes[key] = value
        elif key in ports:
            constants[key] = value
        elif key != _COUNTED:
            return None
    extra = []
    for place, tensor in enumerate(inputs):
        port = schema.inputs[min(place, len(ports) - 1)]
        if not tensor and port.option == defs.OpSchema.FormalParameterOption.Single:
            inputs[place] = f"{name}.{port.name}"  # needed, but of no effect if empty
            extra.append(numpy_helper.from_array(np.zeros(0, np.float32), inputs[place]))
    for key, value in constants.items():
        extra.append(step_constant(value, f"{name}.{key}"))
        inputs.append(f"{name}.{key}")
    outputs = step.outputs or (step.output,)
    return helper.make_node(step.op, inputs, outputs, name=name, **attributes), extra


def _schema(op: str, opset: int) -> defs.OpSchema | None:
    """What an operator is in an opset; None where it is not there, or may mean something else."""
    try:
        schema = defs.get_schema(op, opset)
    except defs.SchemaError:
        return None
    known = schema.since_version <= max(OPSETS[-1], WIDENED.get(op, 0))
    return schema if known and not schema.deprecated else None

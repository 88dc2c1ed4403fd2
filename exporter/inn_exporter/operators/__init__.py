"""The operator registry: one entry per operator, in one place.

To add an operator, write a subclass of `Operator` with its axis rule, its forward pass in MindSpore
and its lowering, decorate it with `@register`, and give it one or more `@imports` functions that turn
ONNX nodes into it. Nothing else, in the exporter or in the runtime, knows operators. The tests ask for a
case in `tests/exporter/support/operator_cases.py`.
"""

from . import (
    activations,
    choosing,
    composed,
    conditions,
    convolution,
    deconvolution,
    dense,
    einsum,
    elementwise,
    extremes,
    functions,
    gru,
    joining,
    lstm,
    normalisation,
    padding,
    pooling,
    reductions,
    resampling,
    shaping,
)
from .base import Operator
from .registry import IMPORTERS, OPERATORS, SEVERAL_OUTPUTS, operator

__all__ = [
    "IMPORTERS",
    "OPERATORS",
    "SEVERAL_OUTPUTS",
    "Operator",
    "activations",
    "choosing",
    "composed",
    "conditions",
    "convolution",
    "deconvolution",
    "dense",
    "einsum",
    "elementwise",
    "extremes",
    "functions",
    "gru",
    "joining",
    "lstm",
    "normalisation",
    "operator",
    "padding",
    "pooling",
    "reductions",
    "resampling",
    "shaping",
]

"""Convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import expressions
from ..backend import ops
from ..graph import Node
from ..primitives import FORMAT_NHWC, PAD_EXPLICIT
from ..structure import Structure, fixed
from .base import Operator
from .registry import imports, register

if TYPE_CHECKING:
    from ..importers.node import OnnxNode
    from ..lowering import Lowering


@register
class Conv(Operator):
    """2-D convolution, dense or depthwise. W is (O, I/group, kh, kw); pads are top, left, bottom, right."""

    fuses_activation = True
    linear = True

    def axes(self, node: Node, structure: Structure) -> None:
        x, weight, *bias = node.inputs
        outputs, _, height, width = structure.graph.shape(weight)
        _, _, out_height, out_width = structure.graph.shape(node.output)
        if node.attributes["group"] == 1:
            channels = structure.new_axis(outputs, node.name)
            integrated = structure.integrated(x, 1)
        else:  # depthwise: every channel is filtered on its own
            channels = structure.dims[x][1]
            integrated = fixed(1)
        structure.set(weight, [channels, integrated, fixed(height), fixed(width)])
        for name in bias:
            structure.set(name, [channels])
        structure.set(node.output, [fixed(1), channels, fixed(out_height), fixed(out_width)])

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, weight, bias = (*inputs, None)[:3]
        attributes = node.attributes
        top, left, bottom, right = attributes["pads"]
        padding: tuple[int, int] = (top, left)
        if (top, left) != (bottom, right):
            x, padding = ops().pad(x, (left, right, top, bottom)), (0, 0)
        depthwise = attributes["group"] != 1
        return ops().conv2d(
            x,
            weight,
            bias,
            stride=attributes["strides"],
            pad_mode="pad",
            padding=padding,
            dilation=attributes["dilations"],
            groups=x.shape[1] if depthwise else 1,
        )

    def lower(self, node: Node, lowering: Lowering) -> None:
        x, weight, *bias = node.inputs
        top, left, bottom, right = node.attributes["pads"]
        _, _, height, width = lowering.shape(weight)
        _, _, out_height, out_width = lowering.shape(node.output)
        depthwise = node.attributes["group"] != 1
        inputs = lowering.length(x, 1)
        outputs = lowering.length(weight, 0)
        lowering.emit(
            "Conv2DFusion",
            node,
            [
                lowering.variable(x),
                lowering.weight(weight, (0, 2, 3, 1)),
                *(lowering.weight(name) for name in bias),
            ],
            format=FORMAT_NHWC,
            kernel_size=[height, width],
            stride=list(node.attributes["strides"]),
            dilation=list(node.attributes["dilations"]),
            pad_mode=PAD_EXPLICIT,
            pad_list=[top, bottom, left, right],
            mode=0,
            group=inputs if depthwise else 1,
            in_channel=inputs,
            out_channel=outputs,
            **lowering.fused_activation(node),
        )
        taps = expressions.constant(height * width * out_height * out_width)
        lowering.count_macs(taps, outputs, lowering.length(weight, 1))


@imports("Conv")
def _conv(node: OnnxNode) -> Node:
    x = node.shape(0)
    weight = node.weight(1)
    if len(x) != 4:
        raise node.unsupported(f"only 2-D convolution, found input shape {x}")
    group = node.integer("group", 1)
    if group != 1 and not (group == x[1] == weight.shape[0] and weight.shape[1] == 1):
        raise node.unsupported(f"grouped convolution that is not depthwise (group {group})")
    attributes = node.window(weight.shape[2:], x[2:])
    names = [node.input(0), node.constant_name(1)]
    bias = node.constant_name(2) if node.has(2) else node.new_constant("bias", np.zeros(weight.shape[0], np.float32))
    kernel = weight.shape[2:]
    return node.canonical("Conv", [*names, bias], kernel_shape=kernel, group=group, **attributes)

"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import ops
from ..graph import expressions
from ..graph.graph import Node
from .convolution import Convolution, blocks, patches, spans
from .primitives import FORMAT_NHWC, NHWC, PAD_EXPLICIT
from .registry import imports, register

if TYPE_CHECKING:
    from ..graph.view import View
    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


@register
class ConvTranspose(Convolution):
    """2-D transposed convolution: every position of x adds W times its value to a window of the output.

    W is laid out as for a convolution, (O, I, kh, kw), where ONNX has (I, O, kh, kw). ``pads`` are cut off
    the output, which ``output_padding`` (height, width) makes larger at the bottom and the right.
    """

    def sees_one_position(self, node: Node, kernel: Sequence[int]) -> bool:
        return False

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, weight, bias = inputs
        attributes = node.attributes
        top, left, bottom, right = attributes["pads"]
        depthwise = node.depthwise
        operator = ops().Conv2DTranspose(
            out_channel=x.shape[1],  # of the convolution that this one is the transpose of
            kernel_size=attributes["kernel_shape"],
            pad_mode="pad",
            pad=(top, bottom, left, right),
            stride=attributes["strides"],
            dilation=attributes["dilations"],
            group=x.shape[1] if depthwise else 1,
        )
        shape = (x.shape[0], weight.shape[0], *_extent(node, x.shape[2:]))
        summed = operator(x, weight if depthwise else weight.swapaxes(0, 1), shape)
        return summed + bias.reshape((1, -1, 1, 1))

    def unfold(self, node: Node, x: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """As for a convolution with the kernel turned round, over x with zeros between its values."""
        images, channels, height, width = x.shape
        reach, strides = spans(node), node.attributes["strides"]
        top, left, _, _ = node.attributes["pads"]
        out_height, out_width = _extent(node, (height, width))
        # What the output at p reads ends in row p + top of x spread out, so starts there in this frame.
        frame = [
            span - 1 + max((n - 1) * stride + 1, cut + out)
            for n, stride, span, cut, out in zip(
                (height, width), strides, reach, (top, left), (out_height, out_width)
            )
        ]
        spread = np.zeros((images, channels, *frame), x.dtype)
        rows, columns = (slice(span - 1, None, stride) for span, stride in zip(reach, strides))
        spread[:, :, rows, columns][:, :, :height, :width] = x
        seen = spread[:, :, top : top + out_height + reach[0] - 1, left : left + out_width + reach[1] - 1]
        features = patches(seen, reach, (1, 1), node.attributes["dilations"], positions)[:, ::-1, ::-1]
        return blocks(features, channels if node.depthwise else 1)

    def onnx_permutation(self, node: Node, name: str) -> tuple[int, ...] | None:
        return (1, 0, 2, 3) if name == node.inputs[1] and not node.depthwise else None

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        x, weight, _ = node.inputs
        attributes = node.attributes
        top, left, bottom, right = attributes["pads"]
        _, _, in_height, in_width = lowering.shape(x)
        _, _, height, width = lowering.shape(weight)
        depthwise = node.depthwise
        inputs, outputs = lowering.length(x, 1), lowering.length(weight, 0)
        layout = NHWC if depthwise else (1, 2, 3, 0)
        lowering.emit(
            "Conv2dTransposeFusion",
            node,
            [lowering.variable(x), *lowering.kernel_and_bias(node, layout)],
            format=FORMAT_NHWC,
            kernel_size=[height, width],
            stride=list(attributes["strides"]),
            dilation=list(attributes["dilations"]),
            pad_mode=PAD_EXPLICIT,
            pad=[0, 0, 0, 0],
            pad_list=[top, bottom, left, right],
            mode=0,
            group=inputs if depthwise else 1,
            in_channel=inputs,
            out_channel=outputs,
            output_paddings=list(attributes["output_padding"]),
            **lowering.fused_activation(node),
        )
        taps = expressions.constant(height * width * in_height * in_width)
        lowering.count_macs(taps, outputs, lowering.length(weight, 1))


def _extent(node: Node, size: Sequence[int]) -> tuple[int, ...]:
    """Height and width of the output for an input of ``size``."""
    attributes, pads = node.attributes, node.attributes["pads"]
    terms = zip(size, attributes["strides"], spans(node), attributes["output_padding"], pads, pads[2:])
    return tuple((n - 1) * stride + span + more - sum(cut) for n, stride, span, more, *cut in terms)


@imports("ConvTranspose")
def _conv_transpose(node: OnnxNode) -> Node | View:
    x, weight = node.shape(0), node.weight(1)
    if len(x) not in (3, 4) or weight.ndim != len(x):
        raise node.unsupported(f"only 1-D and 2-D transposed convolution, found input shape {x}")
    if x[1] != weight.shape[0]:  # ONNX's shape inference does not look
        raise node.unsupported(f"a weight of shape {weight.shape} for an input of shape {x}")
    group = node.integer("group", 1)
    if group != 1 and not (group == x[1] and weight.shape[1] == 1):  # MindSpore Lite 2.0 has no kernel
        weight, group = _dense(weight, group), 1
    kernel = weight.shape[2:]
    attributes = node.transposed_window(kernel, x[2:])
    if group != 1 and set(attributes["dilations"]) != {1}:  # MindSpore Lite 2.0 has no kernel
        raise node.unsupported("depthwise transposed convolution with dilation")
    if 0 in node.output_shape:
        raise node.unsupported(f"pads that leave an output of {node.output_shape}")
    if group == 1:
        weight = weight.swapaxes(0, 1)
    if len(x) == 3:  # rows of one pixel
        weight, kernel = weight[:, :, None], (1, *kernel)
        before, after = attributes["pads"]
        attributes = {name: (1, *values) for name, values in attributes.items()}
        attributes["pads"] = (0, before, 0, after)
        attributes["output_padding"] = (0, attributes["output_padding"][1])
    names = [node.new_constant("weight", weight, of=1)]
    if node.has(2):
        names.append(node.constant_name(2))
    else:
        names.append(node.new_constant("bias", np.zeros(weight.shape[0], np.float32)))
    attributes.update(kernel_shape=kernel)
    if len(x) == 4:
        return node.canonical("ConvTranspose", [node.input(0), *names], group=group, **attributes)
    row, target = node.in_one_row()
    return node.computed("ConvTranspose", [row, *names], target, group=group, **attributes)


def _dense(weight: np.ndarray, group: int) -> np.ndarray:
    """A grouped convolution's weight (I, O/group, kh, kw) as that of a dense one, (I, O, kh, kw)."""
    inputs, outputs, *kernel = weight.shape
    blocks = np.zeros((group, inputs // group, group, outputs, *kernel), weight.dtype)
    each = np.arange(group)
    blocks[each, :, each] = weight.reshape(group, -1, outputs, *kernel)
    return blocks.reshape(inputs, group * outputs, *kernel)

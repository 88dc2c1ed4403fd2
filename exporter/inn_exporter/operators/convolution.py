"""Convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..backend import ops
from ..graph import expressions
from ..graph.dimensions import fixed
from ..graph.graph import Node
from ..graph.structure import Structure
from ..graph.view import View
from .base import Operator
from .padding import emit_pad
from .primitives import FORMAT_NHWC, NHWC, PAD_EXPLICIT
from .registry import imports, register

if TYPE_CHECKING:
    from onnx import NodeProto

    from .lowering import LoweringContext
    from .onnx_node import OnnxNode


class Convolution(Operator):
    """2-D convolutions, dense or depthwise.

    W is (O, I/group, kh, kw), b (O); pads are top, left, bottom, right. A depthwise convolution's ``group``
    is its number of channels at full size.
    """

    fuses_activation = True
    linear = True

    def axes(self, node: Node, structure: Structure) -> None:
        x, weight, bias = node.inputs
        structure.read_as_positions(x)
        outputs, _, height, width = structure.graph.shape(weight)
        _, _, out_height, out_width = structure.graph.shape(node.output)
        if not node.depthwise:
            channels = structure.new_axis(outputs, node.name)
            integrated = structure.integrated(x, 1)
        else:  # depthwise: every channel is filtered on its own
            channels = structure.dims[x][1]
            integrated = fixed(1)
        structure.set(weight, [channels, integrated, fixed(height), fixed(width)])
        structure.set(bias, [channels])
        structure.set(node.output, [fixed(1), channels, fixed(out_height), fixed(out_width)])

    def resize_onnx(self, node: NodeProto, constants: Mapping[str, np.ndarray]) -> None:
        outputs, inputs = constants[node.input[1]].shape[:2]
        for attribute in node.attribute:
            # A depthwise convolution has no more outputs than groups, a grouped one no fewer.
            if attribute.name == "group" and attribute.i != 1 and inputs == 1:
                attribute.i = min(attribute.i, outputs)


@register
class Conv(Convolution):
    """2-D convolution."""

    def forward(self, node: Node, inputs: Sequence[Any]) -> Any:
        x, weight, bias = inputs
        top, left, bottom, right = node.attributes["pads"]
        convolution = ops().Conv2D(
            weight.shape[0],
            tuple(weight.shape[2:]),
            pad_mode="pad",
            pad=(top, bottom, left, right),
            stride=tuple(node.attributes["strides"]),
            dilation=tuple(node.attributes["dilations"]),
            group=self.groups(node, x.shape[1]),
        )
        return ops().bias_add(convolution(x, weight), bias)

    def groups(self, node: Node, channels: int) -> int:
        """In how many blocks the input's channels are filtered."""
        return channels if node.depthwise else 1

    def unfold(self, node: Node, x: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        top, left, bottom, right = node.attributes["pads"]
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        strides, dilations = node.attributes["strides"], node.attributes["dilations"]
        features = patches(padded, spans(node), strides, dilations, positions)
        return blocks(features, self.groups(node, x.shape[1]))

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        x, weight, _ = node.inputs
        _, _, height, width = lowering.shape(weight)
        _, _, out_height, out_width = lowering.shape(node.output)
        source, (top, left, bottom, right) = lowering.variable(x), node.attributes["pads"]
        if _needs_padded_copy(node, lowering.shape(x), lowering.shape(node.output)):
            source = emit_pad(node, lowering, source, (0, 0, top, left, 0, 0, bottom, right), "padded")
            top = left = bottom = right = 0
        inputs = lowering.length(x, 1)
        outputs = lowering.length(weight, 0)
        lowering.emit(
            "Conv2DFusion",
            node,
            [source, *lowering.kernel_and_bias(node, NHWC)],
            format=FORMAT_NHWC,
            kernel_size=[height, width],
            stride=list(node.attributes["strides"]),
            dilation=list(node.attributes["dilations"]),
            pad_mode=PAD_EXPLICIT,
            pad_list=[top, bottom, left, right],
            mode=0,
            group=inputs if node.depthwise else self.groups(node, 0),
            in_channel=inputs,
            out_channel=outputs,
            **lowering.fused_activation(node),
        )
        taps = expressions.constant(height * width * out_height * out_width)
        lowering.count_macs(taps, outputs, lowering.length(weight, 1))


@register
class GroupedConv(Conv):
    """2-D convolution in ``groups`` blocks of channels, each of which loses the same channels when resized.

    W is (O, I/groups, kh, kw), a block's rows one after the other.
    """

    onnx_op = "Conv"
    own_rows = False

    def axes(self, node: Node, structure: Structure) -> None:
        x, weight, bias = node.inputs
        structure.read_as_positions(x)
        count = node.attributes["groups"]
        outputs, _, height, width = structure.graph.shape(weight)
        _, _, out_height, out_width = structure.graph.shape(node.output)
        (block,) = structure.refined(structure.dims[x][1], outer=count)
        block = replace(block, quadrature=structure.integrated(x, 1)[0].quadrature)
        produced = structure.repeated(structure.new_axis(outputs // count, node.name), count)
        structure.set(weight, [produced, (block,), fixed(height), fixed(width)])
        structure.set(bias, [produced])
        structure.set(node.output, [fixed(1), produced, fixed(out_height), fixed(out_width)])

    def groups(self, node: Node, channels: int) -> int:
        return int(node.attributes["groups"])

    def onnx_attributes(self, node: Node) -> dict[str, Any]:
        attributes = dict(node.attributes)
        attributes["group"] = attributes.pop("groups")
        return attributes

    def lower(self, node: Node, lowering: LoweringContext) -> None:
        super().lower(node, lowering)
        lowering.one_image = True  # MindSpore Lite 2.0 reads beyond its memory at larger batches


def spans(node: Node) -> list[int]:
    """Height and width of a window, dilation included."""
    kernel, dilations = node.attributes["kernel_shape"], node.attributes["dilations"]
    return [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations)]


def blocks(features: np.ndarray, count: int) -> np.ndarray:
    """Patches (I, kh, kw, images, positions) as (blocks, features, samples)."""
    channels, height, width, images, positions = features.shape
    return features.reshape(count, channels // count * height * width, images * positions)


def patches(
    x: np.ndarray,
    spans: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    positions: np.ndarray | None = None,
) -> np.ndarray:
    """What windows see of x (images, I, …), as (I, kh, kw, images, positions); all windows by default."""
    windows = sliding_window_view(x, spans, axis=(2, 3))  # type: ignore[call-overload]
    rows, columns = (slice(None, None, step) for step in strides)
    taps = tuple(slice(None, None, step) for step in dilations)
    found: np.ndarray = windows[:, :, rows, columns][(..., *taps)]
    if positions is None:
        positions = np.arange(found.shape[2] * found.shape[3])
    return found[:, :, positions // found.shape[3], positions % found.shape[3]].transpose(1, 3, 4, 0, 2)


def _needs_padded_copy(node: Node, shape: tuple[int, ...], output: tuple[int, ...]) -> bool:
    """Whether MindSpore Lite 2.0's convolutions would leave their memory (found by fuzzing).

    They read uninitialised values for windows whose taps all lie in the padding, and write beyond the
    output where more windows start in the leading padding than there are windows.
    """
    for axis in (0, 1):
        stride, pad = node.attributes["strides"][axis], node.attributes["pads"][axis]
        start = np.arange(output[2 + axis]) * stride - pad
        steps = np.arange(node.attributes["kernel_shape"][axis]) * node.attributes["dilations"][axis]
        taps = start[:, None] + steps
        reached = ((taps >= 0) & (taps < shape[2 + axis])).any(1)
        if not reached.all() or -(-pad // stride) > len(start):
            return True
    return False


@imports("Conv")
def _conv(node: OnnxNode) -> Node | View:
    shape, weight = node.shape(0), node.weight(1)
    if len(shape) not in (3, 4) or weight.ndim != len(shape):
        raise node.unsupported(f"only 1-D and 2-D convolution, found input shape {shape}")
    group = node.integer("group", 1)
    if shape[1] != weight.shape[1] * group:  # ONNX's shape inference does not look
        raise node.unsupported(f"a weight of shape {weight.shape} for an input of shape {shape}")
    attributes: dict[str, Any] = {**node.window(weight.shape[2:], shape[2:])}
    if node.has(2):
        bias = node.constant_name(2)
    else:
        bias = node.new_constant("bias", np.zeros(weight.shape[0], np.float32))
    if len(shape) == 4:
        x, target, kernel = node.input(0), View.whole("", node.output_shape), node.constant_name(1)
    else:  # rows of one pixel
        x, target = node.in_one_row()
        kernel = node.new_constant("weight", weight[:, :, None], of=1)
        attributes = {
            "strides": (1, *attributes["strides"]),
            "dilations": (1, *attributes["dilations"]),
            "pads": (0, attributes["pads"][0], 0, attributes["pads"][1]),
        }
    attributes["kernel_shape"] = (1, *weight.shape[2:])[-2:]
    if group != 1 and not (group == shape[1] == weight.shape[0]):
        return node.computed("GroupedConv", [x, kernel, bias], target, groups=group, **attributes)
    return node.computed("Conv", [x, kernel, bias], target, group=group, **attributes)

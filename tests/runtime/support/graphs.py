"""Bundles of one node, and what may not be said of it: one entry a rule, for both loaders.

A node is written as its primitive's name, its inputs and its attributes. An input is a shape: a tuple of a
variable, a list of a weight; constants are an array.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny
from inn_runtime.format.primitives import table

Node = tuple[str, Sequence[Any], Mapping[str, Any]]

NUMBERS = {rule.name: number for number, rule in table().items()}


def one_node(
    node: Node, output: Sequence[int], **changes: Any
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Manifest and tensors of a network of one node; variables are its inputs, in the engine's layout."""
    name, inputs, attributes = node
    slots = {rule.name: (slot, rule.type) for slot, rule in table()[NUMBERS[name]].attributes.items()}
    tensors: list[dict[str, Any]] = []
    weights: list[dict[str, Any]] = []
    ports: list[dict[str, Any]] = []
    values = {}
    for index, given in enumerate(inputs):
        entry: dict[str, Any] = {"name": f"t{index}"}
        if isinstance(given, np.ndarray):
            entry |= {"values": given.reshape(-1).tolist(), "shape": list(given.shape)}
        elif isinstance(given, tuple):
            entry |= {"dims": list(given)}
            shape = [given[0], given[3], given[1], given[2]] if len(given) == 4 else list(given)
            ports.append({"name": entry["name"], "tensor": index, "shape": shape})
        else:
            entry |= {"weight": len(weights)}
            weights.append({"name": entry["name"], "dims": [[{"inner": n}] for n in given]})
            values[f"weight/{entry['name']}"] = np.ones(given, np.float32)
        tensors.append(entry)
    tensors.append({"name": "y"})
    document = {
        **tiny.manifest(),
        **{
            "inputs": ports,
            "groups": [],
            "quadratures": [],
            "weights": weights,
            "tensors": tensors,
            "macs": 1,
        },
        "outputs": [{"name": "y", "tensor": len(inputs), "shape": list(output)}],
        "sizes": [{**tiny.manifest()["sizes"][1], "widths": []}],
        "nodes": [
            {
                **{"name": "n", "primitive": NUMBERS[name], "inputs": list(range(len(inputs)))},
                "attributes": [[*slots[key], value] for key, value in attributes.items()],
                "outputs": [len(inputs)],
            }
        ],
        **changes,
    }
    return document, values


def write(path: Path, node: Node, output: Sequence[int], **changes: Any) -> Path:
    """A bundle of one node."""
    return tiny.write(path, *one_node(node, output, **changes))


def _ints(*values: Any) -> np.ndarray:
    return np.array(values, np.int64)


CONVOLUTION: dict[str, Any] = {
    **{"format": 1, "kernel_size": [3, 3], "stride": [1, 1], "dilation": [1, 1], "pad_mode": 0},
    **{"pad_list": [1, 1, 1, 1], "mode": 0, "group": 1, "in_channel": 2, "out_channel": 4},
}
DECONVOLUTION: dict[str, Any] = {**CONVOLUTION, "pad": [0, 0, 0, 0], "output_paddings": [0, 0]}
POOL: dict[str, Any] = {"kernel_size": [2, 2], "strides": [2, 2], "pad": [0, 0, 0, 0], "format": 1}
MATMUL: dict[str, Any] = {"transpose_a": False, "transpose_b": True}
RESIZE: dict[str, Any] = {"format": 1, "method": 0, "coordinate_transform_mode": 1}
IMAGE, KERNEL, BIAS = (1, 5, 6, 2), [4, 3, 3, 2], [4]


def _conv(inputs: Sequence[Any] = (IMAGE, KERNEL, BIAS), **changes: Any) -> Node:
    return "Conv2DFusion", inputs, {**CONVOLUTION, **changes}


def _deconv(inputs: Sequence[Any] = (IMAGE, [2, 3, 3, 4], BIAS), **changes: Any) -> Node:
    return "Conv2dTransposeFusion", inputs, {**DECONVOLUTION, **changes}


def _pool(**changes: Any) -> Node:
    return "MaxPoolFusion", [IMAGE], {**POOL, **changes}


def _slice(begin: Any, end: Any, axes: Any, strides: Any) -> Node:
    return "StridedSlice", [(1, 6, 3), *(_ints(*values) for values in (begin, end, axes, strides))], {}


def _reduce(axes: np.ndarray, **changes: Any) -> Node:
    return "ReduceFusion", [(1, 6, 3), axes], {"keep_dims": True, "mode": 0, "coeff": 1.0, **changes}


GOOD: list[tuple[Node, Sequence[int]]] = [
    (_conv(), (1, 5, 6, 4)),
    (_conv([IMAGE, [2, 3, 3, 1], [2]], group=2, out_channel=2), (1, 5, 6, 2)),
    (_conv([(1, 4, 4, 2), KERNEL], dilation=[5, 5], stride=[5, 5], pad_list=[5, 5, 5, 5]), (1, 1, 1, 4)),
    (_deconv(), (1, 5, 6, 4)),
    (_deconv(stride=[2, 3], output_paddings=[1, 2]), (1, 10, 18, 4)),
    (_pool(), (1, 2, 3, 2)),
    (_pool(**{"global": True, "kernel_size": [1, 1], "strides": [1, 1]}), (1, 1, 1, 2)),
    (("MatMulFusion", [(1, 6), [3, 6], [3]], MATMUL), (1, 3)),
    (("MatMulFusion", [(1, 2, 6), (1, 2, 6)], MATMUL), (1, 2, 2)),
    (("AddFusion", [(1, 4, 3), [3]], {}), (1, 4, 3)),
    (("Concat", [(1, 4), (1, 3)], {"axis": -1}), (1, 7)),
    (_slice([1], [6], [1], [2]), (1, 3, 3)),
    (_reduce(_ints(2, 1)), (1, 1, 1)),
    (("Reshape", [(1, 6, 4), _ints(-1, 2, 12)], {}), (1, 2, 12)),
    (("Gather", [(1, 6, 4), _ints(5, 0), _ints(-1 + 2)], {}), (1, 2, 4)),
    (("PadFusion", [(1, 3), _ints([0, 0], [2, 1])], {"padding_mode": 1}), (1, 6)),
    (("Transpose", [(1, 3, 4), _ints(0, 2, 1)], {}), (1, 4, 3)),
    (("DepthToSpace", [(1, 2, 3, 8)], {"block_size": 2, "format": 1}), (1, 4, 6, 2)),
    (("SpaceToDepth", [(1, 4, 6, 2)], {"block_size": 2, "format": 1}), (1, 2, 3, 8)),
    (("Resize", [IMAGE, _ints(7, 2)], RESIZE), (1, 7, 2, 2)),
    (("PReLUFusion", [IMAGE, [2, 1, 1]], {"channel_shared": False}), IMAGE),
]
"""Nodes, and the shapes that they write."""

BROKEN: list[tuple[Node, str]] = [
    (_conv([IMAGE, KERNEL, [5]]), "Conv2DFusion: bias: expected [4], found [5]"),
    (_conv([IMAGE, KERNEL, [400]]), "Conv2DFusion: bias: expected [4], found [400]"),
    (_conv([IMAGE, [5, 3, 3, 2], BIAS]), "weight: expected [4, 3, 3, 2], found [5, 3, 3, 2]"),
    (_conv([IMAGE, [4, 18], BIAS]), "weight: expected [4, 3, 3, 2], found [4, 18]"),
    (_conv([(1, 60), KERNEL, BIAS]), "input 0: expected 4 dimensions, found [1, 60]"),
    (_conv([IMAGE, (1, 3, 3, 2), BIAS]), "input 1: expected weight, found variable"),
    (_conv([IMAGE]), "expected 2 or 3 inputs, found 1"),
    (_conv([IMAGE, KERNEL, BIAS, BIAS]), "expected 2 or 3 inputs, found 4"),
    (_conv(in_channel=3), "in_channel: expected 2, found 3"),
    (_conv(group=3), "group: expected a divisor of 2 and 4, found 3"),
    (_conv(group=0), "group: expected 1 to 2147483647, found 0"),
    (_conv(dilation=[0, 1]), "dilation: expected 1 to 65535, found [0, 1]"),
    (_conv(dilation=[65536, 1]), "dilation: expected 1 to 65535, found [65536, 1]"),
    (_conv(dilation=[9, 1]), "kernel: expected a window within 7 with its padding, found 3"),
    (_conv(stride=[-1, 1]), "stride: expected 1 to 65535, found [-1, 1]"),
    (_conv(kernel_size=[3]), "kernel_size: expected 2 entries, found [3]"),
    (_conv(pad_list=[3, 1, 1, 1]), "padding: expected windows that see a part of the image, found [3, 1]"),
    (_conv(pad_list=[1, 3, 1, 1]), "padding: expected windows that see a part of the image, found [1, 3]"),
    (_conv(pad_list=[1 << 16, 1, 1, 1]), "pad_list: expected 0 to 65535, found [65536, 1, 1, 1]"),
    (_conv(pad_mode=2), "pad_mode: expected one of 0, found 2"),
    (_conv(activation_type=2), "activation_type: expected one of 0, 1, 3, found 2"),
    (_conv([IMAGE, [4, 3, 3, 1], BIAS], group=2), "one_image: expected true, with groups, found false"),
    (_deconv([IMAGE, KERNEL, BIAS]), "weight: expected [2, 3, 3, 4], found [4, 3, 3, 2]"),
    (_deconv(output_paddings=[1, 0]), "output_paddings: expected less than 1, found 1"),
    (_deconv(pad_list=[9, 9, 0, 0]), "pad_list: expected an output of 1 or more, found -11"),
    (_deconv([(1, 5, 6, 4), [4, 3, 3, 2], BIAS], group=2, in_channel=4), "group: expected 1, or 4 channels"),
    (_pool(pad=[2, 0, 0, 0]), "padding: expected windows that see a part of the image, found [2, 0]"),
    (_pool(kernel_size=[6, 1]), "kernel: expected a window within 5 with its padding, found 6"),
    (_pool(strides=[0, 0]), "strides: expected 1 to 65535, found [0, 0]"),
    (_pool(**{"global": True}), "global: expected kernel_size and strides of 1, no pad, found others"),
    (("MaxPoolFusion", [IMAGE], {"format": 1}), "kernel_size is missing"),
    (("MatMulFusion", [(1, 6), [3, 5], [3]], MATMUL), "input 1: expected [3, 6], found [3, 5]"),
    (("MatMulFusion", [(1, 6), [3, 6], [4]], MATMUL), "bias: expected [3], found [4]"),
    (("MatMulFusion", [(1, 6), [3, 6], [3]], {**MATMUL, "transpose_a": True}), "transpose_a: expected"),
    (("MatMulFusion", [(1, 2, 6), (1, 3, 6, 2)], MATMUL), "input 1: expected [1, 6, 6], found [1, 3, 6, 2]"),
    (("AddFusion", [(1, 4), [3]], {}), "input 1: expected a shape like [1, 4], found [3]"),
    (("AddFusion", [(1, 4), _ints(1, 2, 3, 4)], {}), "input 1: expected variable or weight, found integers"),
    (("PowFusion", [(1, 1), [1, 4]], {"scale": 1.0, "shift": 0.0}), "broadcast: expected [1, 1], found"),
    (("PowFusion", [(1, 1), [1]], {"scale": 2.5, "shift": 0.0}), "scale: expected one of 1, found 2.5"),
    (("Concat", [(1, 4), (1, 3)], {"axis": 0}), "input 1: expected [1, 4], found [1, 3]"),
    (("Concat", [(1, 4), (1, 3)], {"axis": 2}), "axis: expected -2 to 1, found 2"),
    (("Concat", [(1, 4), (1, 3, 1)], {"axis": 1}), "input 1: expected [1, 3], found [1, 3, 1]"),
    (("Flatten", [(1, 4)], {"axis": -(1 << 31)}), "axis: expected one of 1, found -2147483648"),
    (("Gather", [(1, 4), _ints(4), _ints(1)], {}), "index: expected 0 to 3, found 4"),
    (("Gather", [(1, 4), _ints(-1), _ints(1)], {}), "index: expected 0 to 3, found -1"),
    (("Gather", [(1, 4), _ints(0), _ints(2)], {}), "axis: expected -2 to 1, found 2"),
    (("LayerNormFusion", [(1, 4), [4], [5]], {
        "begin_norm_axis": -1, "epsilon": 0.1, "elementwise_affine": True, "begin_params_axis": -1,
    }), "input 2: expected [4], found [5]"),
    (("InstanceNorm", [IMAGE, [2], [3]], {"epsilon": 0.1}), "input 2: expected [2], found [3]"),
    (("PReLUFusion", [IMAGE, [3]], {"channel_shared": False}), "slope: expected 2 values, found [3]"),
    (("PadFusion", [(1, 3), _ints([0, 0])], {"padding_mode": 0}), "pads: expected [2, 2], found [1, 2]"),
    (("PadFusion", [(1, 3), _ints([0, 0], [-1, 0])], {"padding_mode": 0}), "found [-1, 0]"),
    (("PadFusion", [(1, 3), _ints([0, 0], [3, 0])], {"padding_mode": 1}), "expected 0 to 2, found [3, 0]"),
    (_reduce(_ints(3)), "axes: expected different ones, 0 to 2, found [3]"),
    (_reduce(_ints(1, 1)), "axes: expected different ones, 0 to 2, found [1, 1]"),
    (_reduce(_ints(1), keep_dims=False), "keep_dims: expected one of true, found false"),
    (_reduce(_ints(1), mode=9), "mode: expected one of 0, 1, 4, found 9"),
    (("Reshape", [(1, 6), _ints(1, 7)], {}), "shape: expected a shape of 6 elements, found [1, 7]"),
    (("Reshape", [(1, 6), _ints(-1, -1)], {}), "shape: expected lengths from 1, and -1 at most once"),
    (("Reshape", [(1, 6), _ints(0, 6)], {}), "shape: expected lengths from 1, and -1 at most once"),
    (("Reshape", [(1, 6), _ints(-1, 4)], {}), "shape: expected a shape of 6 elements, found [-1, 4]"),
    (("Reshape", [(1, 6), _ints(*[1] * 9)], {}), "shape: expected at most 8 dimensions, found 9"),
    (("Resize", [IMAGE, _ints(0, 2)], RESIZE), "sizes: expected a height and a width, found [0, 2]"),
    (("Resize", [IMAGE, _ints(4, 1)], RESIZE), "2 or more, with aligned corners, found [4, 1]"),
    (("Resize", [IMAGE, _ints(1 << 15, 1 << 15)], RESIZE), "536870911 elements, found [1, 32768, 32768, 2]"),
    (("DepthToSpace", [IMAGE], {"block_size": 2, "format": 1}), "channels in blocks of 4, found 2"),
    (("SpaceToDepth", [IMAGE], {"block_size": 4, "format": 1}), "multiples of 4, found [5, 6]"),
    (_slice([0], [7], [1], [1]), "begin and end: expected a part of 0 to 6, found [0, 7]"),
    (_slice([3], [3], [1], [1]), "begin and end: expected a part of 0 to 6, found [3, 3]"),
    (_slice([0], [6], [1], [0]), "stride: expected 1 to 6, found 0"),
    (_slice([0], [6], [1], [(1 << 31) - 1]), "stride: expected 1 to 6, found 2147483647"),
    (_slice([0, 0], [6], [1], [1]), "equally many, found [2, 1, 1, 1]"),
    (_slice([0], [6], [3], [1]), "axes: expected different ones, 0 to 2, found [3]"),
    (("StridedSlice", [(1, 6, 3)], {}), "StridedSlice: expected 5 inputs, found 1"),
    (("Softmax", [(1, 6)], {"axis": [2]}), "axis: expected -2 to 1, found 2"),
    (("Softmax", [(1, 6)], {"axis": []}), "axis: expected 1 entries, found []"),
    (("Transpose", [(1, 3, 4), _ints(0, 1, 1)], {}), "order: expected each of 0 to 2 once, found [0, 1, 1]"),
    (("Transpose", [(1, 3, 4), _ints([0, 1, 2])], {}), "input 1: expected a vector, found [1, 3]"),
    (("Transpose", [(1,) * 7, _ints(*range(7))], {}), "input 0: expected at most 6 dimensions, found 7"),
    (("LRN", [(1, 6)], {
        "depth_radius": 1, "bias": 1.0, "alpha": 1.0, "beta": 1.0, "norm_region": "ACROSS_CHANNELS",
    }), "input 0: expected 4 dimensions, found [1, 6]"),
    (("LRN", [IMAGE], {
        "depth_radius": 1, "bias": 1.0, "alpha": 1.0, "beta": 1.0, "norm_region": "WITHIN",
    }), "norm_region: expected one of ACROSS_CHANNELS, found 'WITHIN'"),
]  # fmt: skip
"""Nodes that break a rule, and the end or a part of the message."""

BROKEN_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"primitive": 141}, "node 'n': primitive 141 is not known to this runtime, and not allowed"),
    ({"inputs": [1]}, "node 'n': Abs: expected a variable among its inputs, found none"),
    ({"attributes": [[0, "int", 1]]}, "node 'n': Abs has no attribute in slot 0"),
    ({"primitive": 2, "attributes": [[0, "int", 1]]}, "activation_type: expected type byte, found int"),
    ({"primitive": 2, "attributes": []}, "node 'n': activation_type is missing"),
    (
        {"primitive": 2, "attributes": [[0, "byte", 7]]},
        "one of 1, 2, 3, 4, 5, 9, 10, 12, 13, 16, 19, found 7",
    ),
]
"""Changes of an Abs with a weight beside it, and the message."""


def broken_field(path: Path, change: Mapping[str, Any]) -> Path:
    """A bundle of an Abs that is changed so."""
    document, values = one_node(("Abs", [(1, 4), [4]], {}), (1, 4))
    document["nodes"][0] |= {"inputs": [0], **change}
    return tiny.write(path, document, values)

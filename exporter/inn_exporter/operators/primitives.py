"""MindSpore Lite's primitives: the schema's union numbers, and each attribute's slot and type (ops.fbs)."""

from __future__ import annotations

from typing import NamedTuple

NHWC = (0, 2, 3, 1)
"""The permutation from the source model's layout of images to the engine's."""
FORMAT_NHWC = 1
PAD_EXPLICIT = 0
PAD_CONSTANT, PAD_REFLECT = 0, 1
REDUCE_MEAN, REDUCE_MAX, REDUCE_SUM = 0, 1, 4
ROUND_FLOOR, ROUND_CEIL = 0, 1
RELU, SIGMOID, RELU6, ELU, LEAKY_RELU, SOFTPLUS, TANH, HARD_SWISH, HARD_SIGMOID, HARD_TANH, GELU = (
    1, 2, 3, 4, 5, 9, 10, 12, 13, 16, 19,
)  # fmt: skip
"""Activation types. Only Relu and Relu6 may be fused into another primitive."""


class Primitive(NamedTuple):
    """A member of the schema's union `PrimitiveType`."""

    number: int
    slots: dict[str, tuple[int, str]]


_POOL = {
    "kernel_size": (0, "longs"),
    "strides": (1, "longs"),
    "pad": (2, "longs"),
    "pad_mode": (3, "byte"),
    "round_mode": (4, "byte"),
    "format": (5, "int"),
    "global": (6, "bool"),
    "activation_type": (7, "byte"),
}
PRIMITIVES = {
    "Abs": Primitive(1, {}),
    "Activation": Primitive(
        2,
        {
            "activation_type": (0, "byte"),
            "alpha": (1, "float"),
            "min_val": (2, "float"),
            "max_val": (3, "float"),
            "approximate": (4, "bool"),
        },
    ),
    "AddFusion": Primitive(5, {"activation_type": (0, "byte")}),
    "AvgPoolFusion": Primitive(17, _POOL),
    "Concat": Primitive(31, {"axis": (0, "long")}),
    "Conv2DFusion": Primitive(
        35,
        {
            "format": (0, "int"),
            "kernel_size": (1, "longs"),
            "stride": (2, "longs"),
            "dilation": (3, "longs"),
            "pad_mode": (4, "byte"),
            "pad_list": (5, "longs"),
            "mode": (6, "long"),
            "group": (7, "long"),
            "in_channel": (8, "long"),
            "out_channel": (9, "long"),
            "activation_type": (10, "byte"),
        },
    ),
    "Conv2dTransposeFusion": Primitive(
        36,
        {
            "format": (0, "int"),
            "kernel_size": (1, "longs"),
            "stride": (2, "longs"),
            "dilation": (3, "longs"),
            "pad_mode": (4, "byte"),
            "pad": (5, "longs"),
            "pad_list": (6, "longs"),
            "mode": (7, "long"),
            "group": (8, "long"),
            "in_channel": (9, "long"),
            "out_channel": (10, "long"),
            "activation_type": (11, "byte"),
            "output_paddings": (12, "longs"),
        },
    ),
    "DepthToSpace": Primitive(45, {"block_size": (0, "long"), "format": (1, "int"), "mode": (2, "string")}),
    "DivFusion": Primitive(47, {"activation_type": (0, "byte")}),
    "Erf": Primitive(178, {}),
    "ExpFusion": Primitive(55, {"base": (0, "float"), "scale": (1, "float"), "shift": (2, "float")}),
    "Flatten": Primitive(61, {"axis": (0, "long")}),
    "Gather": Primitive(69, {}),
    "InstanceNorm": Primitive(74, {"epsilon": (0, "float")}),
    "LayerNormFusion": Primitive(
        75,
        {
            "begin_norm_axis": (0, "long"),
            "epsilon": (1, "float"),
            "elementwise_affine": (2, "bool"),
            "begin_params_axis": (3, "long"),
        },
    ),
    "Log": Primitive(79, {}),
    "LRN": Primitive(
        85,
        {
            "depth_radius": (0, "long"),
            "bias": (1, "float"),
            "alpha": (2, "float"),
            "beta": (3, "float"),
            "norm_region": (4, "string"),
        },
    ),
    "LSTM": Primitive(
        87,
        {
            "bidirectional": (0, "bool"),
            "has_bias": (1, "bool"),
            "input_size": (2, "long"),
            "hidden_size": (3, "long"),
            "num_layers": (4, "long"),
            "num_directions": (5, "long"),
        },
    ),
    "MatMulFusion": Primitive(
        89, {"transpose_a": (0, "bool"), "transpose_b": (1, "bool"), "activation_type": (2, "byte")}
    ),
    "MaxPoolFusion": Primitive(92, _POOL),
    "Maximum": Primitive(90, {}),
    "MulFusion": Primitive(99, {"activation_type": (0, "byte")}),
    "Neg": Primitive(101, {}),
    "PadFusion": Primitive(107, {"padding_mode": (1, "byte"), "constant_value": (2, "float")}),
    "PowFusion": Primitive(110, {"scale": (0, "float"), "shift": (1, "float")}),
    "PReLUFusion": Primitive(112, {"channel_shared": (0, "bool")}),
    "Reciprocal": Primitive(116, {}),
    "ReduceFusion": Primitive(
        118,
        {"keep_dims": (0, "bool"), "mode": (1, "byte"), "reduce_to_end": (2, "bool"), "coeff": (3, "float")},
    ),
    "Reshape": Primitive(119, {}),
    "Resize": Primitive(
        120,
        {
            "format": (0, "int"),
            "method": (1, "byte"),
            "coordinate_transform_mode": (5, "byte"),
            "nearest_mode": (9, "byte"),
        },
    ),
    "Softmax": Primitive(138, {"axis": (0, "longs")}),
    "SpaceToDepth": Primitive(142, {"block_size": (0, "long"), "format": (1, "int")}),
    "Sqrt": Primitive(146, {}),
    "StridedSlice": Primitive(151, {}),
    "SubFusion": Primitive(152, {"activation_type": (0, "byte")}),
    "Transpose": Primitive(162, {}),
}

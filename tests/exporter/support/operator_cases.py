"""Every operator of the registry, in the forms that it has: a new operator needs a case here.

`test_every_operator_has_a_case` says so where one is missing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from networks import Network
from operator_networks import (
    CHANNELS,
    HEIGHT,
    TOKENS,
    WIDTH,
    attention,
    attention_batch_second,
    attention_before_norm,
    attention_of_one_layer,
    channels_last,
    chosen_token,
    class_token,
    clipped,
    conv,
    decomposed_gelu,
    decomposed_norm,
    dense_block,
    dense_gate,
    depthwise,
    enlarged,
    flatten_head,
    function,
    gate,
    gate_of,
    group_norm,
    on_map,
    on_map_flattened,
    on_sequence,
    on_tokens,
    on_vector,
    padded,
    pooled,
    positive,
    residual,
    resized,
    scaled,
    shuffled,
    split_and_multiplied,
    square_shuffle,
    sum_of_concats,
    transposed,
    transposed_depthwise,
    with_constant,
    with_input,
    zero_padded_shortcut,
)
from recurrent_networks import GRU, LSTM

CASES: dict[str, dict[str, Callable[[], Network]]] = {
    "Conv": {
        "3x3": conv,
        "strided": lambda: conv(strides=[2, 3], kernel_shape=[3, 2]),
        "dilated": lambda: conv(dilations=[2, 3], pads=[2, 3, 2, 3]),
        "in pieces": lambda: on_map(lambda n, x: split_and_multiplied(n, n.conv(x, CHANNELS, CHANNELS)), 3),
        "1-D": lambda: on_sequence(
            lambda n, x: n.node("Conv", x, n.weight(4, CHANNELS, 3), strides=[2], pads=[1, 0]), 4
        ),
        "asymmetric": lambda: conv(pads=[0, 1, 2, 3]),
        "1x1": lambda: conv(kernel=1),
        "zero-padded shortcut": lambda: on_map(zero_padded_shortcut, CHANNELS + 4),
        "1x1 padded": lambda: conv(kernel=1, pads=[1, 1, 1, 1]),
        "padded beyond its window": lambda: conv(pads=[3, 4, 3, 3]),
        "larger than its image": lambda: on_map(
            lambda n, x: n.conv(n.node("GlobalAveragePool", x), CHANNELS, CHANNELS, kernel=5)
        ),
        "without bias": lambda: conv(bias=False),
        "same_upper": lambda: conv(auto_pad="SAME_UPPER", kernel_shape=[4, 2], strides=[2, 2]),
        "relu6": lambda: clipped(lambda n, x: n.conv(x, CHANNELS, CHANNELS), 0, 6),
        "depthwise": depthwise,
        "depthwise strided": lambda: depthwise(strides=[2, 2], kernel_shape=[5, 3], pads=[2, 1, 1, 2]),
    },
    "GroupedConv": {
        "two blocks": lambda: conv(group=2),
        "three blocks": lambda: conv(6, group=3, strides=[2, 1]),
        "of one channel": lambda: conv(12, group=CHANNELS),
        "one after the other": lambda: on_map(
            lambda n, x: n.relu(n.conv(n.relu(n.conv(x, CHANNELS, 12, group=3)), 12, 8, group=2)), 8
        ),
        "in a residual": lambda: on_map(
            lambda n, x: n.relu(n.node("Add", n.conv(x, CHANNELS, CHANNELS, group=2), x))
        ),
        "twice as many channels": lambda: conv(2 * CHANNELS, group=CHANNELS),
    },
    "ConvTranspose": {
        "3x3": transposed,
        "4x4 cropped": lambda: transposed(kernel_shape=[4, 4], pads=[1, 1, 1, 1]),
        "asymmetric": lambda: transposed(kernel_shape=[4, 3], pads=[0, 1, 3, 2]),
        "strided": lambda: transposed(kernel_shape=[3, 2], strides=[1, 3]),
        "dilated": lambda: transposed(dilations=[2, 3], strides=[1, 2]),
        "output padding": lambda: transposed(strides=[3, 2], output_padding=[2, 1], pads=[1, 0, 0, 1]),
        "output shape": lambda: transposed(output_shape=[18, 15]),
        "same_upper": lambda: transposed(auto_pad="SAME_UPPER"),
        "same_lower": lambda: transposed(auto_pad="SAME_LOWER", kernel_shape=[3, 5]),
        "cropped beyond its window": lambda: transposed(pads=[4, 3, 5, 3]),
        "without bias": lambda: transposed(bias=False),
        "linear": lambda: on_map(lambda n, x: n.conv_transpose(x, CHANNELS, CHANNELS)),
        "relu6": lambda: clipped(lambda n, x: n.conv_transpose(x, CHANNELS, CHANNELS), 0, 6),
        "two blocks": lambda: transposed(group=2),
        "of one channel, widened": lambda: transposed(2 * CHANNELS, group=CHANNELS, strides=[3, 1]),
        "depthwise": transposed_depthwise,
        "depthwise cropped": lambda: transposed_depthwise(kernel_shape=[4, 5], pads=[1, 2, 2, 1]),
        "depthwise relu6": lambda: clipped(
            lambda n, x: n.conv_transpose(x, CHANNELS, CHANNELS, group=CHANNELS, output_padding=[1, 1]), 0, 6
        ),
    },
    "Pad": {
        "zeros": lambda: padded(0, 0, 1, 2, 0, 0, 3, 4),
        "a value": lambda: on_map(
            lambda n, x: n.node("Pad", x, n.integers(0, 0, 2, 0, 0, 0, 0, 1), n.constant(-0.5))
        ),
        "reflect": lambda: padded(0, 0, 8, 1, 0, 0, 0, 7, mode="reflect"),
        "before a relu": lambda: on_map(
            lambda n, x: n.relu(n.node("Pad", scaled(n, x), n.integers(0, 0, 1, 1, 0, 0, 1, 1)))
        ),
        "channels": lambda: padded(0, 2, 0, 0, 0, 1, 0, 0, channels=CHANNELS + 3),
        "channels of a vector": lambda: on_vector(
            lambda n, x: n.node("Add", n.node("Pad", x, n.integers(0, 1, 0, 2)), n.dense(x, 6, 9)), 9
        ),
        "constant channels": lambda: on_map(
            lambda n, x: n.node(
                "Add",
                n.node("Pad", x, n.integers(0, 0, 0, 0, 0, 2, 0, 0)),
                n.weight(1, CHANNELS + 2, HEIGHT, WIDTH),
            ),
            CHANNELS + 2,
        ),
        "class token": lambda: on_tokens(class_token),
        "tokens": lambda: on_tokens(lambda n, x: n.node("Pad", x, n.integers(0, 2, 0, 0, 1, 0))),
        "before a mean": lambda: on_map(
            lambda n, x: n.node("GlobalAveragePool", n.node("Pad", x, n.integers(0, 0, 1, 1, 0, 0, 1, 1)))
        ),
    },
    "Gemm": {
        "plain": lambda: on_vector(lambda n, x: n.dense(x, CHANNELS, 7), 7),
        "relu": lambda: on_vector(lambda n, x: n.relu(n.dense(x, CHANNELS, 7)), 7),
    },
    "Relu": {
        "map": lambda: on_map(lambda n, x: n.relu(scaled(n, x))),
        "vector": lambda: on_vector(lambda n, x: n.relu(n.node("Mul", x, n.weight(1, CHANNELS)))),
    },
    "LeakyRelu": {
        "map": lambda: on_map(lambda n, x: n.node("LeakyRelu", n.conv(x, CHANNELS, CHANNELS), alpha=0.2)),
        "vector": lambda: on_vector(lambda n, x: n.node("LeakyRelu", x)),
    },
    "Sigmoid": {
        "map": lambda: on_map(lambda n, x: n.node("Sigmoid", n.conv(x, CHANNELS, CHANNELS))),
        "vector": lambda: on_vector(lambda n, x: n.node("Sigmoid", x)),
    },
    "Clip": {
        "relu6": lambda: clipped(scaled, 0, 6),
        "both": lambda: clipped(scaled, -0.2, 0.3),
        "above": lambda: on_map(lambda n, x: n.node("Clip", scaled(n, x), "", n.constant(0.1))),
        "below": lambda: on_map(lambda n, x: n.node("Clip", scaled(n, x), n.constant(-0.1))),
    },
    "Softmax": {
        "features": lambda: on_vector(lambda n, x: n.node("Softmax", x)),
        "channels": lambda: on_map(lambda n, x: n.node("Softmax", x, axis=1)),
        "height": lambda: on_map(lambda n, x: n.node("Softmax", x, axis=2)),
        "width": lambda: on_map(lambda n, x: n.node("Softmax", x, axis=-1)),
    },
    "Add": {
        "residual": lambda: on_map(residual),
        "channels": lambda: with_constant("Add", CHANNELS, 1, 1),
        "positions": lambda: with_constant("Add", HEIGHT, WIDTH),
        "everything": lambda: with_constant("Add", 1, CHANNELS, HEIGHT, WIDTH),
        "one value": lambda: with_constant("Add"),
        "difference": lambda: with_constant("Sub", CHANNELS, 1, 1),
        "constant first": lambda: on_map(lambda n, x: n.node("Add", n.weight(CHANNELS, 1, 1), x)),
        "vector": lambda: on_vector(lambda n, x: n.node("Add", n.relu(x), x)),
        "map and channels": lambda: on_map(lambda n, x: n.node("Add", n.node("GlobalAveragePool", x), x)),
        "map and positions": lambda: on_map(lambda n, x: n.node("Add", x, n.node("ReduceMean", x, axes=[1]))),
    },
    "Mul": {
        "gate": lambda: on_map(gate),
        "channels": lambda: with_constant("Mul", CHANNELS, 1, 1),
        "columns": lambda: with_constant("Mul", WIDTH),
        "square": lambda: on_map(lambda n, x: n.node("Mul", x, x)),
        "vector": lambda: on_vector(lambda n, x: n.node("Mul", n.node("Sigmoid", x), x)),
        "quotient": lambda: with_constant("Div", CHANNELS, 1, 1),
    },
    "MaxPool": {
        "plain": lambda: pooled("MaxPool", strides=[2, 2]),
        "padded": lambda: pooled("MaxPool", 3, strides=[2, 2], pads=[1, 1, 1, 1]),
        "asymmetric": lambda: pooled("MaxPool", 3, strides=[2, 1], pads=[0, 1, 2, 0]),
        "ceil": lambda: pooled("MaxPool", 2, strides=[2, 2], ceil_mode=1),
        "ceil padded": lambda: pooled("MaxPool", 3, strides=[3, 2], pads=[1, 0, 1, 0], ceil_mode=1),
        "same_lower": lambda: pooled("MaxPool", 2, strides=[2, 1], auto_pad="SAME_LOWER"),
        "of negative values": lambda: on_map(
            lambda n, x: n.node(
                "MaxPool", n.node("Sub", x, n.constant(9)), kernel_shape=[3, 3], pads=[1, 1, 1, 1]
            )
        ),
    },
    "AveragePool": {
        "plain": lambda: pooled("AveragePool", 3, strides=[2, 1]),
        "padded": lambda: pooled("AveragePool", 3, strides=[2, 2], pads=[1, 1, 1, 1]),
        "asymmetric": lambda: pooled("AveragePool", 3, pads=[0, 2, 1, 0]),
        "padding counts": lambda: pooled("AveragePool", 3, pads=[1, 0, 2, 1], count_include_pad=1),
        "ceil": lambda: pooled("AveragePool", 2, strides=[2, 2], ceil_mode=1),
        "ceil padded": lambda: pooled("AveragePool", 3, strides=[3, 2], pads=[1, 0, 1, 0], ceil_mode=1),
        "same_upper": lambda: pooled("AveragePool", 3, strides=[2, 2], auto_pad="SAME_UPPER"),
    },
    "GlobalAveragePool": {
        "map": lambda: on_map(lambda n, x: n.node("GlobalAveragePool", x)),
        "mean": lambda: on_map(lambda n, x: n.node("ReduceMean", x, axes=[-1, -2])),
    },
    "ReduceMean": {
        "channels": lambda: on_map(lambda n, x: n.node("ReduceMean", x, axes=[1]), 1),
        "height": lambda: on_map(lambda n, x: n.node("ReduceMean", x, axes=[2])),
        "width": lambda: on_map(lambda n, x: n.node("ReduceMean", x, axes=[3])),
        "everything": lambda: on_map(lambda n, x: n.node("ReduceMean", x, axes=[1, 2, 3]), 1),
        "features": lambda: on_vector(lambda n, x: n.node("ReduceMean", x, axes=[1]), 1),
    },
    "Flatten": {"spatial extent": flatten_head},
    "ChannelShuffle": {
        "of a convolution": lambda: on_map(shuffled),
        "between grouped convolutions": lambda: on_map(
            lambda n, x: n.conv(shuffled(n, n.conv(x, CHANNELS, CHANNELS, group=2), 2), CHANNELS, 4, group=2),
            4,
        ),
        "of square blocks": lambda: on_map(  # 4 by 4, resized 4 by 2; then 2 by 4 and 2 by 2
            lambda n, x: square_shuffle(n, square_shuffle(n, n.conv(x, CHANNELS, 16), 4), 2), 16
        ),
        "of a concatenation": lambda: on_map(
            lambda n, x: shuffled(
                n, n.node("Concat", n.conv(x, CHANNELS, 3), n.conv(x, CHANNELS, 3), axis=1), 2
            )
        ),
    },
    "Unsqueeze": {
        "gate of dense layers": lambda: on_map(dense_gate),
        "reshaped": lambda: on_map(
            lambda n, x: n.node(
                "Mul",
                x,
                n.node(
                    "Reshape",
                    n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), CHANNELS, CHANNELS),
                    n.integers(-1, CHANNELS, 1, 1),
                ),
            )
        ),
    },
    "Elu": {
        "map": lambda: on_map(lambda n, x: n.node("Elu", n.conv(x, CHANNELS, CHANNELS), alpha=0.7)),
        "vector": lambda: on_vector(lambda n, x: n.node("Elu", x)),
    },
    "Softplus": {"map": lambda: on_map(lambda n, x: n.node("Softplus", n.conv(x, CHANNELS, CHANNELS)))},
    "Tanh": {"map": lambda: on_map(lambda n, x: n.node("Tanh", n.conv(x, CHANNELS, CHANNELS)))},
    "HardSwish": {
        "map": lambda: on_map(lambda n, x: n.node("HardSwish", n.conv(x, CHANNELS, CHANNELS))),
        "vector": lambda: on_vector(lambda n, x: n.node("HardSwish", x)),
    },
    "HardSigmoid": {
        "MobileNet's": lambda: on_map(
            lambda n, x: n.node("HardSigmoid", n.conv(x, CHANNELS, CHANNELS), alpha=1 / 6)
        ),
        "gate": lambda: on_map(
            lambda n, x: n.node(
                "Mul",
                x,
                n.node(
                    "HardSigmoid", n.conv(n.node("GlobalAveragePool", x), CHANNELS, CHANNELS, 1), alpha=1 / 6
                ),
            )
        ),
    },
    "PRelu": {
        "channels": lambda: on_map(
            lambda n, x: n.node("PRelu", n.conv(x, CHANNELS, CHANNELS), n.weight(CHANNELS, 1, 1))
        ),
        "shared": lambda: on_map(lambda n, x: n.node("PRelu", n.conv(x, CHANNELS, CHANNELS), n.weight(1))),
    },
    "Sub": {
        "maps": lambda: on_map(lambda n, x: n.node("Sub", n.conv(x, CHANNELS, CHANNELS), x)),
        "map and channels": lambda: on_map(lambda n, x: n.node("Sub", x, n.node("GlobalAveragePool", x))),
    },
    "Div": {
        "maps": lambda: on_map(
            lambda n, x: n.node("Div", x, n.node("Add", n.node("Sigmoid", x), n.constant(1.0)))
        )
    },
    "Max": {"maxout": lambda: on_map(lambda n, x: n.node("Max", n.conv(x, CHANNELS, CHANNELS), x))},
    "GlobalMaxPool": {"map": lambda: on_map(lambda n, x: n.node("GlobalMaxPool", x))},
    "LRN": {
        "five": lambda: on_map(lambda n, x: n.node("LRN", x, size=5, alpha=0.5, beta=0.75, bias=2.0)),
        "three": lambda: on_map(lambda n, x: n.node("LRN", x, size=3)),
    },
    "Concat": {
        "maps": lambda: on_map(
            lambda n, x: n.node("Concat", n.conv(x, CHANNELS, 4), x, axis=1), CHANNELS + 4
        ),
        "of concats": lambda: on_map(dense_block, CHANNELS + 7),
        "with the input": lambda: with_input(lambda n, x, y: n.node("Concat", y, x, axis=1), CHANNELS + 3),
        "of sums": lambda: on_map(sum_of_concats, 2 * CHANNELS),
        "height": lambda: on_map(lambda n, x: n.node("Concat", x, n.conv(x, CHANNELS, CHANNELS), axis=2)),
        "vectors": lambda: on_vector(
            lambda n, x: n.node("Concat", n.relu(x), n.dense(x, CHANNELS, 5), axis=1), CHANNELS + 5
        ),
        "flattened": lambda: on_map_flattened(),
        "of pixels with themselves": lambda: on_map(enlarged),
        "of channels with themselves": lambda: on_map(
            lambda n, x: n.node("Tile", n.relu(x), n.integers(1, 2, 1, 1)), 2 * CHANNELS
        ),
        "of a mean with itself": lambda: on_map(
            lambda n, x: n.node("Mul", x, n.node("Expand", gate_of(n, x), n.integers(1, 6, HEIGHT, WIDTH)))
        ),
    },
    "Slice": {
        "one of equal blocks": lambda: on_map(
            lambda n, x: n.node("Slice", n.relu(n.conv(x, CHANNELS, 8)), *map(n.integers, (4, 8, 1))), 4
        ),
        "every second row": lambda: on_map(lambda n, x: n.node("Slice", x, *map(n.integers, (0, 9, 2, 2)))),
        "channels": lambda: on_map(lambda n, x: n.node("Slice", x, *map(n.integers, (1, 4, 1))), 3),
        "rows and columns": lambda: on_map(
            lambda n, x: n.node("Slice", x, n.integers(1, -4), n.integers(9, -1), n.integers(2, 3))
        ),
        "split": lambda: on_map(split_and_multiplied, 3),
    },
    "Resize": {
        "nearest": lambda: resized(2, 3, mode="nearest", nearest_mode="floor", how="asymmetric"),
        "nearest of PyTorch": lambda: resized(2, 2, mode="nearest", nearest_mode="round_prefer_floor"),
        "linear": lambda: resized(2, 2, mode="linear"),
        "linear, 9 to 17: no float32": lambda: resized(1.88889, 1.75, mode="linear"),
        "linear, corners aligned": lambda: resized(2, 3, mode="linear", how="align_corners"),
        "linear, smaller": lambda: resized(1 / 3, 0.5, mode="linear"),
    },
    "DepthToSpace": {
        "DCR": lambda: on_map(
            lambda n, x: n.node("DepthToSpace", n.conv(x, CHANNELS, 12), blocksize=2, mode="DCR"), 3
        ),
        "CRD": lambda: on_map(
            lambda n, x: n.node("DepthToSpace", n.relu(n.conv(x, CHANNELS, 16)), blocksize=2, mode="CRD"), 4
        ),
        "of a sum": lambda: on_map(
            lambda n, x: n.node(
                "DepthToSpace",
                n.node("Add", n.conv(x, CHANNELS, 8), n.conv(x, CHANNELS, 8)),
                blocksize=2,
                mode="CRD",
            ),
            2,
        ),
    },
    "Linear": {
        "plain": lambda: on_tokens(lambda n, x: n.token_dense(x, CHANNELS, 7), 7),
        "relu": lambda: on_tokens(lambda n, x: n.relu(n.token_dense(x, CHANNELS, 7)), 7),
        "of channels last": lambda: on_map(
            lambda n, x: n.node(
                "Transpose",
                n.token_dense(n.node("Transpose", x, perm=[0, 2, 3, 1]), CHANNELS, CHANNELS),
                perm=[0, 3, 1, 2],
            )
        ),
        "chosen token": lambda: on_tokens(chosen_token),
        "over positions": lambda: on_tokens(
            lambda n, x: n.node("Add", x, n.node("MatMul", n.weight(TOKENS, TOKENS), x))
        ),
        "between tokens": lambda: on_tokens(
            lambda n, x: n.node(
                "MatMul", n.weight(TOKENS, 5), n.relu(n.node("MatMul", n.weight(5, TOKENS), x))
            )
        ),
        "gated": lambda: on_tokens(
            lambda n, x: n.node("Mul", n.token_dense(x, 6, 6), n.node("Sigmoid", n.token_dense(x, 6, 6)))
        ),
    },
    "MatMul": {
        "attention": lambda: on_tokens(attention),
        "attention of one layer": lambda: on_tokens(attention_of_one_layer),
        "attention with the batch second": lambda: on_tokens(attention_batch_second),
        "of maps": lambda: on_map(
            lambda n, x: n.node(
                "MatMul", x, n.node("Transpose", n.conv(x, CHANNELS, CHANNELS), perm=[0, 1, 3, 2])
            )
        ),
    },
    "LayerNormalization": {
        "tokens": lambda: on_tokens(
            lambda n, x: n.node("LayerNormalization", x, n.weight(6), n.weight(6), epsilon=1e-6)
        ),
        "without shift": lambda: on_tokens(lambda n, x: n.node("LayerNormalization", n.relu(x), n.weight(6))),
        "in pieces": lambda: on_tokens(decomposed_norm),
        "channels last": lambda: on_map(
            lambda n, x: n.node(
                "Transpose",
                n.node(
                    "LayerNormalization", n.node("Transpose", x, perm=[0, 2, 3, 1]), n.weight(6), n.weight(6)
                ),
                perm=[0, 3, 1, 2],
            )
        ),
    },
    "RMSNormalization": {
        "attention": lambda: on_tokens(attention_before_norm),
        "channels last": lambda: on_map(
            lambda n, x: n.conv(
                n.node(
                    "Transpose",
                    n.node(
                        "LayerNormalization",
                        n.node("Transpose", n.conv(x, CHANNELS, 8), perm=[0, 2, 3, 1]),
                        n.weight(8),
                        n.weight(8),
                    ),
                    perm=[0, 3, 1, 2],
                ),
                8,
                CHANNELS,
                kernel_shape=[1, 1],
                pads=[0] * 4,
            )
        ),
    },
    "InstanceNormalization": {
        "map": lambda: on_map(lambda n, x: n.node("InstanceNormalization", x, n.weight(6), n.weight(6))),
        "sequence": lambda: on_sequence(
            lambda n, x: n.node("InstanceNormalization", x, n.weight(6), n.weight(6))
        ),
        "of groups": lambda: on_map(group_norm),
        "GroupNormalization": lambda: on_map(
            lambda n, x: n.node(
                "GroupNormalization", x, n.weight(6), n.weight(6), num_groups=3, epsilon=1e-2
            ),
            opset=21,
        ),
        "GroupNormalization of a sequence": lambda: on_sequence(
            lambda n, x: n.node("GroupNormalization", x, n.weight(6), n.weight(6), num_groups=2), opset=21
        ),
    },
    "Gelu": {
        "tokens": lambda: on_tokens(lambda n, x: decomposed_gelu(n, n.token_dense(x, 6, 6))),
        "map": lambda: on_map(lambda n, x: decomposed_gelu(n, n.conv(x, CHANNELS, CHANNELS))),
    },
    "Transpose": {
        "rows and columns": lambda: on_map(lambda n, x: n.node("Transpose", x, perm=[0, 1, 3, 2])),
        "channels last": lambda: channels_last(HEIGHT, WIDTH, 3),
        "channels last, all equal": lambda: channels_last(8, 8, 8),
    },
    "Reshape": {
        "patches": lambda: on_map(
            lambda n, x: n.node(
                "Reshape",
                n.node("LayerNormalization", n.node("Reshape", x, n.integers(0, 6, -1)), n.weight(72)),
                n.integers(0, 6, 9, 8),
            )
        ),
    },
    "ReduceSum": {"channels": lambda: on_map(lambda n, x: n.node("ReduceSum", x, n.integers(1)), 1)},
    "ReduceMax": {
        "of negative values": lambda: on_map(
            lambda n, x: n.node("ReduceMax", n.node("Sub", x, n.constant(9)), axes=[2, 3])
        ),
        "channels": lambda: on_map(
            lambda n, x: n.node("Add", x, n.node("ReduceMax", n.node("Neg", n.relu(x)), axes=[1]))
        ),
    },
    "Pow": {"map": lambda: on_map(lambda n, x: n.node("Pow", positive(n, x), n.constant(1.5)))},
    "Erf": {"map": lambda: function("Erf")},
    "Sqrt": {"map": lambda: function("Sqrt", positive)},
    "Exp": {"map": lambda: function("Exp")},
    "Log": {"map": lambda: function("Log", positive)},
    "Abs": {"map": lambda: function("Abs")},
    "Mish": {"map": lambda: on_map(lambda n, x: n.node("Mish", n.conv(x, CHANNELS, CHANNELS)), opset=18)},
    "Neg": {"map": lambda: function("Neg")},
    "Reciprocal": {
        "map": lambda: function("Reciprocal", positive),
        "of a constant": lambda: on_map(lambda n, x: n.node("Div", n.constant(2.0), positive(n, x))),
    },
    "Gather": {
        "rows": lambda: on_map(lambda n, x: n.node("Gather", x, n.integers(8, 0, 0, 3, -1), axis=2)),
        "columns, in a table": lambda: on_map(
            lambda n, x: n.node(
                "Reshape",
                n.node("Gather", x, n.constant([[0, 1, 2], [2, 3, 4]], np.int64), axis=3),
                n.integers(0, 0, 9, 6),
            )
        ),
        "mirrored": lambda: on_map(lambda n, x: n.node("Slice", x, *map(n.integers, (-1, -99, 3, -1)))),
        "every second row, from the last": lambda: on_map(
            lambda n, x: n.node("Slice", x, *map(n.integers, (7, 0, 2, -2)))
        ),
        "tokens": lambda: on_tokens(lambda n, x: n.node("Gather", x, n.integers(6, 2, 0, 2), axis=1)),
        "features of tokens": lambda: on_tokens(
            lambda n, x: n.node("Gather", n.relu(x), n.integers(5, 2, 0, 1, -1, 3), axis=-1)
        ),
        "channels last": lambda: on_map(
            lambda n, x: n.node(
                "Transpose",
                n.node(
                    "Slice", n.node("Transpose", x, perm=[0, 2, 3, 1]), *map(n.integers, (-1, -99, 1, -1))
                ),
                perm=[0, 3, 1, 2],
            )
        ),
        "nearest neighbours, to odd sizes": lambda: resized(1.5, 2.4, mode="nearest", how="align_corners"),
        "nearest neighbours, smaller": lambda: resized(0.5, 0.75, mode="nearest", nearest_mode="ceil"),
    },
    "SpaceToDepth": {
        "map": lambda: on_map(
            lambda n, x: n.node(
                "SpaceToDepth", n.conv(x, CHANNELS, 4, kernel_shape=[2, 1], pads=[0] * 4), blocksize=2
            ),
            16,
        )
    },
    "LSTM": LSTM,
    "GRU": GRU,
}

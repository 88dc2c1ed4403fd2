"""Operators in spellings that files have, beside the ones of `operator_cases`; each is made of operators that
are there."""

from __future__ import annotations

from collections.abc import Callable

from networks import Network
from operator_networks import CHANNELS, HEIGHT, WIDTH, on_map, on_sequence, on_tokens, on_vector

FORMS: dict[str, Callable[[], Network]] = {
    # PReLU: one slope, one a channel, one a feature, one a value
    "prelu, one slope of a vector": lambda: on_vector(lambda n, x: n.node("PRelu", x, n.weight(1))),
    "prelu, a slope a feature": lambda: on_vector(lambda n, x: n.node("PRelu", x, n.weight(CHANNELS))),
    "prelu, one slope of tokens": lambda: on_tokens(
        lambda n, x: n.node("PRelu", n.token_dense(x, CHANNELS, CHANNELS), n.weight(1, 1))
    ),
    "prelu, a slope a feature of tokens": lambda: on_tokens(
        lambda n, x: n.node("PRelu", n.token_dense(x, CHANNELS, CHANNELS), n.weight(1, 1, CHANNELS))
    ),
    "prelu, (1, C, 1, 1)": lambda: on_map(
        lambda n, x: n.node("PRelu", n.conv(x, CHANNELS, CHANNELS), n.weight(1, CHANNELS, 1, 1))
    ),
    "prelu, a slope a value": lambda: on_map(
        lambda n, x: n.node("PRelu", n.conv(x, CHANNELS, CHANNELS), n.weight(CHANNELS, HEIGHT, WIDTH))
    ),
    "prelu, a sequence": lambda: on_sequence(lambda n, x: n.node("PRelu", x, n.weight(CHANNELS, 1))),
    "prelu, one slope of a sequence": lambda: on_sequence(lambda n, x: n.node("PRelu", x, n.weight(1))),
    # sequences
    "max pooling of a sequence": lambda: on_sequence(
        lambda n, x: n.node("MaxPool", x, kernel_shape=[3], strides=[2], pads=[1, 0])
    ),
    "max pooling of a sequence, ceil": lambda: on_sequence(
        lambda n, x: n.node("MaxPool", x, kernel_shape=[2], strides=[2], ceil_mode=1)
    ),
    "mean pooling of a sequence": lambda: on_sequence(
        lambda n, x: n.node("AveragePool", x, kernel_shape=[3], strides=[2], pads=[1, 1])
    ),
    "mean pooling of a sequence, padding counts": lambda: on_sequence(
        lambda n, x: n.node("AveragePool", x, kernel_shape=[3], pads=[1, 1], count_include_pad=1)
    ),
    "largest of a sequence": lambda: on_sequence(lambda n, x: n.node("GlobalMaxPool", x)),
    "mean of a sequence": lambda: on_sequence(lambda n, x: n.node("GlobalAveragePool", x)),
    "transposed convolution of a sequence": lambda: on_sequence(
        lambda n, x: n.node("ConvTranspose", x, n.weight(CHANNELS, 4, 4), strides=[2], pads=[1, 1]), 4
    ),
    "transposed convolution of a sequence, output padding": lambda: on_sequence(
        lambda n, x: n.node(
            "ConvTranspose", x, n.weight(CHANNELS, 4, 3), n.weight(4), strides=[3], output_padding=[1]
        ),
        4,
    ),
    "reflected sequence": lambda: on_sequence(
        lambda n, x: n.node("Pad", x, n.integers(0, 0, 2, 0, 0, 1), mode="reflect")
    ),
    # functions
    "selu": lambda: on_map(lambda n, x: n.node("Selu", n.conv(x, CHANNELS, CHANNELS))),
    "celu": lambda: on_map(lambda n, x: n.node("Celu", n.conv(x, CHANNELS, CHANNELS), alpha=0.7)),
    "softsign": lambda: on_map(lambda n, x: n.node("Softsign", n.conv(x, CHANNELS, CHANNELS))),
    "gelu by tanh": lambda: on_map(
        lambda n, x: n.node("Gelu", n.conv(x, CHANNELS, CHANNELS), approximate="tanh"), opset=20
    ),
    "log softmax of a vector": lambda: on_vector(lambda n, x: n.node("LogSoftmax", x, axis=1)),
    "log softmax over channels": lambda: on_map(lambda n, x: n.node("LogSoftmax", x, axis=1)),
    "second norm over space": lambda: on_map(
        lambda n, x: n.node("Mul", x, n.node("ReduceL2", x, axes=[2, 3], keepdims=1))
    ),
    "normalised features": lambda: on_vector(lambda n, x: n.node("LpNormalization", x, axis=1, p=2)),
    # choices
    "channels in another order": lambda: on_map(
        lambda n, x: n.node("Gather", n.conv(x, CHANNELS, CHANNELS), n.integers(3, 1, 0, 5, 4, 2), axis=1)
    ),
    "some channels twice": lambda: on_map(
        lambda n, x: n.node("Gather", n.relu(x), n.integers(4, 0, 0, 2), axis=1), 4
    ),
    "features in another order": lambda: on_vector(
        lambda n, x: n.node("Gather", x, n.integers(*reversed(range(CHANNELS))), axis=1)
    ),
}

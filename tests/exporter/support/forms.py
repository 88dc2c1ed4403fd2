"""Operators in spellings that files have, beside the ones of `operator_cases`; each is made of operators that
are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from networks import Network
from operator_networks import (
    CHANNELS,
    HEIGHT,
    TOKENS,
    WIDTH,
    on_map,
    on_sequence,
    on_tokens,
    on_vector,
    with_input,
)


def reflected_samples() -> Network:
    """Sound, as networks that begin with a spectrum pad it."""
    n = Network()
    x = n.node("Pad", n.input(32), n.integers(0, 5, 0, 3), mode="reflect")
    x = n.node("Conv", n.node("Unsqueeze", x, n.integers(1)), n.weight(CHANNELS, 1, 5))
    n.output(n.node("Conv", n.relu(x), n.weight(2, CHANNELS, 1)), rank=3)
    return n


def attention_in_sums(n: Network, x: str, width: int = 8) -> str:
    """Multi-head attention of Einstein sums alone, but for the softmax."""
    query, key, value = (n.token_dense(x, CHANNELS, width) for _ in range(3))
    query, key, value = (n.node("Reshape", y, n.integers(0, 0, 2, -1)) for y in (query, key, value))
    scores = n.node("Softmax", n.node("Einsum", query, key, equation="bqhd,bkhd->bhqk"), axis=-1)
    found = n.node("Einsum", scores, value, equation="bhqk,bkhd->bqhd")
    return n.token_dense(n.node("Reshape", found, n.integers(0, 0, width)), width, CHANNELS)


def masked(n: Network, x: str, how: str, width: int = 8) -> str:
    """Attention of each token to those before it."""
    query, key, value = (n.token_dense(x, CHANNELS, width) for _ in range(3))
    scores = n.node("MatMul", query, n.node("Transpose", key, perm=[0, 2, 1]))
    seen = np.tri(TOKENS, dtype=bool)
    if how == "fill":
        scores = n.node("Where", n.constant(seen, bool), scores, n.constant(-np.inf))
    else:
        scores = n.node("Add", scores, n.constant(np.where(seen, 0.0, -np.inf)))
    shares = n.node("Softmax", scores, axis=-1)
    if how == "guard":
        shares = n.node("Where", n.node("IsNaN", shares), n.constant(0.0), shares)
    return n.token_dense(n.node("MatMul", shares, value), width, CHANNELS)


def samples_channel_last() -> Network:
    """Sound, as Keras has it."""
    n = Network()
    x = n.node("Pad", n.input(32, 1), n.integers(0, 5, 0, 0, 3, 0), mode="reflect")
    x = n.node("Conv", n.node("Transpose", x, perm=[0, 2, 1]), n.weight(CHANNELS, 1, 5))
    n.output(n.node("Conv", n.relu(x), n.weight(2, CHANNELS, 1)), rank=3)
    return n


def without_nans(n: Network, x: str) -> str:
    """TensorFlow's `divide_no_nan` by what is 0 now and then."""
    above, below = n.conv(x, CHANNELS, CHANNELS), n.relu(n.conv(x, CHANNELS, CHANNELS))
    below = n.node("Clip", below, n.constant(0.1), "")  # of less, the source is coarse, too
    below = n.node("Sub", below, n.constant(0.1))
    below = n.node("Add", below, n.node("Clip", n.node("Mul", below, n.constant(1e9)), "", n.constant(0.5)))
    nought = n.constant(0.0)
    quotient = n.node("Div", above, below)
    return n.node("Where", n.node("Equal", below, nought), nought, quotient)


def learned_queries(n: Network, x: str, count: int, width: int = 8) -> str:
    """Attention pooling: two heads of queries that are constants, broadcast to the batch."""
    key, value = (n.token_dense(x, CHANNELS, width) for _ in range(2))
    key = n.node("Transpose", n.node("Reshape", key, n.integers(0, 0, 2, -1)), perm=[0, 2, 3, 1])
    value = n.node("Transpose", n.node("Reshape", value, n.integers(0, 0, 2, -1)), perm=[0, 2, 1, 3])
    query = n.weight(1, 2, count, width // 2)
    scores = n.node("Softmax", n.node("MatMul", query, key), axis=-1)
    found = n.node("Transpose", n.node("MatMul", scores, value), perm=[0, 2, 1, 3])
    return n.token_dense(n.node("Reshape", found, n.integers(0, count, width)), width, CHANNELS)


def interpolated(height: float, width: float, mode: str, how: str, **attributes: Any) -> Network:
    scales = 1.0, 1.0, height, width
    return on_map(
        lambda n, x: n.node(
            "Resize",
            x,
            "",
            n.constant(scales),
            mode=mode,
            coordinate_transformation_mode=how,
            **attributes,
        )
    )


FORMS: dict[str, Callable[[], Network]] = {
    # interpolation: what the engine does otherwise, or not at all
    "linear, without pixels' centres": lambda: interpolated(2, 3, "linear", "asymmetric"),
    "linear, whole pixels only by rounding": lambda: interpolated(1.3, 0.7, "linear", "half_pixel"),
    "linear, smaller to one": lambda: interpolated(0.2, 0.2, "linear", "pytorch_half_pixel"),
    "cubic": lambda: interpolated(2, 1.6, "cubic", "half_pixel"),
    "cubic, smaller, another kernel": lambda: interpolated(
        0.6, 1, "cubic", "align_corners", cubic_coeff_a=-0.5
    ),
    "linear, of a sequence": lambda: on_sequence(
        lambda n, x: n.node("Resize", x, "", n.constant([1.0, 1.0, 2.0]), mode="linear")
    ),
    "nearest, of a sequence": lambda: on_sequence(
        lambda n, x: n.node("Resize", x, "", n.constant([1.0, 1.0, 1.5]), mode="nearest")
    ),
    # larger and smaller
    "max, of a row": lambda: on_map(
        lambda n, x: n.node("Max", x, n.node("ReduceMean", n.relu(x), axes=[2, 3]))
    ),
    "max, of three": lambda: on_map(
        lambda n, x: n.node("Max", *(n.conv(x, CHANNELS, CHANNELS) for _ in range(3)))
    ),
    "max, a limit first": lambda: on_map(
        lambda n, x: n.node("Max", n.constant(0.2), n.conv(x, CHANNELS, CHANNELS))
    ),
    "max, a limit a channel": lambda: on_map(
        lambda n, x: n.node("Max", n.conv(x, CHANNELS, CHANNELS), n.weight(CHANNELS, 1, 1))
    ),
    "min, of two": lambda: on_map(lambda n, x: n.node("Min", n.conv(x, CHANNELS, CHANNELS), x)),
    "smallest pixel": lambda: on_map(
        lambda n, x: n.node("ReduceMin", n.conv(x, CHANNELS, CHANNELS), axes=[2, 3])
    ),
    "less the smallest feature": lambda: on_tokens(
        lambda n, x: n.node("Sub", x, n.node("ReduceMin", x, axes=[-1], keepdims=1))
    ),
    # layer norms over several dimensions
    "norm of channels and pixels": lambda: on_map(
        lambda n, x: n.node(
            "LayerNormalization",
            n.conv(x, CHANNELS, CHANNELS),
            n.weight(CHANNELS, HEIGHT, WIDTH),
            n.weight(CHANNELS, HEIGHT, WIDTH),
            axis=1,
        )
    ),
    "norm of pixels": lambda: on_map(
        lambda n, x: n.node("LayerNormalization", x, n.weight(HEIGHT, WIDTH), axis=-2)
    ),
    "norm of tokens and features": lambda: on_tokens(
        lambda n, x: n.node("LayerNormalization", x, n.weight(TOKENS, CHANNELS), axis=1)
    ),
    # products of constant matrices, as many as there are of the other
    "one learned query": lambda: on_tokens(lambda n, x: learned_queries(n, x, 1)),
    "learned queries": lambda: on_tokens(lambda n, x: learned_queries(n, x, 3)),
    "a matrix a channel": lambda: on_map(
        lambda n, x: n.node("MatMul", n.conv(x, CHANNELS, CHANNELS), n.weight(CHANNELS, WIDTH, 5))
    ),
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
    "edges": lambda: on_map(lambda n, x: n.node("Pad", x, n.integers(0, 0, 2, 0, 0, 0, 1, 3), mode="edge")),
    "edges of channels": lambda: on_map(
        lambda n, x: n.node("Pad", n.relu(x), n.integers(0, 1, 0, 0, 0, 1, 0, 2), mode="edge"), CHANNELS + 2
    ),
    "wrapped around": lambda: on_map(
        lambda n, x: n.node("Pad", x, n.integers(0, 0, 2, 1, 0, 0, 0, 3), mode="wrap"), opset=19
    ),
    "reflected samples with their channel last": lambda: samples_channel_last(),
    "quotient, 0 where it is of 0": lambda: on_map(without_nans),
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
    "pixels of the input, mirrored": lambda: with_input(
        lambda n, x, y: n.node("Concat", y, n.node("Slice", x, *map(n.integers, (-1, -99, 2, -1))), axis=1),
        CHANNELS + 3,
    ),
    "reflected samples": lambda: reflected_samples(),
    "channels from the last": lambda: on_map(
        lambda n, x: n.node("Slice", n.conv(x, CHANNELS, CHANNELS), *map(n.integers, (-1, -99, 1, -1)))
    ),
    "channels of a sequence": lambda: on_sequence(
        lambda n, x: n.node("Gather", x, n.integers(3, 1, 0, 5, 4, 2), axis=1)
    ),
    # Einstein sums
    "joints of a skeleton": lambda: on_map(
        lambda n, x: n.node("Einsum", x, n.weight(WIDTH, WIDTH), equation="nctv,vw->nctw")
    ),
    "partitions of joints": lambda: on_map(
        lambda n, x: n.node(
            "Einsum",
            n.node("Reshape", n.conv(x, CHANNELS, 12), n.integers(0, 2, 6, HEIGHT, WIDTH)),
            n.weight(2, WIDTH, WIDTH),
            equation="nkctv,kvw->nctw",
        )
    ),
    "features, from a constant on the left": lambda: on_tokens(
        lambda n, x: n.relu(n.node("Einsum", n.weight(8, CHANNELS), x, equation="of, b t f -> b t o")), 8
    ),
    "channels of a map": lambda: on_map(
        lambda n, x: n.node("Einsum", x, n.weight(CHANNELS, 4), equation="bchw,cd->bdhw"), 4
    ),
    "a vector": lambda: on_vector(
        lambda n, x: n.node("Einsum", x, n.weight(CHANNELS, 7), equation="bi,ij"), 7
    ),
    "with dots": lambda: on_tokens(
        lambda n, x: n.node("Einsum", x, n.weight(CHANNELS, 7), equation="...i,ij->...j"), 7
    ),
    "attention in Einstein sums": lambda: on_tokens(attention_in_sums),
    "of maps, dimensions joined": lambda: on_map(
        lambda n, x: n.node(
            "Einsum",
            x,
            n.node("Einsum", x, n.conv(x, CHANNELS, CHANNELS), equation="bchw,bdhw->bcd"),
            equation="bchw,bcd->bdhw",
        )
    ),
    # masks
    "causal mask": lambda: on_tokens(lambda n, x: masked(n, x, "add")),
    "causal mask, filled": lambda: on_tokens(lambda n, x: masked(n, x, "fill")),
    "causal mask, guarded": lambda: on_tokens(lambda n, x: masked(n, x, "guard")),
    "a choice of two maps": lambda: on_map(
        lambda n, x: n.node(
            "Where", n.constant(np.eye(HEIGHT, WIDTH), bool), x, n.conv(x, CHANNELS, CHANNELS)
        )
    ),
    "a choice of a map and a number": lambda: on_map(
        lambda n, x: n.node("Where", n.constant(np.eye(HEIGHT, WIDTH), bool), n.constant(0.5), x)
    ),
}

"""Operators in spellings that files have, beside the ones of `operator_cases`; each is made of operators that
are there."""

from __future__ import annotations

from collections.abc import Callable

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

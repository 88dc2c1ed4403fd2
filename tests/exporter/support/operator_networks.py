"""Operators between resizable layers: what the cases of `operator_cases` are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from networks import Network

CHANNELS, HEIGHT, WIDTH = 6, 9, 8

Build = Callable[[Network, str], str]


def on_map(build: Build, channels: int = CHANNELS, opset: int = 17) -> Network:
    """``build`` on a (batch, 6, 9, 8) tensor, between convolutions; it leaves ``channels`` channels."""
    network = Network(opset)
    before = network.relu(network.conv(network.input(3, HEIGHT, WIDTH), 3, CHANNELS))
    after = build(network, before)
    network.output(network.conv(network.conv(after, channels, 5), 5, 2), rank=4)
    return network


def on_vector(build: Build, features: int = CHANNELS) -> Network:
    """``build`` on a (batch, 6) tensor, between dense layers; it leaves ``features`` features."""
    network = Network()
    pooled = network.node("GlobalAveragePool", network.relu(network.conv(network.input(3, 5, 4), 3, 8)))
    before = network.dense(network.node("Flatten", pooled), 8, CHANNELS)
    after = build(network, before)
    network.output(network.dense(network.dense(after, features, 5), 5, 4))
    return network


def conv(outputs: int = 4, **attributes: Any) -> Network:
    return on_map(lambda n, x: n.relu(n.conv(x, CHANNELS, outputs, **attributes)), outputs)


def depthwise(**attributes: Any) -> Network:
    return on_map(lambda n, x: n.conv(x, CHANNELS, CHANNELS, group=CHANNELS, **attributes))


def transposed(outputs: int = 4, **attributes: Any) -> Network:
    return on_map(lambda n, x: n.relu(n.conv_transpose(x, CHANNELS, outputs, **attributes)), outputs)


def transposed_depthwise(**attributes: Any) -> Network:
    return on_map(lambda n, x: n.conv_transpose(x, CHANNELS, CHANNELS, group=CHANNELS, **attributes))


def padded(*pads: int, channels: int = CHANNELS, **attributes: Any) -> Network:
    return on_map(lambda n, x: n.node("Pad", x, n.integers(*pads), **attributes), channels)


def clipped(build: Build, low: float, high: float) -> Network:
    return on_map(lambda n, x: n.node("Clip", build(n, x), n.constant(low), n.constant(high)))


def scaled(n: Network, x: str) -> str:
    """Something into which no activation can be fused."""
    return n.node("Mul", x, n.weight(1, CHANNELS, 1, 1))


def with_constant(op: str, *shape: int) -> Network:
    return on_map(lambda n, x: n.node(op, x, n.weight(*shape)))


def pooled(op: str, kernel: int = 2, **attributes: Any) -> Network:
    return on_map(lambda n, x: n.node(op, x, kernel_shape=[kernel, kernel], **attributes))


def gate(n: Network, x: str) -> str:
    """Squeeze and excitation."""
    return n.node("Mul", x, gate_of(n, x))


def gate_of(n: Network, x: str) -> str:
    squeezed = n.relu(n.conv(n.node("ReduceMean", x, axes=[2, 3]), CHANNELS, 4, kernel=1))
    return n.node("Sigmoid", n.conv(squeezed, 4, CHANNELS, kernel=1))


def shuffled(n: Network, x: str, groups: int = 3) -> str:
    """Channels exchanged between groups, as ShuffleNet does it."""
    each = CHANNELS // groups
    blocks = n.node("Reshape", n.relu(x), n.integers(-1, groups, each, HEIGHT, WIDTH))
    exchanged = n.node("Transpose", blocks, perm=[0, 2, 1, 3, 4])
    return n.node("Reshape", exchanged, n.integers(-1, CHANNELS, HEIGHT, WIDTH))


def square_shuffle(n: Network, x: str, groups: int) -> str:
    """A shuffle of 16 channels, between convolutions."""
    blocks = n.node("Reshape", n.relu(x), n.integers(0, groups, 16 // groups, HEIGHT, WIDTH))
    exchanged = n.node("Transpose", blocks, perm=[0, 2, 1, 3, 4])
    return n.conv(n.node("Reshape", exchanged, n.integers(0, 16, HEIGHT, WIDTH)), 16, 16, kernel=1)


def dense_gate(n: Network, x: str) -> str:
    """Squeeze and excitation by dense layers, as PyTorch users write it."""
    squeezed = n.dense(n.node("Flatten", n.node("GlobalAveragePool", x)), CHANNELS, 4)
    excited = n.node("Sigmoid", n.dense(n.relu(squeezed), 4, CHANNELS))
    return n.node("Mul", x, n.node("Unsqueeze", excited, n.integers(2, 3)))


def residual(n: Network, x: str) -> str:
    branch = n.conv(n.relu(n.conv(x, CHANNELS, 4)), 4, CHANNELS)
    return n.relu(n.node("Add", branch, x))


def head(n: Network, x: str) -> str:
    """Flattens a spatial extent; a constant acts on the flattened channels."""
    flat = n.node("Flatten", n.node("MaxPool", x, kernel_shape=[3, 3], strides=[3, 3]))
    return n.node("Mul", n.relu(n.node("Add", flat, n.weight(CHANNELS * 6))), n.weight(1, CHANNELS * 6))


def flatten_head() -> Network:
    network = Network()
    flat = head(network, network.relu(network.conv(network.input(3, HEIGHT, WIDTH), 3, CHANNELS)))
    network.output(network.dense(network.relu(network.dense(flat, CHANNELS * 6, 7)), 7, 4))
    return network


def dense_block(n: Network, x: str) -> str:
    """Two layers that each read all before, with batch norm and activation ahead of the convolution."""
    width = CHANNELS
    for more in (4, 3):
        y = n.conv(n.relu(n.batch_norm(x, width)), width, more)
        x, width = n.node("Concat", x, y, axis=1), width + more
    return n.relu(n.batch_norm(x, width))


def enlarged(n: Network, x: str) -> str:
    """Twice as high, three times as wide, as Keras 3 repeats pixels."""
    for axis, times, shape in ((2, 2, (0, 6, -1, WIDTH)), (3, 3, (0, 6, 2 * HEIGHT, -1))):
        repeats = [times if place == axis + 1 else 1 for place in range(5)]
        wide = n.node("Tile", n.node("Unsqueeze", x, n.integers(axis + 1)), n.integers(*repeats))
        x = n.node("Reshape", wide, n.integers(*shape))
    return x


def sum_of_concats(n: Network, x: str) -> str:
    first, second = (
        n.node("Concat", n.conv(x, CHANNELS, CHANNELS), n.conv(x, CHANNELS, CHANNELS), axis=1)
        for _ in range(2)
    )
    return n.relu(n.node("Add", first, second))


def split_and_multiplied(n: Network, x: str) -> str:
    n.node("Split", x, n.integers(3, 3), outputs=2, axis=1)
    first, second = n.nodes[-1].output
    return n.node("Mul", first, n.node("Sigmoid", second))


def resized(
    height: float, width: float, mode: str, how: str = "half_pixel", nearest_mode: str | None = None
) -> Network:
    options = {"nearest_mode": nearest_mode} if nearest_mode else {}
    return on_map(
        lambda n, x: n.node(
            "Resize",
            x,
            "",
            n.constant([1, 1, height, width]),
            mode=mode,
            coordinate_transformation_mode=how,
            **options,
        )
    )


def with_input(build: Callable[[Network, str, str], str], channels: int) -> Network:
    """``build`` on the network's input, (batch, 3, 9, 8), and on what a layer makes of it."""
    network = Network()
    x = network.input(3, HEIGHT, WIDTH)
    after = build(network, x, network.relu(network.conv(x, 3, CHANNELS)))
    network.output(network.conv(network.conv(after, channels, 5), 5, 2), rank=4)
    return network


def on_map_flattened() -> Network:
    """A dense layer on two flattened maps side by side."""
    network = Network()
    x = network.relu(network.conv(network.input(3, 4, 3), 3, CHANNELS))
    parts = [network.node("Flatten", y) for y in (x, network.conv(x, CHANNELS, 2))]
    flat = network.node("Concat", *parts, axis=1)
    network.output(network.dense(network.relu(network.dense(flat, (CHANNELS + 2) * 12, 7)), 7, 4))
    return network


def channels_last(*shape: int) -> Network:
    """As Keras has images, (batch, height, width, channels), from the first to the last."""
    network = Network()
    x = network.node("Transpose", network.input(*shape), perm=[0, 3, 1, 2])
    x = network.conv(network.relu(network.conv(x, shape[-1], 6, strides=[2, 2], pads=[0, 0, 1, 1])), 6, 2)
    network.output(network.node("Transpose", x, perm=[0, 2, 3, 1]), rank=4)
    return network


TOKENS, HEADS = 7, 2


def on_tokens(build: Build, features: int = CHANNELS) -> Network:
    """``build`` on a (batch, 7, 6) tensor, between dense layers; it leaves ``features`` features."""
    network = Network()
    before = network.token_dense(network.input(TOKENS, 5), 5, CHANNELS)
    after = build(network, before)
    network.output(network.token_dense(network.token_dense(after, features, 5), 5, 4), rank=3)
    return network


def heads(n: Network, x: str, order: tuple[int, ...] = (0, 2, 1, 3)) -> str:
    """(batch, tokens, features) to (batch, heads, tokens, width)."""
    return n.node("Transpose", n.node("Reshape", x, n.integers(0, 0, HEADS, -1)), perm=list(order))


def attention(n: Network, x: str, width: int = 8) -> str:
    """Multi-head attention, as it is written with the batch first."""
    query, key, value = (n.token_dense(x, CHANNELS, width) for _ in range(3))
    scores = n.node("MatMul", heads(n, query), heads(n, key, (0, 2, 3, 1)))
    scores = n.node("Softmax", n.node("Div", scores, n.constant(2.0)), axis=-1)
    found = n.node("Transpose", n.node("MatMul", scores, heads(n, value)), perm=[0, 2, 1, 3])
    return n.token_dense(n.node("Reshape", found, n.integers(0, 0, width)), width, CHANNELS)


def attention_before_norm(n: Network, x: str) -> str:
    """A transformer's block: attention and a layer, each of a norm of the stream and added to it."""
    norm = n.node("LayerNormalization", x, n.weight(CHANNELS), n.weight(CHANNELS))
    x = n.node("Add", attention(n, norm), n.node("Add", x, n.weight(1, TOKENS, CHANNELS)))
    norm = n.node("LayerNormalization", x, n.weight(CHANNELS), n.weight(CHANNELS))
    x = n.node("Add", x, n.token_dense(n.relu(n.token_dense(norm, CHANNELS, 8)), 8, CHANNELS))
    return n.node("LayerNormalization", x, n.weight(CHANNELS), n.weight(CHANNELS))


def attention_of_one_layer(n: Network, x: str) -> str:
    """Queries, keys and values of one layer, chosen as timm does it."""
    width = 8
    joined = n.node(
        "Reshape", n.token_dense(x, CHANNELS, 3 * width), n.integers(0, 0, 3, HEADS, width // HEADS)
    )
    joined = n.node("Transpose", joined, perm=[2, 0, 3, 1, 4])
    query, key, value = (n.node("Gather", joined, n.constant(index, np.int64), axis=0) for index in range(3))
    scores = n.node(
        "MatMul", n.node("Mul", query, n.constant(0.5)), n.node("Transpose", key, perm=[0, 1, 3, 2])
    )
    found = n.node(
        "Transpose", n.node("MatMul", n.node("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3]
    )
    return n.token_dense(n.node("Reshape", found, n.integers(0, 0, width)), width, CHANNELS)


def attention_batch_second(n: Network, x: str) -> str:
    """As PyTorch's MultiheadAttention writes it: (tokens, batch, features), heads joined with the batch."""
    width = 8
    x = n.node("Transpose", x, perm=[1, 0, 2])
    joined = n.token_dense(x, CHANNELS, 3 * width)
    n.node("Split", joined, n.integers(width, width, width), outputs=3, axis=2)
    parts = [
        n.node("Transpose", n.node("Reshape", part, n.integers(TOKENS, -1, width // HEADS)), perm=[1, 0, 2])
        for part in n.nodes[-1].output
    ]
    scores = n.node("MatMul", parts[0], n.node("Transpose", parts[1], perm=[0, 2, 1]))
    found = n.node("MatMul", n.node("Softmax", scores, axis=-1), parts[2])
    found = n.node("Reshape", n.node("Transpose", found, perm=[1, 0, 2]), n.integers(-1, width))
    found = n.node("Reshape", n.dense(found, width, CHANNELS), n.integers(TOKENS, -1, CHANNELS))
    return n.node("Transpose", found, perm=[1, 0, 2])


def decomposed_norm(n: Network, x: str) -> str:
    """Layer normalisation as exporters wrote it before opset 17."""
    centred = n.node("Sub", x, n.node("ReduceMean", x, axes=[-1]))
    variance = n.node("ReduceMean", n.node("Pow", centred, n.constant(2.0)), axes=[-1])
    root = n.node("Sqrt", n.node("Add", variance, n.constant(1e-5)))
    return n.node("Add", n.node("Mul", n.node("Div", centred, root), n.weight(6)), n.weight(6))


def decomposed_gelu(n: Network, x: str) -> str:
    """GELU as exporters wrote it before opset 20."""
    erf = n.node("Erf", n.node("Div", x, n.constant(2**0.5)))
    return n.node("Mul", n.node("Mul", x, n.node("Add", erf, n.constant(1.0))), n.constant(0.5))


def class_token(n: Network, x: str) -> str:
    """A constant before the tokens, which alone is read in the end."""
    images = n.node("Slice", n.node("Shape", x), n.integers(0), n.integers(1))
    token = n.node("Expand", n.weight(1, 1, 6), n.node("Concat", images, n.integers(1, 6), axis=0))
    joined = n.node("Add", n.node("Concat", token, x, axis=1), n.weight(1, TOKENS + 1, 6))
    return n.token_dense(joined, CHANNELS, CHANNELS)


def chosen_token(n: Network, x: str) -> str:
    """The first token alone, which all are multiplied by."""
    first = n.node("Gather", class_token(n, x), n.constant(0, np.int64), axis=1)
    return n.node("Mul", x, n.node("Unsqueeze", n.dense(first, CHANNELS, CHANNELS), n.integers(1)))


def group_norm(n: Network, x: str) -> str:
    """As PyTorch writes it: instance norm of reshaped groups."""
    flat = n.node("Reshape", n.conv(x, CHANNELS, CHANNELS), n.integers(0, 2, -1))
    flat = n.node("InstanceNormalization", flat, n.constant([1.0, 1.0]), n.constant([0.0, 0.0]))
    back = n.node("Reshape", flat, n.integers(0, CHANNELS, HEIGHT, WIDTH))
    return n.node("Add", n.node("Mul", back, n.weight(CHANNELS, 1, 1)), n.weight(CHANNELS, 1, 1))


def on_sequence(build: Build, channels: int = CHANNELS, opset: int = 17) -> Network:
    """``build`` on a (batch, 6, 11) tensor, between 1-D convolutions."""
    network = Network(opset)
    x = network.node("Conv", network.input(3, 11), network.weight(CHANNELS, 3, 3), network.weight(CHANNELS))
    after = build(network, network.relu(x))
    x = network.node("Conv", after, network.weight(5, channels, 3), pads=[1, 1])
    network.output(network.node("Conv", x, network.weight(2, 5, 1)), rank=3)
    return network


def zero_padded_shortcut(n: Network, x: str) -> str:
    branch = n.conv(n.relu(n.conv(x, CHANNELS, 5)), 5, CHANNELS + 4)
    return n.relu(n.node("Add", branch, n.node("Pad", x, n.integers(0, 2, 0, 0, 0, 2, 0, 0))))


def function(op: str, build: Build = lambda n, x: x) -> Network:
    """A function of what a convolution and ``build`` make."""
    return on_map(lambda n, x: n.node(op, build(n, n.conv(x, CHANNELS, CHANNELS))))


def positive(n: Network, x: str) -> str:
    return n.node("Add", n.node("Sigmoid", x), n.constant(0.25))

"""Every operator of the registry between resizable layers: MindSpore and MindSpore Lite against ONNX Runtime.

A new operator needs a case here; `test_every_operator_has_a_case` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inn_exporter.bundling.onnx_writer import resized_onnx
from inn_exporter.execution.forward import run_node
from inn_exporter.execution.patches import channels_second
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.operators import OPERATORS, operator
from inn_exporter.passes.folding import fold
from inn_exporter.passes.layer_norms import with_free_streams
from inn_runtime import Bundle
from networks import Network, images, relative_error, run_onnx

DATA = Path(__file__).parents[1] / "data"
TOLERANCE = 1e-4
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
    "Neg": {"map": lambda: function("Neg")},
    "Reciprocal": {
        "map": lambda: function("Reciprocal", positive),
        "of a constant": lambda: on_map(lambda n, x: n.node("Div", n.constant(2.0), positive(n, x))),
    },
    "SpaceToDepth": {
        "map": lambda: on_map(
            lambda n, x: n.node(
                "SpaceToDepth", n.conv(x, CHANNELS, 4, kernel_shape=[2, 1], pads=[0] * 4), blocksize=2
            ),
            16,
        )
    },
}


def test_every_operator_has_a_case() -> None:
    assert set(CASES) == set(OPERATORS)


def assert_lite_parity(bundle: Bundle, sizes: tuple[float, ...] = (1.0, 0.5)) -> None:
    """MindSpore Lite runs the lowered network as ONNX Runtime runs the same resized network, at any batch."""
    ports = bundle.manifest.inputs
    with bundle.resample(1.0).session() as session:
        for size in sizes:
            session.resize(size)
            oracle = resized_onnx(session.model)
            for batch in (1, 3):
                inputs = {port.name: images(batch, *port.shape[1:], seed=batch) for port in ports}
                found = session.run(inputs)
                expected = run_onnx(oracle, inputs)
                if not isinstance(found, dict):
                    found = dict(zip(expected, [found]))
                for name, values in expected.items():
                    error = relative_error(found[name], values)
                    assert error <= TOLERANCE, f"{name}, size {size}, batch {batch}"


@pytest.mark.parametrize(
    ("op", "case"),
    [pytest.param(op, case, id=f"{op}-{case}") for op, cases in CASES.items() for case in cases],
)
def test_operator(
    op: str, case: str, assert_import_parity: Callable[..., Graph], export_network: Callable[..., Bundle]
) -> None:
    model = CASES[op][case]().model()
    graph = assert_import_parity(model)
    assert op in {node.op for form in (graph, with_free_streams(graph)) for node in form.nodes}
    bundle = export_network(model)
    assert bundle.resample(0.5).parameters < bundle.resample(1.0).parameters
    assert_lite_parity(bundle)


LINEAR = [op for op in CASES if OPERATORS[op].linear]


@pytest.mark.parametrize(
    ("op", "case"), [pytest.param(op, case, id=f"{op}-{case}") for op in LINEAR for case in CASES[op]]
)
def test_patches_times_the_kernel_are_the_output(op: str, case: str) -> None:
    graph = with_free_streams(fold(import_onnx(CASES[op][case]().model())))
    node = next(node for node in graph.nodes[2:] if node.op == op)
    source, weight, bias = node.inputs
    x = images(2, *graph.shapes[source][1:])
    patches = operator(node).unfold(node, x)
    output = run_node(node, {source: x}, graph.constants)
    kernel = graph.constants[weight].reshape(len(patches), -1, patches.shape[1])
    output = channels_second(node, output)
    found = (kernel @ patches).reshape(output.shape[1], -1) + graph.constants[bias][:, None]
    assert relative_error(found, output.swapaxes(0, 1).reshape(output.shape[1], -1)) <= TOLERANCE
    if output.ndim > 2:
        at = np.array([0, output[0, 0].size - 1])
        samples = patches.reshape(*patches.shape[:2], 2, -1)[..., at]
        assert np.array_equal(operator(node).unfold(node, x, at), samples.reshape(*patches.shape[:2], -1))


@pytest.mark.parametrize(
    "name", ["residual-dynamo-18-dynamic-raw", "vgg-script-11-batch8", "twoheads-script-12-dynamic-raw"]
)
def test_pytorch_file(name: str, export_network: Callable[..., Bundle]) -> None:
    assert_lite_parity(export_network(DATA / f"torch_{name}.onnx"))

"""The shape rules by the names that ``primitives.json`` uses, and those of what has several outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .shapes import (
    Operands,
    Shape,
    broadcast,
    concat,
    convolution,
    deconvolution,
    depth_to_space,
    equal,
    expect,
    flatten,
    gather,
    image,
    instance_norm,
    layer_norm,
    matmul,
    pad,
    pool,
    power,
    prelu,
    reduce,
    reshape,
    resize,
    same,
    slice_,
    softmax,
    space_to_depth,
    transpose,
)

LSTM_WIDTH = 8


def lstm(node: Operands) -> Shape:
    """(steps, batch, I), W (1, 4 · H, I), R (1, 4 · H, H), biases (1, 8 · H), two states (1, batch, H).

    The engine's is wrong, or crashes, where H is no multiple of `LSTM_WIDTH`.
    """
    expect("input 0", "3 dimensions", node.shapes[0], len(node.shapes[0]) == 3)
    steps, batch, inputs = node.shapes[0]
    width = node.attributes["hidden_size"]
    expect("hidden_size", f"a multiple of {LSTM_WIDTH}", width, width % LSTM_WIDTH == 0)
    equal("input_size", inputs, node.attributes["input_size"])
    state = (1, batch, width)
    expected = (1, 4 * width, inputs), (1, 4 * width, width), (1, 8 * width), state, state
    for position, shape in enumerate(expected, 1):
        equal(f"input {position}", shape, node.shapes[position])
    return (steps, batch, width)


def shapes_of(rule: str, node: Operands) -> list[Shape]:
    """Of all outputs. The further ones of what has several are its states.

    Raises
    ------
    MisfitError : shapes or attributes do not fit each other
    """
    first = RULES[rule](node)
    return [first] if rule != "lstm" else [first, *[(1, *first[1:])] * 2]


RULES: Mapping[str, Callable[[Operands], Shape]] = {
    rule.__name__.rstrip("_"): rule
    for rule in (
        same, image, softmax, broadcast, power, concat, flatten, gather, matmul, layer_norm, instance_norm,
        prelu, pad, reduce, reshape, resize, depth_to_space, space_to_depth, slice_, transpose, convolution,
        deconvolution, pool, lstm,
    )
}  # fmt: skip
"""The rules by their names in the table."""

"""What is constant is computed as each opset defines it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from inn_exporter.importers import import_onnx
from inn_exporter.importers.evaluation import results
from networks import Network
from onnx import helper
from parity import Parity, operators


def shape_arithmetic(opset: int) -> Network:
    """A reshape to a shape that is computed from the input's, as PyTorch writes it."""
    n = Network(opset)

    def axes(op: str, x: str, value: int) -> str:
        return n.node(op, x, n.integers(value)) if opset >= 13 else n.node(op, x, axes=[value])

    x = n.relu(n.conv(n.input(3, 6, 4), 3, 8))
    shape = n.node("Shape", x)
    batch, channels = (n.node("Gather", shape, n.constant(i, int), axis=0) for i in range(2))
    rows = axes("Squeeze", n.node("Slice", shape, *map(n.integers, (2, 3, 0))), 0)
    half = n.node("Div", channels, n.constant(2, int))
    sizes = [axes("Unsqueeze", value, 0) for value in (batch, half, n.node("Mul", rows, n.constant(2, int)))]
    x = n.node("Reshape", x, n.node("Concat", *sizes, n.integers(-1), axis=0))
    wide = axes("Unsqueeze", axes("Unsqueeze", n.weight(4), -1), 2)  # a stored constant
    n.output(n.node("Mul", x, wide), 4)
    return n


@pytest.mark.parametrize("opset", [11, 12, 13, 17])
def test_shape_arithmetic_folds(opset: int, assert_import_parity: Parity) -> None:
    graph = assert_import_parity(shape_arithmetic(opset).model())
    assert operators(graph) == operators(import_onnx(shape_arithmetic(13).model())), "as at opset 13"


CONSTANTS: dict[str, Callable[[Network, str], str]] = {
    "Softmax": lambda n, c: n.node("Softmax", c, axis=1),
    "Softmax of all": lambda n, c: n.node("Softmax", c),
    "LogSoftmax": lambda n, c: n.node("LogSoftmax", c, axis=-2),
    "Hardmax": lambda n, c: n.node("Hardmax", c, axis=1),
    "ReduceSum": lambda n, c: n.node("ReduceSum", c, axes=[-1]),
    "Split": lambda n, c: n.node("Split", c, axis=2, split=[1, 5], outputs=2),
    "Squeeze": lambda n, c: n.node("Unsqueeze", n.node("Squeeze", c, axes=[0]), axes=[-3]),
}


@pytest.mark.parametrize("opset", [11, 12])
@pytest.mark.parametrize("case", CONSTANTS)
def test_constants_of_old_forms(case: str, opset: int, assert_import_parity: Parity) -> None:
    n = Network(opset)
    c = CONSTANTS[case](n, n.weight(1, 5, 6))
    n.output(n.node("Mul", n.token_dense(n.input(5, 4), 4, 6), c), 3)
    graph = assert_import_parity(n.model())
    assert not {"Softmax", "Split", "ReduceSum"} & {*operators(graph)}


def test_what_cannot_be_computed_is_left() -> None:
    node = helper.make_node("Unsqueeze", ["x"], ["y"])  # without axes
    assert results(node, {"x": np.zeros(3)}, {}, 11) is None
    assert results(helper.make_node("RandomNormal", [], ["y"], shape=[2]), {}, {}, 17) is None
    assert results(helper.make_node("Relu", ["z"], ["y"]), {}, {"z": np.zeros(3)}, 17) is None

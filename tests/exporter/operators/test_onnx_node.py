"""The forms that an operator may have in a file, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from networks import Network
from parity import Parity, operators


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("bias", [None, (), (1,), (4,), (1, 4), (1, 1)])
def test_gemm(trans_b: int, bias: tuple[int, ...] | None, assert_import_parity: Parity) -> None:
    n = Network()
    operands = [n.weight(4, 6) if trans_b else n.weight(6, 4)]
    operands += [] if bias is None else [n.weight(*bias)]
    n.output(n.node("Gemm", n.input(6), *operands, transB=trans_b, alpha=0.5, beta=-2.0))
    assert_import_parity(n.model())


def test_matmul_and_add_are_one_layer(assert_import_parity: Parity) -> None:
    n = Network()
    n.output(n.node("Add", n.weight(4), n.node("MatMul", n.input(6), n.weight(6, 4))))
    assert operators(assert_import_parity(n.model())) == {"Gemm": 1}


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
def test_auto_pad(auto_pad: str, strides: list[int], assert_import_parity: Parity) -> None:
    n = Network()
    window = {"auto_pad": auto_pad, "strides": strides}
    x = n.conv(n.input(3, 17, 16), 3, 4, kernel_shape=[4, 3], **window)
    n.output(n.node("MaxPool", x, kernel_shape=[2, 3], **window), 4)
    n.output(n.node("AveragePool", x, kernel_shape=[3, 4], **window), 4)
    assert_import_parity(n.model())


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
def test_auto_pad_of_a_transposed_convolution(
    auto_pad: str, strides: list[int], assert_import_parity: Parity
) -> None:
    n = Network()
    window = {"auto_pad": auto_pad, "strides": strides}
    n.output(n.conv_transpose(n.input(3, 5, 4), 3, 4, kernel_shape=[4, 4], **window), 4)
    assert_import_parity(n.model())


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("shape", [[12, 11], [11, 10]])
def test_output_shape(auto_pad: str, shape: list[int], assert_import_parity: Parity) -> None:
    """Given, it decides the padding."""
    n = Network()
    window = {"auto_pad": auto_pad, "output_shape": shape, "output_padding": [1, 0]}
    n.output(n.conv_transpose(n.input(3, 5, 4), 3, 4, kernel_shape=[4, 5], **window), 4)
    graph = assert_import_parity(n.model())
    assert graph.shapes[graph.outputs[0]] == (1, 4, *shape)


@pytest.mark.parametrize(("axes", "pads"), [((2, 3), (1, 2, 3, 0)), ((3,), (1, 2)), ((-2, 1), (1, 0, 2, 0))])
def test_pad_of_some_axes(axes: tuple[int, ...], pads: tuple[int, ...], assert_import_parity: Parity) -> None:
    n = Network(opset=18)
    x = n.relu(n.conv(n.input(3, 5, 4), 3, 4))
    n.output(n.node("Pad", x, n.integers(*pads), n.constant(0.5), n.integers(*axes)), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "Relu": 1, "Pad": 1}


def test_pad_by_nothing(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 5, 4), 3, 4))
    n.output(n.conv(n.node("Pad", x, n.integers(*[0] * 8), mode="edge"), 4, 2), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 2, "Relu": 1}


@pytest.mark.parametrize("rank", [3, 4])
def test_mean_that_drops_its_axes(rank: int, assert_import_parity: Parity) -> None:
    n = Network()
    x = n.input(*[6, 5, 4][: rank - 1])
    n.output(n.dense(n.node("ReduceMean", x, axes=list(range(2, rank)), keepdims=0), 6, 3))
    assert_import_parity(n.model())


def test_clip_without_limits_and_with_infinite_ones(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.node("Clip", n.conv(n.input(3, 4, 4), 3, 4), n.constant(-np.inf), n.constant(0.5))
    n.output(n.node("Clip", x), 4)
    assert_import_parity(n.model())


@pytest.mark.parametrize("alpha_first", [True, False])
def test_leaky_relu_written_as_a_maximum(alpha_first: bool, assert_import_parity: Parity) -> None:
    """MindSpore's exporter writes it so."""
    n = Network()
    x = n.conv(n.input(3, 4, 4), 3, 4)
    scaled = n.node("Mul", *([n.constant(0.2), x] if alpha_first else [x, n.constant([0.2])]))
    n.output(n.node("Max", *([scaled, x] if alpha_first else [x, scaled])), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "LeakyRelu": 1}


def test_clamp_written_as_max_and_min(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.node("Max", n.conv(n.input(3, 4, 4), 3, 4), n.constant(-0.2))
    n.output(n.node("Min", x, n.constant([[0.4]])), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "Clip": 2}

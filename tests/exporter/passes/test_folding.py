"""Batch norms, scales and shifts folded into the layers before them, against ONNX Runtime on the file."""

from __future__ import annotations

import pytest
from networks import Network
from parity import Parity, operators


def test_batch_norm_scale_and_shift_fold_into_the_convolution(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.batch_norm(n.conv(n.input(3, 6, 6), 3, 4), 4)
    x = n.node("Add", n.constant(0.3), n.node("Mul", x, n.weight(1, 4, 1, 1)))
    x = n.node("Div", n.node("Sub", x, n.weight(4, 1, 1)), n.constant([2.0]))
    n.output(x, 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1}


def test_batch_norm_before_a_convolution_stays(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.relu(n.batch_norm(n.node("MaxPool", n.conv(n.input(3, 6, 6), 3, 4), kernel_shape=[2, 2]), 4))
    n.output(n.conv(x, 4, 2), 4)
    expected = {"Conv": 2, "MaxPool": 1, "Mul": 1, "Add": 1, "Relu": 1}
    assert operators(assert_import_parity(n.model())) == expected


def test_batch_norm_folds_into_a_dense_layer(assert_import_parity: Parity) -> None:
    n = Network()
    n.output(n.batch_norm(n.dense(n.input(6), 6, 4), 4))
    assert operators(assert_import_parity(n.model())) == {"Gemm": 1}


def test_depthwise_convolution_folds_too(assert_import_parity: Parity) -> None:
    n = Network()
    n.output(n.batch_norm(n.conv(n.input(4, 6, 6), 4, 4, group=4, bias=False), 4), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1}


@pytest.mark.parametrize("group", [1, 4])
def test_batch_norm_folds_into_a_transposed_convolution(group: int, assert_import_parity: Parity) -> None:
    n = Network()
    x = n.conv_transpose(n.input(4, 6, 6), 4, 8 if group == 1 else 4, group=group, bias=False)
    n.output(n.batch_norm(x, 8 if group == 1 else 4), 4)
    assert operators(assert_import_parity(n.model())) == {"ConvTranspose": 1}


def test_weight_shared_by_a_convolution_and_a_transposed_one(assert_import_parity: Parity) -> None:
    n = Network()
    weight = n.weight(4, 4, 3, 3)
    x = n.node("Conv", n.input(4, 6, 6), weight)
    n.output(n.batch_norm(n.node("ConvTranspose", n.relu(x), weight), 4), 4)
    assert_import_parity(n.model())


def test_convolution_that_two_nodes_read_is_not_folded(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.conv(n.input(3, 6, 6), 3, 4)
    n.output(n.node("Add", n.batch_norm(x, 4), n.relu(x)), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "Mul": 1, "Add": 2, "Relu": 1}


def test_convolution_that_is_an_output_is_not_folded(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.output(n.conv(n.input(3, 6, 6), 3, 4), 4)
    n.output(n.batch_norm(x, 4), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "Mul": 1, "Add": 1}


@pytest.mark.parametrize("shape", [(4, 6, 6), (6, 6), (1, 6), (6, 1)])
def test_constants_along_space_are_not_folded(shape: tuple[int, ...], assert_import_parity: Parity) -> None:
    n = Network()
    n.output(n.node("Add", n.conv(n.input(3, 6, 6), 3, 4), n.weight(*shape)), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "Add": 1}


def test_constant_that_widens_one_channel_is_not_folded(assert_import_parity: Parity) -> None:
    n = Network()
    n.output(n.node("Add", n.conv(n.input(3, 6, 6), 3, 1), n.weight(4, 1, 1)), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "Add": 1}

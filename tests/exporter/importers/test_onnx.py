"""ONNX import: MindSpore's forward of the imported and folded graph against ONNX Runtime on the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from inn_exporter.importers import import_onnx
from inn_exporter.passes.folding import fold
from networks import Network
from onnx import TensorProto, helper
from parity import Parity, operators
from places import DATA

TORCH = sorted(DATA.glob("torch_*.onnx"))

OPSETS = range(11, 22)


# ---------------------------------------------------------------------- files from PyTorch and MindSpore
@pytest.mark.parametrize("path", TORCH, ids=lambda path: path.stem)
def test_pytorch_file(path: Path, assert_import_parity: Parity) -> None:
    batch = 8 if "batch8" in path.stem else 1 if "static" in path.stem else 3
    graph = assert_import_parity(path, batch)
    assert graph.name == path.stem
    assert all(graph.shapes[name][0] == 1 for name in graph.shapes)


def test_both_exporters_and_all_forms_give_the_same_network() -> None:
    forms = {kind: set() for kind in ("residual", "vgg")}
    for path in TORCH:
        kind = path.stem.split("_")[1].split("-")[0]
        if kind in forms:
            forms[kind].add(tuple(sorted(operators(fold(import_onnx(path))).items())))
    assert all(len(found) == 1 for found in forms.values()), forms


def mindspore_file(folder: Path, batch: int) -> Path:
    """MindSpore's exporter only writes static shapes."""
    import mindspore as ms
    from mindspore import nn, ops

    class Net(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.SequentialCell(
                nn.Conv2d(3, 8, 3, 2, pad_mode="same"), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2, 2)
            )
            self.second = nn.SequentialCell(
                nn.Conv2d(8, 8, 3, 1, pad_mode="pad", padding=1, has_bias=True), nn.LeakyReLU(0.1)
            )
            self.head = nn.SequentialCell(
                nn.Flatten(), nn.Dense(8 * 4 * 5, 12), nn.ReLU(), nn.Dropout(p=0.5), nn.Dense(12, 4)
            )

        def construct(self, x: Any) -> tuple[Any, Any]:
            x = self.first(x)
            x = self.second(x) + x
            return self.head(x), ops.mean(x, (2, 3))

    net = Net()
    net.set_train(False)
    random = np.random.default_rng(0)
    for parameter in net.get_parameters():
        low = 0.5 if "variance" in parameter.name or "gamma" in parameter.name else -0.4
        values = random.uniform(low, low + 0.8, parameter.shape).astype(np.float32)
        parameter.set_data(ms.Tensor(values))
    path = folder / "net.onnx"
    example = ms.Tensor(np.zeros((batch, 3, 17, 20), np.float32))
    ms.export(net, example, file_name=str(path), file_format="ONNX")
    return path


@pytest.mark.parametrize("batch", [1, 4])
def test_mindspore_file(batch: int, tmp_path: Path, assert_import_parity: Parity) -> None:
    graph = assert_import_parity(mindspore_file(tmp_path, batch), batch)
    assert operators(graph)["Mul"] == 0  # batch norms are folded


# ---------------------------------------------------------------------- forms that differ between opsets
def every_form(opset: int) -> Network:
    """Operators as each opset writes them."""
    n = Network(opset)

    def axes(op: str, since: int, x: str, *values: int, **attributes: Any) -> str:
        if opset >= since:
            return n.node(op, x, n.integers(*values), **attributes)
        return n.node(op, x, axes=list(values), **attributes)

    x = n.relu(n.batch_norm(n.conv(n.input(3, 9, 8), 3, 6, strides=[2, 2]), 6))
    x = n.node("Clip", x, n.constant(-1), n.constant(2))
    x = n.node("Clip", n.node("LeakyRelu", x), "", n.constant(1.5))
    dropout = {"ratio": 0.4} if opset == 11 else {}
    x = n.node("Dropout", x, *([n.constant(0.4), n.constant(False, bool)] if opset > 11 else []), **dropout)
    x = n.node("MaxPool", n.node("Identity", x), kernel_shape=[2, 2])
    x = n.node("AveragePool", x, kernel_shape=[2, 2], ceil_mode=1, strides=[2, 2])
    x = n.node("Mul", x, axes("ReduceMean", 18, x, 2, 3))
    x = n.node("Add", x, axes("ReduceMean", 18, x, -1, keepdims=1))
    left = axes("Squeeze", 13, n.node("GlobalAveragePool", x), 2, 3)
    right = n.node("Flatten", axes("ReduceMean", 18, x, 2, 3, keepdims=0), axis=-1)
    y = n.node("Add", n.dense(left, 6, 4), n.node("MatMul", right, n.weight(6, 4)))
    n.output(n.node("Softmax", y, **({} if opset < 13 else {"axis": -1})))
    return n


@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset(opset: int, assert_import_parity: Parity) -> None:
    graph = assert_import_parity(every_form(opset).model())
    expected = operators(fold(import_onnx(every_form(17).model())))
    assert operators(graph) == expected


def test_open_extent_is_given(assert_import_parity: Parity) -> None:
    n = Network()
    n.output(n.conv(n.input(3, "height", None), 3, 2), 4)
    graph = assert_import_parity(n.model(), input_shapes={"x": (1, 3, 5, 6)})
    assert graph.shapes["x"] == (1, 3, 5, 6)


# ---------------------------------------------------------------------- constants
def test_constant_nodes(assert_import_parity: Parity) -> None:
    n = Network()
    weight = n.random.normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32)
    w = n.node("Constant", value=onnx.numpy_helper.from_array(weight))
    scale = n.node("Constant", value_floats=[0.5, 2.0, 1.0, -1.0])
    shape = n.node("Constant", value_ints=[4, 1, 1])
    x = n.node("Mul", n.node("Conv", n.input(3, 5, 5), w), n.node("Reshape", scale, shape))
    n.output(n.node("Clip", x, n.node("Constant", value_float=-0.5)), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "Clip": 1}


def test_initializers_that_are_also_inputs(assert_import_parity: Parity) -> None:
    n = Network()
    n.output(n.conv(n.input(3, 5, 5), 3, 2), 4)
    for tensor in n.initializers:
        n.inputs.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    assert assert_import_parity(n.model()).inputs == ["x"]


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_weights_of_other_precision(kind: Any, assert_import_parity: Parity) -> None:
    n = Network()
    weight = n.node("Cast", n.weight(4, 3, 3, 3, kind=kind), to=TensorProto.FLOAT)
    n.output(n.node("Conv", n.input(3, 5, 5), weight), 4)
    graph = assert_import_parity(n.model())
    assert all(values.dtype == np.float32 for values in graph.constants.values())


def test_weight_shared_by_two_layers_is_duplicated(assert_import_parity: Parity) -> None:
    n = Network()
    weight = n.weight(4, 4, 3, 3)
    x = n.conv(n.input(3, 6, 6), 3, 4)
    for _ in range(2):
        x = n.relu(n.batch_norm(n.node("Conv", x, weight, pads=[1, 1, 1, 1]), 4))
    n.output(x, 4)
    graph = assert_import_parity(n.model())
    first, second = (node.inputs[1] for node in graph.nodes[1:] if node.op == "Conv")
    assert first != second


# ---------------------------------------------------------------------- inputs and outputs
def test_several_inputs_and_outputs(assert_import_parity: Parity) -> None:
    n = Network()
    x, y = n.input(3, 5, 5), n.input(2, 5, 5, name="y")
    x = n.output(n.node("Add", n.conv(x, 3, 4), n.conv(y, 2, 4)), 4)
    n.output(n.node("Flatten", n.node("GlobalAveragePool", n.relu(x))))
    graph = assert_import_parity(n.model())
    assert graph.inputs == ["x", "y"]
    assert len(graph.outputs) == 2


@pytest.mark.parametrize("op", ["Identity", "Dropout"])
def test_output_of_a_node_without_effect(op: str, assert_import_parity: Parity) -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 4, 4), 3, 4))
    n.output(n.conv(x, 4, 2), 4)
    output = n.output(n.node(op, n.node("Identity", x)), 4)
    graph = assert_import_parity(n.model())
    assert output in graph.outputs
    assert operators(graph) == {"Conv": 2, "Relu": 1}


def test_nodes_that_no_output_needs_are_dropped(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.conv(n.input(3, 4, 4), 3, 4)
    n.node("Erf", n.conv(x, 4, 4))
    n.output(n.relu(x), 4)
    assert operators(assert_import_parity(n.model())) == {"Conv": 1, "Relu": 1}


def test_nodes_that_share_a_name() -> None:
    n = Network()
    x = n.input(3, 6, 6)
    for _ in range(2):
        x = n.batch_norm(n.relu(x), 3)
        x = n.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    n.output(x, 4)
    distinct = import_onnx(n.model())
    for node in n.nodes:
        node.name = "node"
    graph = import_onnx(n.model())
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)
    assert operators(graph) == operators(distinct)
    assert len({node.output for node in graph.nodes}) == len(graph.nodes)


def test_model_functions_are_inlined(assert_import_parity: Parity) -> None:
    n = Network()
    x = n.conv(n.input(3, 4, 4), 3, 4)
    n.nodes.append(helper.make_node("twice", [x], ["y"], domain="mine"))
    n.output(n.relu("y"), 4)
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    model = n.model(check=False)
    function = helper.make_function("mine", "twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    assert operators(assert_import_parity(model)) == {"Conv": 1, "Add": 1, "Relu": 1}


def test_the_model_in_memory_is_not_changed() -> None:
    model = every_form(17).model()
    before = model.SerializeToString()
    import_onnx(model)
    assert model.SerializeToString() == before

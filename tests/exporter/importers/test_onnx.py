"""ONNX import: MindSpore's forward of the imported and folded graph against ONNX Runtime on the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.passes.folding import fold
from networks import Network
from onnx import TensorProto, helper

DATA = Path(__file__).parents[1] / "data"
TORCH = sorted(DATA.glob("torch_*.onnx"))
OPSETS = range(11, 22)

Parity = Callable[..., Graph]


def operators(graph: Graph) -> Counter[str]:
    return Counter(node.op for node in graph.nodes)


def folded(network: Network) -> Graph:
    return fold(import_onnx(network.model()))


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


def test_fixed_batch_is_freed() -> None:
    """Whatever batch the file was exported with, the graph runs any."""
    from inn_exporter.execution.forward import run

    graph = fold(import_onnx(DATA / "torch_vgg-script-11-batch8.onnx"))
    scores = run(graph, {"x": np.ones((2, 3, 20, 24), np.float32)})["scores"]
    assert scores.shape == (2, 5)


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


@pytest.mark.parametrize("batch", [1, 8, "batch", None])
def test_batch_in_the_reshape(batch: Any, assert_import_parity: Parity) -> None:
    n = Network(batch=batch)
    x = n.relu(n.conv(n.input(3, 4, 5), 3, 6))
    x = n.node("Reshape", x, n.integers(batch if isinstance(batch, int) else -1, 120))
    n.output(n.dense(x, 120, 4))
    assert_import_parity(n.model(), batch if isinstance(batch, int) else 3)


def test_batch_all_over_a_transformer(assert_import_parity: Parity) -> None:
    """PyTorch's attention at a fixed batch: with the heads, and with the tokens, in one dimension."""
    batch, tokens, width, heads = 4, 8, 12, 2
    n = Network(batch=batch)
    token = n.constant(np.broadcast_to(n.random.normal(size=width), (batch, 1, width)))
    x = n.node("Concat", token, n.input(tokens - 1, width), axis=1)
    x = n.node("Transpose", x, perm=[1, 0, 2])
    each = n.integers(tokens, batch * heads, width // heads)
    query, key, value = (
        n.node("Transpose", n.node("Reshape", n.token_dense(x, width, width), each), perm=[1, 0, 2])
        for _ in range(3)
    )
    scores = n.node("Softmax", n.node("MatMul", query, n.node("Transpose", key, perm=[0, 2, 1])), axis=-1)
    found = n.node("Transpose", n.node("MatMul", scores, value), perm=[1, 0, 2])
    found = n.dense(n.node("Reshape", found, n.integers(tokens * batch, width)), width, width)
    x = n.node("Add", n.node("Reshape", found, n.integers(tokens, batch, width)), x)
    first = n.node("Gather", n.node("Transpose", x, perm=[1, 0, 2]), n.constant(0, np.int64), axis=1)
    n.output(n.dense(first, width, 3))
    graph = assert_import_parity(n.model(), batch)
    assert graph.shapes[graph.outputs[0]] == (1, 3)


@pytest.mark.parametrize("batch", [8, "batch"])
def test_shape_arithmetic(batch: Any, assert_import_parity: Parity) -> None:
    """Shape, Gather, Mul, Concat as PyTorch writes ``x.view(x.size(0), c * h * w)``."""
    n = Network(batch=batch)
    x = n.relu(n.conv(n.input(3, 4, 5), 3, 6))
    shape = n.node("Shape", x)
    rows, columns = (n.node("Gather", shape, n.constant(axis, np.int64), axis=0) for axis in (0, 1))
    extent = n.node("ReduceProd", n.node("Slice", shape, n.integers(2), n.integers(4)), keepdims=0)
    features = n.node("Div", n.node("Mul", n.node("Mul", columns, extent), columns), columns)
    parts = [n.node("Unsqueeze", part, n.integers(0)) for part in (rows, features)]
    x = n.node("Reshape", x, n.node("Concat", *parts, axis=0))
    n.output(n.dense(x, 120, 4))
    assert operators(assert_import_parity(n.model(), 8)) == {"Conv": 1, "Relu": 1, "Flatten": 1, "Gemm": 1}


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


# ---------------------------------------------------------------------- folding
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


# ---------------------------------------------------------------------- operators' variants
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

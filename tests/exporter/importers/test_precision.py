"""Models in float16, in double, and of images as bytes: in float32, against ONNX Runtime on the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from inn_exporter import export
from inn_exporter.execution.forward import run
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.importers.precision import to_float32
from inn_exporter.passes.folding import fold
from inn_runtime import UsageError
from inn_runtime.source import SourceModel, relative_difference
from networks import Network, images
from onnx import ModelProto, TensorProto, helper, numpy_helper

HALF, DOUBLE = TensorProto.FLOAT16, TensorProto.DOUBLE
BOUND = {HALF: 5e-3, DOUBLE: 1e-5, TensorProto.FLOAT: 1e-5}


def typed(model: ModelProto, kind: int) -> ModelProto:
    """The same, with inputs, outputs and constants of another float type."""
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(kind))
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.elem_type = kind
    return model


def float_ends(model: ModelProto, kind: int) -> ModelProto:
    """The same, with casts from float32 and to it."""
    (x,), (y,) = model.graph.input, model.graph.output
    for node in model.graph.node:
        node.input[:] = [f"{name}_inside" if name == x.name else name for name in node.input]
        node.output[:] = [f"{name}_inside" if name == y.name else name for name in node.output]
    first = helper.make_node("Cast", [x.name], [f"{x.name}_inside"], to=kind)
    last = helper.make_node("Cast", [f"{y.name}_inside"], [y.name], to=TensorProto.FLOAT)
    nodes = [first, *model.graph.node, last]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for info in (x, y):
        info.type.tensor_type.elem_type = TensorProto.FLOAT
    return model


def dense() -> ModelProto:
    """A network that ONNX Runtime can run in any float type."""
    n = Network()
    x = n.node("Relu", n.dense(n.input(6), 6, 16))
    scale = n.node("Constant", value=numpy_helper.from_array(np.array([1.5], np.float32)))
    n.output(n.dense(n.node("Mul", x, n.node("CastLike", scale, x)), 16, 4))
    return n.model(check=False)


def convolutions() -> ModelProto:
    n = Network()
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 8))
    x = n.node("GlobalAveragePool", n.relu(n.conv(x, 8, 12, strides=[2, 2])))
    n.output(n.dense(n.node("Flatten", x), 12, 4))
    return n.model(check=False)


def assert_same(model: ModelProto, bound: float, whole: int = 0) -> Graph:
    """The import computes what the source does in ONNX Runtime, on floats or on whole numbers."""
    graph = fold(import_onnx(model))
    inputs = {name: images(3, *graph.shapes[name][1:]) for name in graph.inputs}
    source = SourceModel(model.SerializeToString())
    inputs = source.representable({name: x * (whole or 1) for name, x in inputs.items()})
    found, expected = run(graph, inputs), source.run(inputs)
    assert all(relative_difference(found[name], expected[name]) <= bound for name in expected)
    assert all(values.dtype == np.float32 for values in graph.constants.values())
    return graph


@pytest.mark.parametrize("kind", [HALF, DOUBLE])
@pytest.mark.parametrize("ends", [False, True])
def test_other_floats(kind: int, ends: bool) -> None:
    model = typed(dense(), kind)
    graph = assert_same(float_ends(model, kind) if ends else model, BOUND[kind])
    assert not any(node.op == "Cast" for node in graph.nodes)


@pytest.mark.parametrize("ends", [False, True])
def test_half_precision_convolutions(ends: bool) -> None:
    model = typed(convolutions(), HALF)
    assert_same(float_ends(model, HALF) if ends else model, BOUND[HALF])


def test_doubles_that_no_float32_can_hold() -> None:
    lowest = numpy_helper.from_array(np.array([-np.finfo(np.float64).max, -np.inf, 0.1]), "lowest")
    model = ModelProto()
    model.graph.initializer.append(lowest)
    to_float32(model)
    found = numpy_helper.to_array(model.graph.initializer[0])
    assert found.dtype == np.float32
    assert found.tolist() == [-np.finfo(np.float32).max, -np.inf, np.float32(0.1)]


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT8])
@pytest.mark.parametrize("to", [TensorProto.FLOAT, HALF])
def test_bytes(kind: int, to: int) -> None:
    n = Network()
    x = n.node("Transpose", n.input(8, 8, 3, kind=kind), perm=[0, 3, 1, 2])
    dtype = helper.tensor_dtype_to_np_dtype(to)
    x = n.node("Div", n.node("Cast", x, to=to), n.constant(128, dtype))
    x = n.node("Conv", x, n.weight(4, 3, 3, 3, kind=dtype))
    n.output(n.node("Cast", n.relu(x), to=TensorProto.FLOAT), 4)
    graph = assert_same(n.model(check=False), BOUND[to], whole=90)
    assert graph.inputs == ["x"]


def test_bytes_that_are_computed_with() -> None:
    n = Network()
    x = n.input(6, kind=TensorProto.UINT8)
    n.output(n.node("Cast", n.node("Add", x, n.constant([1], np.uint8)), to=TensorProto.FLOAT))
    with pytest.raises(UsageError, match="input 'x': expected float32, found uint8, which only a Cast"):
        import_onnx(n.model(check=False))
    n = Network()
    n.output(n.node("Cast", n.input(6, kind=TensorProto.UINT8), to=TensorProto.INT32))
    with pytest.raises(UsageError, match="found uint8"):
        import_onnx(n.model(check=False))


def test_bundle_of_a_half_precision_network(tmp_path: Path) -> None:
    model = typed(convolutions(), HALF)
    data = {"x": images(20, 3, 8, 8)}
    bundle = export(model, tmp_path / "half.inn", data, sizes=(0.5, 1.0), quadrature="none")
    assert [port.shape for port in bundle.manifest.inputs] == [(1, 3, 8, 8)]


def test_a_double_network_that_onnx_runtime_cannot_run_is_judged_in_float32(tmp_path: Path) -> None:
    model = typed(convolutions(), DOUBLE)
    with pytest.raises(UsageError, match="cannot load it"):
        SourceModel(model.SerializeToString())
    bundle = export(model, tmp_path / "double.inn", images(20, 3, 8, 8), sizes=(0.5,), storage="float32")
    assert bundle.manifest.source_difference < 1e-4

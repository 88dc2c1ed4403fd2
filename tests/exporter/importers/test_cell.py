"""MindSpore's own layers, in Python and as a file that MindSpore wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inn_exporter import export, from_cell
from inn_exporter.backend import mindspore, tensor
from inn_exporter.bundling.onnx_writer import resized_constants
from inn_exporter.data.samples import Samples
from inn_exporter.execution import forward
from inn_exporter.importers import import_onnx
from inn_exporter.integral import (
    ContinuousAxis,
    IntegralConv2d,
    IntegralConvNorm2d,
    IntegralDense,
)
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.lower import lower
from inn_runtime import Bundle, UsageError
from inn_runtime.sampling.plan import round_width
from networks import images, relative_error
from onnx import ModelProto

nn, ops = mindspore().nn, mindspore().ops


class Block(nn.Cell):  # type: ignore[misc]  # MindSpore has no types
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.SequentialCell(
            nn.Conv2d(inputs, outputs, 3, stride, pad_mode="pad", padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, pad_mode="same"),
        )
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)

    def construct(self, x: Any) -> Any:
        return ops.relu(self.branch(x) + self.shortcut(x))


class Classifier(nn.Cell):  # type: ignore[misc]  # MindSpore has no types
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, has_bias=True)
        self.pool = nn.MaxPool2d(2, 2)
        self.blocks = nn.SequentialCell(Block(8, 8, 1), Block(8, 12, 2))
        self.depthwise = nn.Conv2d(12, 12, 3, group=12)
        self.last = nn.SequentialCell(nn.ReLU6(), nn.AvgPool2d(2, 2), nn.Flatten(), nn.Dense(48, 10))

    def construct(self, pixels: Any) -> Any:
        return self.last(self.depthwise(self.blocks(self.pool(ops.relu(self.stem(pixels))))))


def _in_memory(cell: Any, x: np.ndarray, folder: Path) -> ModelProto:
    return from_cell(cell, x)


def _written(cell: Any, x: np.ndarray, folder: Path) -> Path:
    path = folder / "cell.onnx"
    mindspore().onnx.export(cell, tensor(x), file_name=str(path), input_names=["pixels"])
    os.chmod(path, 0o644)
    return path


@pytest.mark.parametrize("source", [_in_memory, _written])
def test_a_cell_becomes_a_network_of_any_width(
    source: Callable[..., Any], tmp_path: Path, export_network: Callable[..., Bundle]
) -> None:
    x = images(2, 3, 16, 16)
    cell = Classifier().set_train(False)
    expected = cell(tensor(x)).asnumpy()
    model = source(cell, x[:1], tmp_path)
    (found,) = forward.run(fold(import_onnx(model)), {"pixels": x}).values()
    assert relative_error(found, expected) <= 1e-5
    bundle = export_network(model)
    assert [group.axis.size for group in bundle.manifest.groups] == [8, 8, 8, 12, 12]
    with bundle.resample(1.0).session() as session:
        assert relative_error(session.run(x), expected) <= 1e-4


class _Net(mindspore().nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        first, second = ContinuousAxis(8), ContinuousAxis(12)
        self.axes = (first, second)
        self.first = IntegralConvNorm2d(1, first, 3, padding=1, seed=0)
        self.second = IntegralConv2d(first, second, 3, stride=2, padding=1, seed=1)
        self.head = IntegralDense(second, 10, seed=2)

    def construct(self, x: Any) -> Any:
        x = mindspore().ops.relu(self.first(x))
        x = mindspore().ops.relu(self.second(x))
        return self.head(mindspore().ops.mean(x, (2, 3)))


def test_trained_integral_layers_become_a_bundle_that_computes_the_same(
    tmp_path: Path, labelled: Samples
) -> None:
    net, images = _Net(), labelled.inputs["x"][:64]
    net.set_train()
    for _ in range(5):
        net(tensor(images))  # moving averages
    net.set_train(False)
    options: dict[str, Any] = {"quadrature": "trapezoid", "order": "given", "storage": "float32"}
    bundle = export(from_cell(net, images[:1]), tmp_path / "net.inn", images, sizes=(0.5,), **options)
    graph = fold(import_onnx(from_cell(net, images[:1])))
    layouts = {w.name: w.permutation for w in lower(graph, analyse(graph)[1].dims).weights}
    for size in (0.3, 0.75, 1.0, 1.5):
        for axis, group in zip(net.axes, bundle.manifest.groups):
            assert axis.size == group.axis.size
            axis.resize(round_width(size, axis.size, 1))
        constants = resized_constants(bundle.resample(size), layouts)
        (found,) = forward.run(graph, {graph.inputs[0]: images}, constants).values()
        np.testing.assert_allclose(found, net(tensor(images)).asnumpy(), atol=1e-5)


def test_what_is_no_cell_is_refused() -> None:
    with pytest.raises(UsageError, match=r"expected a mindspore\.nn\.Cell, found int"):
        from_cell(3, np.zeros(1))
    with pytest.raises(UsageError, match="an input for each argument"):
        from_cell(_Net())

    class Branching(mindspore().nn.Cell):
        def construct(self, x: Any) -> Any:
            return sorted(x)

    with pytest.raises(UsageError, match="Branching: MindSpore cannot write it as ONNX: "):
        from_cell(Branching(), np.zeros((2, 3), np.float32))

"""MindSpore's own layers, in Python and as a file that MindSpore wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inn_exporter import from_cell
from inn_exporter.backend import mindspore, tensor
from inn_exporter.execution import forward
from inn_exporter.importers import import_onnx
from inn_exporter.passes.folding import fold
from inn_runtime import Bundle
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

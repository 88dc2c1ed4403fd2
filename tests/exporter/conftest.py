"""What the exporter's tests share. MindSpore is loaded once, by the package itself, for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from benchmarks.networks import fashion_mnist

pytest.importorskip("mindspore")

from inn_exporter import export
from inn_exporter.data.samples import Samples
from inn_exporter.execution.forward import run
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.continuous import ContinuousNetwork
from inn_exporter.passes.folding import fold
from inn_runtime import Bundle
from networks import images, relative_error, run_onnx
from parity import TOLERANCE
from resizable import resizable


@pytest.fixture
def assert_import_parity() -> Callable[..., Graph]:
    """A function: import and fold, run in MindSpore and as calibration does, compare with ONNX Runtime on the
    original."""

    def check(
        source: ModelProto | Path,
        batch: int = 3,
        input_shapes: Mapping[str, tuple[int, ...]] | None = None,
        tolerance: float = TOLERANCE,
    ) -> Graph:
        graph = fold(import_onnx(source, input_shapes))
        inputs = {name: images(batch, *graph.shapes[name][1:]) for name in graph.inputs}
        content = source.read_bytes() if isinstance(source, Path) else source
        expected = run_onnx(content, inputs)
        for in_mindspore in (True, False):
            found = run(graph, inputs, in_mindspore=in_mindspore)
            assert list(found) == list(expected)
            for name, values in expected.items():
                assert relative_error(found[name], values) <= tolerance, (name, in_mindspore)
                assert graph.shapes[name] == (1, *values.shape[1:])
        return graph

    return check


@pytest.fixture
def export_network(tmp_path: Path) -> Callable[..., Bundle]:
    """A function: export a model with random images, exactly stored."""

    def make(
        model: ModelProto | Path, sizes: tuple[float, ...] = (0.5, 1.0), quadrature: str = "none"
    ) -> Bundle:
        graph = import_onnx(model)
        data = {name: images(20, *graph.shapes[name][1:]) for name in graph.inputs}
        path = tmp_path / "network.inn"
        return export(model, path, data, sizes=sizes, quadrature=quadrature, storage="float32")

    return make


@pytest.fixture(scope="session")
def fashion() -> tuple[np.ndarray, np.ndarray]:
    """Fashion-MNIST's training images, (60000, 1, 28, 28), and labels."""
    try:
        return fashion_mnist.load("train")
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def train(fashion: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """320 images of Fashion-MNIST's training set, (320, 1, 28, 28)."""
    found, _ = fashion
    return found[np.sort(np.random.default_rng(0).permutation(len(found))[:320])]


@pytest.fixture(scope="session")
def labelled(fashion: tuple[np.ndarray, np.ndarray]) -> Samples:
    """1,000 labelled images of Fashion-MNIST, at half resolution."""
    images, labels = fashion
    return Samples({"x": np.ascontiguousarray(images[:1000, :, ::2, ::2])}, labels[:1000])


@pytest.fixture
def small() -> ContinuousNetwork:
    """Two convolutions and a dense layer that can be resized."""
    return resizable(pooled=True)

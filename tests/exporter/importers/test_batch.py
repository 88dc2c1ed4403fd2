"""A batch of one, wherever the file has its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from inn_exporter.importers import import_onnx
from inn_exporter.passes.folding import fold
from networks import Network
from parity import Parity, operators
from places import DATA


def test_fixed_batch_is_freed() -> None:
    """Whatever batch the file was exported with, the graph runs any."""
    from inn_exporter.execution.forward import run

    graph = fold(import_onnx(DATA / "torch_vgg-script-11-batch8.onnx"))
    scores = run(graph, {"x": np.ones((2, 3, 20, 24), np.float32)})["scores"]
    assert scores.shape == (2, 5)


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

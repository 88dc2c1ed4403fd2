"""Layer norms over linear streams: where they are reduced to root mean squares, and that nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from inn_exporter.execution.forward import run
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.order import order_channels
from inn_exporter.ordering.rotation import rotatable_groups
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.layer_norms import with_free_streams
from inn_runtime import Bundle
from networks import Network, images, relative_error
from operator_networks import attention_before_norm, on_tokens
from parity import assert_lite_parity

TOKENS, WIDTH = 7, 6

Block = Callable[[Network, str], str]


def norm(n: Network, x: str, width: int = WIDTH) -> str:
    return n.node("LayerNormalization", x, n.weight(width), n.weight(width), epsilon=1e-3)


def layer(n: Network, x: str) -> str:
    return n.token_dense(n.relu(n.token_dense(x, WIDTH, 9)), 9, WIDTH)


def imported(block: Block) -> Graph:
    return fold(import_onnx(on_tokens(block).model()))


def kinds(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes if node.op.endswith("Normalization")]


def class_token(n: Network, x: str) -> str:
    """A token in front, which alone is read; the network's output is what it says, twice over."""
    x = n.node("Concat", n.weight(1, 1, WIDTH), x, axis=1)
    x = norm(n, n.node("Add", x, layer(n, norm(n, x))))
    return n.node("Slice", x, n.integers(0), n.integers(2), n.integers(1))


REDUCED: dict[str, Block] = {
    "transformer": attention_before_norm,
    "class token": class_token,
    "mean over tokens": lambda n, x: n.node(
        "ReduceMean", norm(n, n.node("Add", x, layer(n, norm(n, x)))), axes=[1]
    ),
    "other way round": lambda n, x: n.node(
        "Transpose", n.node("Transpose", norm(n, x), perm=[0, 2, 1]), perm=[0, 2, 1]
    ),
}

LEFT: dict[str, Block] = {
    "norm after the sum": lambda n, x: n.node("Add", norm(n, x), layer(n, norm(n, x))),
    "stream read by a layer": lambda n, x: norm(n, n.node("Add", x, n.token_dense(x, WIDTH, WIDTH))),
    "not linear": lambda n, x: norm(n, n.relu(x)),
    "read by what is not linear": lambda n, x: n.node("Softmax", norm(n, x), axis=-1),
    "shifted by one number": lambda n, x: norm(
        n, n.node("Add", x, n.node("Abs", n.token_dense(norm(n, x), WIDTH, 1)))
    ),
    "norm of a norm": lambda n, x: norm(n, norm(n, x)),
    "scaled by channel in between": lambda n, x: n.node("Mul", norm(n, x), n.weight(1, TOKENS, WIDTH)),
}


@pytest.mark.parametrize("form", REDUCED)
def test_stream_under_norms_is_free(form: str, export_network: Callable[..., Bundle]) -> None:
    network = on_tokens(REDUCED[form])
    before = fold(import_onnx(network.model()))
    after = with_free_streams(before)
    assert set(kinds(before)) == {"LayerNormalization"}
    assert set(kinds(after)) == {"RMSNormalization"}
    after, channels = analyse(after)
    (stream,) = (group for group in rotatable_groups(after, channels) if channels.sizes[group] == WIDTH)
    ordered = order_channels(after, channels, "nested", {"x": images(40, TOKENS, 5)})
    assert not np.allclose(*(g.constants[channels.groups[stream].members[0][:-2]] for g in (after, ordered)))
    x = images(3, TOKENS, 5, seed=2)
    expected = run(before, {"x": x})
    for graph in (after, ordered):
        for name, found in run(graph, {"x": x}).items():
            assert relative_error(found, expected[name]) <= 1e-5
    bundle = export_network(network.model(), quadrature="calibrated")
    assert bundle.manifest.sizes[0].widths[stream] == WIDTH // 2
    assert_lite_parity(bundle)


@pytest.mark.parametrize("form", LEFT)
def test_other_norms_stay_and_keep_their_width(form: str) -> None:
    before = imported(LEFT[form])
    after = with_free_streams(before)
    assert kinds(after) == kinds(before)
    assert after.constants.keys() == before.constants.keys()
    assert all(np.array_equal(after.constants[name], before.constants[name]) for name in before.constants)


def test_norms_stay_where_their_stream_is_kept() -> None:
    graph = imported(attention_before_norm)
    (stream, *_) = (
        group.name for group in analyse(with_free_streams(graph))[1].groups if group.size == WIDTH
    )
    kept = with_free_streams(graph, lambda name: name == stream)
    assert kinds(kept) == kinds(graph)


def test_writers_take_off_the_mean() -> None:
    graph = with_free_streams(imported(attention_before_norm))
    graph, channels = analyse(graph)
    (stream,) = (group for group in rotatable_groups(graph, channels) if channels.sizes[group] == WIDTH)
    produced: list[Any] = []
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name]):
            if any(segment.group == stream and segment.quadrature is None for segment in dimension):
                produced.append(values.mean(axis))
    assert len(produced) == 7  # weights and biases of three layers, and a constant
    assert all(np.abs(mean).max() < 1e-6 for mean in produced)

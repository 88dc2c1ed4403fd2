"""Attention: what is tied, and which basis queries, keys and values get."""

from __future__ import annotations

from typing import Callable

import numpy as np
import pytest
from inn_exporter.execution.forward import run
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_exporter.ordering.order import order_channels
from inn_exporter.passes.attention import balanced_bases, contractions, rotatable_heads
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.groups import pinned_by
from inn_runtime import Bundle
from inn_runtime.format.manifest import Segment
from networks import images, relative_error
from operator_cases import CASES

FORMS = ["attention", "attention of one layer", "attention with the batch second"]


def attention(form: str = FORMS[0]) -> Graph:
    return fold(import_onnx(CASES["MatMul"][form]().model()))


@pytest.mark.parametrize("form", FORMS)
def test_width_of_heads_is_resized(form: str) -> None:
    graph = attention(form)
    graph, channels = analyse(graph)
    assert sorted(channels.sizes) == [4, 4, 5, 6, 6]  # of queries and keys, of values; the layers around
    (product,) = contractions(graph, channels)
    queries, keys = (layer for layer in product.layers if layer is not None)
    (values,) = rotatable_heads(graph, channels)
    assert rotatable_heads(graph, channels) == {values: 2}
    for layer in (queries, keys):
        assert channels.dims[layer.inputs[1]][0] == (Segment(product.group, 2, 1, None),)
    assert all(group != product.group for _, group in channels.quadratures)


@pytest.mark.parametrize("form", FORMS)
def test_heads_are_resized_where_their_width_is_kept(form: str) -> None:
    graph = attention(form)
    (heads,) = analyse(graph)[1].alternatives
    assert (heads.size, heads.name.endswith(".heads")) == (2, True)
    graph, channels = analyse(graph, pinned_by((), ("*.heads",)))
    assert [(group.name, group.size) for group in channels.groups] == [(heads.name, 2)]
    rows = {channels.dims[name][0] for name in graph.constants if f"{name}:0" in channels.groups[0].members}
    assert rows == {(Segment(0, 1, 4, None),)}


def test_order_and_basis_leave_the_function_alone() -> None:
    graph = attention()
    graph, channels = analyse(graph)
    x = images(40, 7, 5)
    ordered = order_channels(graph, channels, "nested", {"x": x})
    (found,), (expected,) = (run(g, {"x": x}).values() for g in (ordered, graph))
    assert relative_error(found, expected) <= 1e-5
    assert any(not np.array_equal(ordered.constants[n], graph.constants[n]) for n in graph.constants)


def test_balanced_bases_are_the_products_best() -> None:
    """Independent queries and keys: no other n dimensions are nearer to the products."""
    random = np.random.default_rng(0)
    queries, keys = (random.normal(size=(4000, 6)) @ random.normal(size=(6, 6)) for _ in range(2))
    moments = [(rows.T @ rows / len(rows))[None] for rows in (queries, keys)]
    turned = [rows @ basis[0] for rows, basis in zip((queries, keys), balanced_bases(*moments))]
    products = queries @ keys[:500].T
    assert np.allclose(turned[0] @ turned[1][:500].T, products, atol=1e-2 * products.std())
    triangles = [np.linalg.qr(rows)[1] for rows in (queries, keys)]
    singular = np.linalg.svd(triangles[0] @ triangles[1].T / 4000, compute_uv=False)
    for n in range(1, 6):
        error = np.square(turned[0][:, :n] @ turned[1][:500, :n].T - products).mean()
        assert error == pytest.approx(np.square(singular[n:]).sum(), rel=0.2, abs=1e-6)


def test_calibrated_attention_runs_at_every_size(export_network: Callable[..., Bundle]) -> None:
    network = CASES["MatMul"]["attention"]()
    bundle = export_network(network.model(), sizes=(0.5, 0.75, 1.0), quadrature="calibrated")
    x = images(3, 7, 5, seed=5)
    with bundle.resample(1.0).session() as session:
        full = session.run(x)
        for size, least in ((0.75, 0.5), (0.5, 0.9)):
            session.resize(size)
            assert relative_error(session.run(x), full) < least

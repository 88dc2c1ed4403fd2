"""Attention masks with infinities, and refusals beside constants that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from inn_exporter import export
from inn_exporter.errors import UnsupportedGraphError
from inn_exporter.graph.graph import Graph
from inn_exporter.importers import import_onnx
from inn_runtime import UsageError
from networks import Network, images
from onnx import ModelProto

SEEN = np.tri(5, dtype=bool)
CAUSAL = np.where(SEEN, 0.0, -np.inf)


def scores(n: Network) -> str:
    """(batch, 5, 5)"""
    x = n.token_dense(n.input(5, 4), 4, 8)
    return n.node("MatMul", x, n.node("Transpose", n.token_dense(x, 8, 8), perm=[0, 2, 1]))


def attention(build: Callable[[Network, str], str]) -> ModelProto:
    n = Network()
    n.output(n.node("Softmax", build(n, scores(n)), axis=-1), 3)
    return n.model()


MASKS: dict[str, Callable[[Network, str], str]] = {
    "added": lambda n, x: n.node("Add", x, n.constant(CAUSAL)),
    "added to heads": lambda n, x: n.node(
        "Squeeze",
        n.node("Add", n.node("Unsqueeze", x, n.integers(1)), n.constant(CAUSAL[None, None])),
        n.integers(1),
    ),
    "twice": lambda n, x: n.node("Add", n.node("Add", n.constant(CAUSAL), x), n.constant(CAUSAL)),
    "with a bias": lambda n, x: n.node("Add", x, n.constant(CAUSAL + images(5, 5))),
    "chosen": lambda n, x: n.node("Where", n.constant(SEEN, bool), x, n.constant(-np.inf)),
    "chosen otherwise": lambda n, x: n.node("Where", n.constant(~SEEN, bool), n.constant(-np.inf), x),
    "the least float": lambda n, x: n.node(
        "Add", x, n.constant(np.where(SEEN, 0.0, np.finfo(np.float32).min))
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_hidden_scores_stay_hidden(name: str, assert_import_parity: Callable[..., Graph]) -> None:
    assert_import_parity(attention(MASKS[name]), tolerance=1e-5)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
@pytest.mark.parametrize("name", ["added", "with a bias", "chosen", "the least float"])
def test_masks_are_held_in_any_storage(name: str, storage: str, tmp_path: Path) -> None:
    data = images(60, 5, 4)
    bundle = export(
        attention(MASKS[name]), tmp_path / "a.inn", data, sizes=(0.5,), effort="fast", storage=storage
    )
    assert bundle.manifest.source_difference < {"float32": 1e-4, "float16": 3e-3, "int8": 0.1}[storage]


REFUSED: dict[str, Callable[[Network, str], str]] = {
    "no softmax behind it": lambda n, x: n.node("Add", x, n.constant(CAUSAL)),
    "a product before the softmax": lambda n, x: n.node(
        "Softmax", n.node("Mul", n.node("Add", x, n.constant(CAUSAL)), n.constant(0.5)), axis=-1
    ),
    "infinite upwards": lambda n, x: n.node("Softmax", n.node("Add", x, n.constant(-CAUSAL)), axis=-1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_infinities_are_refused(name: str) -> None:
    n = Network()
    n.output(REFUSED[name](n, scores(n)), 3)
    with pytest.raises(UsageError, match="not finite"):
        import_onnx(n.model())


def test_a_row_that_is_all_hidden_is_refused() -> None:
    mask = CAUSAL.copy()
    mask[2] = -np.inf
    with pytest.raises(UsageError, match="not finite"):
        import_onnx(attention(lambda n, x: n.node("Add", x, n.constant(mask))))


def test_a_constant_that_is_not_finite_is_on_the_list_with_others() -> None:
    n = Network()
    x = n.node("Mul", n.conv(n.input(3, 8, 8), 3, 4), n.constant(np.full((4, 1, 1), np.nan)))
    n.output(n.node("Sin", n.conv(n.node("Cos", n.conv("x", 3, 4)), 4, 4)), 4)
    n.output(n.node("Relu", x), 4)
    with pytest.raises(UnsupportedGraphError) as caught:
        import_onnx(n.model())
    first, *listed = str(caught.value).splitlines()
    assert "2 nodes cannot be imported" in first
    assert [any(word in line for line in listed) for word in ("Sin", "Cos", "not finite")] == [True] * 3


def test_every_output_that_cannot_be_one_is_named() -> None:
    n = Network()
    x = n.relu(n.conv(n.input(3, 8, 8), 3, 4))
    n.output(x, 4)
    n.output(n.node("Identity", x), 4)
    n.output(n.node("Identity", "x"), 4)
    with pytest.raises(UsageError) as caught:
        import_onnx(n.model())
    assert "are the same tensor" in str(caught.value)
    assert "is the input 'x', unchanged" in str(caught.value)


def test_a_computed_condition_is_refused_with_a_way_out() -> None:
    n = Network()
    x = n.conv(n.input(3, 8, 8), 3, 4)
    n.output(n.node("Where", n.node("Greater", x, n.constant(0.0)), x, n.relu(x)), 4)
    with pytest.raises(UnsupportedGraphError, match="that is computed: cut the network before it"):
        import_onnx(n.model())


@pytest.mark.parametrize("operand", ["x,y->", "ii,ij->ij", "bhw->b", "bi,bi->bi", "ab,cb->ac"])
def test_sums_that_are_no_products_of_matrices_are_refused(operand: str) -> None:
    n = Network()
    x = n.input(6)
    names = [x, n.dense(x, 6, 6)][: operand.count(",") + 1]
    n.output(n.dense(n.node("Einsum", *names, equation=operand), 6, 2), 2)
    with pytest.raises((UnsupportedGraphError, UsageError)):
        import_onnx(n.model(check=False))

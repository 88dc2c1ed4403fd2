"""Calibrated quadrature on networks whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.calibrate import graph_with_early_shortcuts, solve
from inn_exporter.graph import Graph, Node
from inn_exporter.refit import refit_step
from inn_exporter.storage import store


def test_solve_finds_the_exact_map_where_there_is_one() -> None:
    random = np.random.default_rng(0)
    truth = random.standard_normal((10, 4))
    x = random.standard_normal((4, 1000))
    gram, cross = x @ x.T / 1000, truth @ x @ x.T / 1000
    assert solve(cross, gram, np.eye(10, 4), 1e-9) == pytest.approx(truth, abs=1e-5)


def test_solve_stays_at_the_prior_where_the_data_agree_or_say_nothing() -> None:
    prior = np.eye(6, 3)
    x = np.random.default_rng(0).standard_normal((3, 50))
    gram = x @ x.T
    assert solve(prior @ gram, gram, prior) == pytest.approx(prior, abs=1e-12)
    assert solve(np.zeros((6, 3)), np.zeros((3, 3)), prior) == pytest.approx(prior)


def test_solve_survives_singular_grams() -> None:
    x = np.random.default_rng(0).standard_normal((3, 2))  # two samples, three channels, one of them dead
    x[2] = 0
    table = solve(np.ones((6, 2)) @ x.T, x @ x.T, np.eye(6, 3))
    assert np.isfinite(table).all()
    assert table[:, 2] == pytest.approx(np.eye(6, 3)[:, 2])


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_stored_values_are_what_the_runtime_reads(storage: str) -> None:
    values = np.random.default_rng(0).standard_normal((5, 3, 3, 4)).astype(np.float32)
    stored = store(values, storage)
    worst = {"float32": 0.0, "float16": 2e-3, "int8": np.abs(values).max() / 250}[storage]
    assert np.abs(stored.read() - values).max() <= worst
    assert stored.values.dtype == storage
    assert (stored.scale is None) == (storage != "int8")


def test_biases_and_large_values_stay_float32() -> None:
    assert store(np.ones(3), "int8").values.dtype == np.float32
    assert store(np.full((2, 2), 1e6), "float16").values.dtype == np.float32
    assert store(np.zeros((2, 2)), "int8").read() == pytest.approx(np.zeros((2, 2)))


def _conv(**attributes: object) -> Node:
    defaults = {
        "kernel_shape": (3, 2),
        "strides": (2, 1),
        "pads": (1, 0, 1, 1),
        "dilations": (1, 2),
        "group": 1,
    }
    return Node("Conv", "c", ("x", "w", "b"), ("y",), {**defaults, **attributes})


def test_refit_recovers_a_kernel_from_its_outputs() -> None:
    """Whatever stride, padding and dilation: unfolding agrees with the convolution itself."""
    from inn_exporter.forward import run_node

    random = np.random.default_rng(0)
    x = random.standard_normal((40, 3, 9, 8)).astype(np.float32)
    true, start = (random.standard_normal((5, 3, 3, 2)).astype(np.float32) for _ in range(2))
    bias = np.zeros(5, np.float32)
    wanted, found = (run_node(_conv(), {"x": x}, {"w": w, "b": bias}) for w in (true, start))
    step = refit_step(_conv(), x, wanted - found, ridge=1e-9)
    assert step is not None
    assert start + step.reshape(start.shape) == pytest.approx(true, abs=1e-3)


def test_depthwise_kernels_are_not_refitted() -> None:
    x = np.ones((2, 3, 4, 4), np.float32)
    assert refit_step(_conv(group=3), x, x) is None


def test_the_smaller_branch_of_a_residual_sum_runs_first() -> None:
    def conv(name: str, x: str) -> Node:
        return Node("Conv", name, (x, f"w_{name}", ""), (name,), {"group": 1})

    nodes = [
        conv("first", "x"),
        conv("second", "first"),
        conv("shortcut", "x"),
        Node("Add", "sum", ("second", "shortcut"), ("sum",)),
    ]
    constants = {
        "w_first": np.zeros((4, 4, 3, 3)),
        "w_second": np.zeros((4, 4, 3, 3)),
        "w_shortcut": np.zeros((4, 4, 1, 1)),
    }
    graph = Graph("g", ["x"], ["sum"], nodes, constants, {})
    assert [n.name for n in graph_with_early_shortcuts(graph).nodes] == ["shortcut", "first", "second", "sum"]

"""Calibrated quadrature on networks whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from inn_exporter.calibration.calibrated_size import CalibratedSize
from inn_exporter.calibration.calibration import Calibration
from inn_exporter.calibration.quadrature import solve
from inn_exporter.calibration.refit import Observed, held_out_gain, refit_step
from inn_exporter.execution.forward import live_values, run, run_node
from inn_exporter.execution.linear_algebra import roots
from inn_exporter.execution.moments import SPREAD, Moments, second_moments
from inn_exporter.execution.patches import PATCHES, sampled_patches
from inn_exporter.graph.graph import Graph, Node
from inn_exporter.importers import import_onnx
from inn_exporter.operators import operator
from inn_exporter.ordering.continuous import ContinuousNetwork, axis_for
from inn_exporter.passes.axis_analysis import analyse
from inn_exporter.passes.folding import fold
from inn_exporter.passes.shortcuts import graph_with_early_shortcuts
from inn_exporter.storage.stored import store
from networks import Network, images


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


def _refitted(
    node: Node, true: np.ndarray, start: np.ndarray, x: np.ndarray, limits: tuple[float, float]
) -> np.ndarray:
    """The kernel that ``start`` becomes when the layer should do what ``true`` does."""
    bias = np.zeros(len(true), np.float32)
    wanted, found = (run_node(node, {"x": x}, {"w": w, "b": bias}).swapaxes(0, 1) for w in (true, start))
    target, output = (a.reshape(len(true), -1) for a in (wanted, found))
    target = np.clip(target, *limits)  # what lies beyond cannot be seen, so it must not matter
    seen = Observed(operator(node).unfold(node, x), output, target, np.zeros_like(target))
    step = refit_step(seen, limits, ridge=1e-9, rounds=300)
    assert step is not None
    return start + step.kernel.reshape(start.shape)


@pytest.mark.parametrize("limits", [(-np.inf, np.inf), (0.0, np.inf), (-1.0, 6.0)])
@pytest.mark.parametrize("group", [1, 3])
def test_refit_recovers_a_kernel_from_its_outputs(limits: tuple[float, float], group: int) -> None:
    """Whatever stride, padding and dilation, and through activations: unfolding agrees with the layer."""
    random = np.random.default_rng(0)
    x = random.standard_normal((40, 3, 9, 8)).astype(np.float32)
    shape = (5, 3, 3, 2) if group == 1 else (3, 1, 3, 2)
    true, start = (random.standard_normal(shape).astype(np.float32) for _ in range(2))
    assert _refitted(_conv(group=group), true, start, x, limits) == pytest.approx(true, abs=2e-2)


def test_every_round_of_refit_brings_outputs_nearer_to_where_they_may_lie() -> None:
    random = np.random.default_rng(0)
    patches = random.standard_normal((1, 4, 500)).astype(np.float32)
    target = random.standard_normal((3, 500)).astype(np.float32)
    output, other = (random.standard_normal((3, 500)).astype(np.float32) for _ in range(2))

    def error(rounds: int) -> float:
        step = refit_step(Observed(patches, output, target, other), (0.0, np.inf), 1e-6, rounds)
        assert step is not None
        total, aim = output + step.kernel @ patches[0] + step.bias[:, None] + other, target + other
        return float(np.square(np.where(aim <= 0, np.maximum(total, 0), total - aim)).mean())

    errors = [error(rounds) for rounds in (1, 2, 4, 8, 30)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.98 * errors[0]


def test_nothing_is_refitted_where_all_patches_are_alike() -> None:
    rows = np.ones((2, 6), np.float32)
    assert refit_step(Observed(np.ones((1, 4, 6), np.float32), rows, rows, rows), (0.0, np.inf)) is None


def test_patches_that_hardly_vary_are_refitted_by_what_they_do_vary() -> None:
    """Squares of a large mean, in float32, hide the variance."""
    random = np.random.default_rng(0)
    around = random.standard_normal((2, 6, 300)).astype(np.float32)
    patches = np.stack([1000 + 1e-4 * around[0], 1000 + 3 * around[1]])
    kernel = random.standard_normal((2, 1, 6)).astype(np.float32)
    target = (kernel @ (patches - 1000)).reshape(2, -1)
    step = refit_step(Observed(patches, np.zeros_like(target), target, np.zeros_like(target)), (0.0, np.inf))
    assert step is not None
    assert np.abs(step.kernel).max() < 10
    assert step.kernel[1] == pytest.approx(kernel[1, 0], abs=0.2)


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


def test_refit_learns_little_from_fewer_samples_than_features() -> None:
    """Of pure noise, which held-out samples do not share."""
    random = np.random.default_rng(0)
    patches = random.standard_normal((1, 40, 1030)).astype(np.float32)
    target = random.standard_normal((3, 1030)).astype(np.float32)
    nothing = np.zeros_like(target)

    def learned(samples: slice, ridge: float | None) -> float:
        """The squared error that it adds on the last thousand."""
        seen = Observed(*(a[..., samples] for a in (patches, nothing, target, nothing)))
        step = refit_step(seen, (-np.inf, np.inf), ridge)
        assert step is not None
        return float(np.square(step.kernel @ patches[0, :, 30:]).mean())

    assert learned(slice(30), None) < 0.25 * learned(slice(30), 0.01)
    assert learned(slice(30, None), None) == pytest.approx(learned(slice(30, None), 0.01), rel=0.15)


def test_held_out_gain_tells_what_carries_over_from_what_does_not() -> None:
    random = np.random.default_rng(0)
    patches, kernel = random.standard_normal((2, 20, 400)), random.standard_normal((2, 3, 20))
    mapped, noise = (kernel @ patches).reshape(6, -1), random.standard_normal((6, 400))
    power = float(mapped.var(1).sum())
    assert held_out_gain(patches, mapped + 7) == pytest.approx(power, rel=0.05)
    assert 0.5 * power < held_out_gain(patches, mapped + noise) < 1.1 * power
    assert -0.3 * noise.var(1).sum() < held_out_gain(patches, noise) < 0
    assert held_out_gain(np.ones_like(patches), noise) == 0.0


def test_a_kernel_that_does_not_carry_over_is_left_as_the_rules_sample_it() -> None:
    network = _small(pooled=True)
    (dense,) = (node.inputs[1] for node in network.graph.nodes if node.op == "Gemm")

    def calibrated(count: int) -> CalibratedSize:
        size = CalibratedSize([6, 9], refit=True)
        (size,) = Calibration(network, steps=0).run([size], {"x": images(count, 3, 20, 20)})
        return size

    few, many = calibrated(12), calibrated(100)
    assert many.corrections[dense].read().any()
    assert not few.corrections[dense].read().any()
    np.testing.assert_array_equal(few.constants[dense], few.base(network, dense))


@pytest.mark.parametrize("pooled", [True, False])
def test_too_few_images_leave_a_full_quadrature_as_it_is(pooled: bool) -> None:
    network = _small(pooled)
    full = network.channels.sizes.index(10)

    def table(count: int, narrowed: int) -> np.ndarray:
        widths = [6, 6]
        widths[full] = 10 - narrowed
        size = CalibratedSize(widths)
        (size,) = Calibration(network).run([size], {"x": images(count, 3, 20, 20)})
        indices = [i for i, (_, group) in enumerate(network.channels.quadratures) if group == full]
        return np.concatenate([size.tables[index].read() for index in indices])

    assert not table(19, narrowed=0).any()
    assert table(20, narrowed=0).any()
    assert table(19, narrowed=1).any()


def test_patches_are_bounded_whatever_the_number_of_images(
    small: ContinuousNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = next(node for node in small.graph.nodes if node.op == "Conv")
    x = images(40, 3, 20, 20)

    def values() -> int:
        return sum(patches.size for _, _, patches in sampled_patches(small.graph, node, x, seed=0))

    one = 3 * 3 * 3  # values in a patch
    assert values() == len(x) * PATCHES * one
    monkeypatch.setattr("inn_exporter.execution.patches.PATCH_VALUES", len(x) * 5 * one + 1)
    assert values() == len(x) * 5 * one
    monkeypatch.setattr("inn_exporter.execution.patches.PATCH_VALUES", 1)
    assert values() == len(x) * one


def test_roots_take_inputs_to_coordinates_that_do_not_correlate(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 50)) * np.array([1.0, 3.0]).reshape(2, 1, 1)
    gram = x @ x.transpose(0, 2, 1) / 50
    to, back = roots(gram, ridge=1e-9)
    np.testing.assert_allclose(to @ to, gram, atol=1e-6)
    np.testing.assert_allclose(back @ gram @ back, np.broadcast_to(np.eye(6), gram.shape), atol=1e-6)
    monkeypatch.setattr("inn_exporter.execution.linear_algebra.LARGEST_WHITENED", 5)
    to, back = roots(gram, ridge=1e-9)
    np.testing.assert_allclose(to @ back, np.broadcast_to(np.eye(6), gram.shape), atol=1e-12)
    for matrix, moments in zip(to, gram):
        np.testing.assert_allclose(matrix, np.sqrt(np.trace(moments) / 6) * np.eye(6), rtol=1e-6)


@pytest.fixture
def small() -> ContinuousNetwork:
    return _small(pooled=True)


def _small(pooled: bool) -> ContinuousNetwork:
    """A network of two convolutions and a dense layer or a third one, and what can be resized in it."""
    network = Network()
    x = network.relu(network.conv(network.input(3, 20, 20), 3, 12))
    x = network.relu(network.conv(x, 12, 10))
    if pooled:
        network.output(network.dense(network.node("Flatten", network.node("GlobalAveragePool", x)), 10, 5))
    else:
        network.output(network.conv(x, 10, 5), rank=4)
    graph = fold(import_onnx(network.model()))
    graph, channels = analyse(graph)
    axes = [axis_for("nested", size, "calibrated") for size in channels.sizes]
    return ContinuousNetwork(graph, channels, axes)


def _sizes(network: ContinuousNetwork) -> list[CalibratedSize]:
    return [CalibratedSize(network.channels.widths(size), refit=True) for size in (0.3, 0.5, 0.8)]


def test_memory_only_decides_how_many_sizes_are_calibrated_at_a_time(
    small: ContinuousNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {"x": images(40, 3, 20, 20)}
    done: list[float] = []
    together = Calibration(small).run(_sizes(small), inputs, done.append)
    assert done == sorted(done)
    assert done[-1] == 1.0
    monkeypatch.setattr("inn_exporter.execution.forward.SPILLED", 1000)  # activations in temporary files
    apart = Calibration(small, memory=1).run(_sizes(small), inputs)
    for a, b in zip(together, apart):
        for name, values in a.constants.items():
            assert np.array_equal(values, b.constants[name]), name


def test_live_values_are_the_most_that_a_walk_keeps(small: ContinuousNetwork) -> None:
    # The first convolution's output and the same after its activation, 12 channels each.
    assert live_values(small.graph) == 2 * 12 * 20 * 20


def test_rescaling_restores_means_and_deviations(small: ContinuousNetwork) -> None:
    inputs = {"x": images(40, 3, 20, 20)}
    size = replace(_sizes(small)[1], storage="float32")
    (size,) = Calibration.rescaling(small).run([size], inputs)
    assert not size.tables
    first = small.graph.nodes[0]
    full = run_node(first, inputs, small.graph.constants)[:, : size.widths[0]]
    found = run_node(first, inputs, size.constants)
    assert found == pytest.approx(full, abs=1e-4)
    output = small.graph.outputs[0]
    full, found = (run(small.graph, inputs, constants)[output] for constants in (None, size.constants))
    assert found.mean(0) == pytest.approx(full.mean(0), abs=1e-4)
    assert found.std(0) == pytest.approx(full.std(0), abs=1e-4)


def test_what_is_integrated_over_a_mean_is_judged_by_means() -> None:
    """The squeeze of squeeze and excitation reads means; the convolution behind the product does not."""
    n = Network()
    x = n.relu(n.conv(n.input(3, 6, 6), 3, 8))
    squeezed = n.relu(n.conv(n.node("GlobalAveragePool", x), 8, 4, kernel=1))
    product = n.node("Mul", x, n.node("Sigmoid", n.conv(squeezed, 4, 8, kernel=1)))
    n.output(n.conv(product, 8, 2), 4)
    graph = fold(import_onnx(n.model()))
    graph, channels = analyse(graph)
    moments = Moments(graph, channels)
    by_means = {}
    for key, group in channels.quadratures:
        values = np.abs(images(20, channels.sizes[group], *graph.shapes[key.tensor][2:]))
        _, gram, power = second_moments(values, values, channels, key, channels.sizes)
        found = moments(values, values, key, channels.sizes)
        if by_means.setdefault(key.tensor, not np.allclose(found[1], gram)):
            means = values.mean((2, 3))
            assert found[1] == pytest.approx(means.T @ means / 20 + SPREAD * gram, rel=1e-5)
            assert found[0] == pytest.approx(found[1], rel=1e-5)
            assert found[2] == pytest.approx(np.square(means).sum(1).mean() + SPREAD * power, rel=1e-5)
    assert [tensor for tensor, judged in by_means.items() if judged] == [x]
    assert product in by_means

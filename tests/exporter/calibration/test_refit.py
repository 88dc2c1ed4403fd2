"""Kernels refitted to what a layer should give, where that is known."""

from __future__ import annotations

import numpy as np
import pytest
from inn_exporter.calibration.refit import Observed, held_out_gain, refit_step
from inn_exporter.execution.forward import run_node
from inn_exporter.graph.graph import Node
from inn_exporter.operators import operator


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

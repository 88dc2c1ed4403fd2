"""Fitting one linear layer of a resized network, all layers before it being fitted: a bias that meets the
mean of the targets, a refitted kernel, or, as a baseline, the mean and deviation that its outputs had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

import numpy as np

from ..execution import forward
from ..execution.patches import CHUNK, channels_second, sampled_patches
from ..graph.graph import Node
from ..ordering.continuous import ContinuousNetwork
from ..storage.bits import calibration_storage, layer_rounding
from ..storage.stored import store
from .calibrated_size import CalibratedSize
from .refit import Observed, held_out_gain, refit_step
from .targets import Aim, Targets


@dataclass(frozen=True)
class LayerProblem:
    """A linear layer that is to be fitted.

    Attributes
    ----------
    node : the layer
    size : in which all layers before it are fitted; its own constants are as sampled
    full, resized : activations of the two networks, as far as they are needed
    output : of the layer in the resized network as it is now
    """

    node: Node
    size: CalibratedSize
    full: Mapping[str, np.ndarray]
    resized: Mapping[str, np.ndarray]
    output: np.ndarray

    def solved(self, size: CalibratedSize) -> tuple[CalibratedSize, np.ndarray]:
        """A size, and the layer's output in it."""
        return size, forward.run_node(self.node, self.resized, size.constants)


LayerFit = Callable[[LayerProblem], "tuple[CalibratedSize, np.ndarray]"]
"""The size with the layer fitted, and the layer's output in it."""


class Refit:
    """The method: kernels move where sizes are refitted or the layer is depthwise, and biases everywhere.

    Parameters
    ----------
    seed : of the positions that patches are taken from
    """

    def __init__(self, network: ContinuousNetwork, targets: Targets, seed: int = 0) -> None:
        self._network, self._targets, self._seed = network, targets, seed
        self._rounding = layer_rounding(network.graph)

    def __call__(self, problem: LayerProblem) -> tuple[CalibratedSize, np.ndarray]:
        node, size = problem.node, problem.size
        discretisation = size.discretisation(self._network.axes)
        aim = self._targets.aim(node, discretisation, problem.full, problem.resized)
        if size.refit or node.depthwise:
            refitted = self._refitted(problem, aim)
            if refitted is not None:
                return problem.solved(refitted)
        output = channels_second(node, problem.output)
        missing = [(aim(part)[0] - output[part]).sum(_others(output), np.float64) for part in _chunks(output)]
        delta = (sum(missing) * output.shape[1] / output.size).astype(np.float32)
        output += delta.reshape(1, -1, *[1] * (output.ndim - 2))
        return _with_bias(size, node, size.constants[node.inputs[2]] + delta), problem.output

    def _refitted(self, problem: LayerProblem, aim: Aim) -> CalibratedSize | None:
        """The size with kernel and bias moved; None where nothing is to be learned.

        Where nothing limits the outputs, kernels that do not carry over from half of the images to the others
        are left as the rules alone sample them.
        """
        node, size = problem.node, problem.size
        x, weight, bias = node.inputs
        output = channels_second(node, problem.output)
        seen = Observed.joined(
            [
                Observed(patches, *(_columns(a, at) for a in (output[part], *aim(part))))
                for part, at, patches in sampled_patches(
                    self._network.graph, node, problem.resized[x], self._seed
                )
            ]
        )
        limits = self._targets.limits(node)
        step = refit_step(seen, limits)
        if step is None:
            return None
        kernel = size.constants[weight]
        exact, shift = kernel + step.kernel.reshape(kernel.shape), step.bias
        if not np.isfinite(limits).any():
            base = size.base(self._network, weight)
            missing = seen.target - seen.output - seen.through(base - kernel)
            if held_out_gain(seen.patches, missing) <= 0:
                exact, shift = base, missing.mean(1)
        budget = self._rounding * step.error
        moved = size.with_kernel(self._network, weight, exact, step.sensitivity, budget)
        rounding = (moved.constants[weight] - exact).reshape(len(step.mean), -1, step.mean.shape[1])
        lost = np.einsum("bcf,bf->bc", rounding, step.mean).reshape(-1)
        return _with_bias(moved, node, size.constants[bias] + shift - lost.astype(np.float32))


class Rescale:
    """A baseline: the mean and deviation of every output channel become the full network's, which is what
    estimating batch normalisation anew does."""

    def __init__(self, network: ContinuousNetwork, targets: Targets) -> None:
        self._network, self._targets = network, targets

    def __call__(self, problem: LayerProblem) -> tuple[CalibratedSize, np.ndarray]:
        node, size = problem.node, problem.size
        discretisation = size.discretisation(self._network.axes)
        target = self._targets.sampled(node.output, problem.full[node.output], discretisation)
        both = (channels_second(node, a) for a in (problem.output, target))
        found, wanted = ((a.mean(_others(a)), a.std(_others(a))) for a in both)
        gain = wanted[1] / np.maximum(found[1], 1e-6)
        _, weight, bias = node.inputs
        kernel = size.constants[weight] * gain.reshape(-1, *[1] * (size.constants[weight].ndim - 1))
        rescaled = size.with_changed(weight, store(kernel, calibration_storage(size.storage)))
        return problem.solved(
            _with_bias(rescaled, node, (size.constants[bias] - found[0]) * gain + wanted[0])
        )


def _with_bias(size: CalibratedSize, node: Node, values: np.ndarray) -> CalibratedSize:
    return size.with_changed(node.inputs[2], store(values, size.storage))


def _chunks(activation: np.ndarray) -> list[slice]:
    return [slice(first, first + CHUNK) for first in range(0, len(activation), CHUNK)]


def _others(activation: np.ndarray) -> tuple[int, ...]:
    """All dimensions but the second, the channels'."""
    return tuple(axis for axis in range(activation.ndim) if axis != 1)


def _columns(activation: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """(channels, samples) at some positions of each image's flattened channels."""
    flat = activation.reshape(*activation.shape[:2], -1)
    chosen = flat if positions is None else flat[:, :, positions]
    return np.moveaxis(chosen, 1, 0).reshape(flat.shape[1], -1)

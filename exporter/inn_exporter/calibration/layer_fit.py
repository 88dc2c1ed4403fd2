"""Fitting one linear layer of a resized network, all layers before it being fitted: a bias that meets the
mean of the targets, a refitted kernel, or, as a baseline, the mean and deviation that its outputs had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np

from ..execution import forward
from ..execution.patches import CHUNK, PATCH_VALUES, channels_second, sampled_patches
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
    nodes : the layer; several where it is applied to several inputs
    size : in which all layers before it are fitted; its own constants are as sampled
    full, resized : activations of the two networks, as far as they are needed
    outputs : of each node in the resized network as it is now
    """

    nodes: Sequence[Node]
    size: CalibratedSize
    full: Mapping[str, np.ndarray]
    resized: Mapping[str, np.ndarray]
    outputs: Sequence[np.ndarray]

    def solved(self, size: CalibratedSize) -> tuple[CalibratedSize, Sequence[np.ndarray]]:
        """A size, and the layer's outputs in it."""
        return size, [forward.run_node(node, self.resized, size.constants) for node in self.nodes]


LayerFit = Callable[[LayerProblem], "tuple[CalibratedSize, Sequence[np.ndarray]]"]
"""The size with the layer fitted, and the layer's outputs in it."""


class Refit:
    """The method: kernels move where sizes are refitted or the layer is depthwise, and biases everywhere.

    Parameters
    ----------
    seed : of the positions that patches are taken from
    """

    def __init__(self, network: ContinuousNetwork, targets: Targets, seed: int = 0) -> None:
        self._network, self._targets, self._seed = network, targets, seed
        self._rounding = layer_rounding(network.graph)

    def __call__(self, problem: LayerProblem) -> tuple[CalibratedSize, Sequence[np.ndarray]]:
        node, size = problem.nodes[0], problem.size
        discretisation = size.discretisation(self._network.axes)
        aims = [self._targets.aim(n, discretisation, problem.full, problem.resized) for n in problem.nodes]
        if size.refit or node.depthwise:
            refitted = self._refitted(problem, aims)
            if refitted is not None:
                return problem.solved(refitted)
        outputs = [channels_second(n, output) for n, output in zip(problem.nodes, problem.outputs)]
        missing = [
            (aim(part)[0] - output[part]).sum(_others(output), np.float64)
            for aim, output in zip(aims, outputs)
            for part in _chunks(output)
        ]
        values = sum(output.size for output in outputs)
        delta = (sum(missing) * outputs[0].shape[1] / values).astype(np.float32)
        for output in outputs:
            output += delta.reshape(1, -1, *[1] * (output.ndim - 2))
        return _with_bias(size, node, size.constants[node.inputs[2]] + delta), problem.outputs

    def _refitted(self, problem: LayerProblem, aims: Sequence[Aim]) -> CalibratedSize | None:
        """The size with kernel and bias moved; None where nothing is to be learned.

        Where nothing limits the outputs, kernels that do not carry over from half of the images to the others
        are left as the rules alone sample them.
        """
        size, (_, weight, bias) = problem.size, problem.nodes[0].inputs
        seen = self._observed(problem, aims)
        limits = self._limits(problem.nodes)
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
        return _with_bias(moved, problem.nodes[0], size.constants[bias] + shift - lost.astype(np.float32))

    def _observed(self, problem: LayerProblem, aims: Sequence[Aim]) -> Observed:
        """What the layer sees and should do, whatever it is applied to."""
        graph, values, parts = self._network.graph, PATCH_VALUES // len(problem.nodes), []
        for node, aim, output in zip(problem.nodes, aims, problem.outputs):
            x, channels = problem.resized[node.inputs[0]], channels_second(node, output)
            for part, at, patches in sampled_patches(graph, node, x, self._seed, values):
                columns = (_columns(a, at) for a in (channels[part], *aim(part)))
                parts.append(Observed(patches, *columns))
        return Observed.joined(parts)

    def _limits(self, nodes: Sequence[Node]) -> tuple[float, float]:
        """Those that what follows has, where it is the same behind all nodes."""
        found = {self._targets.limits(node) for node in nodes}
        return found.pop() if len(found) == 1 else (-np.inf, np.inf)


class Rescale:
    """A baseline: the mean and deviation of every output channel become the full network's, which is what
    estimating batch normalisation anew does."""

    def __init__(self, network: ContinuousNetwork, targets: Targets) -> None:
        self._network, self._targets = network, targets

    def __call__(self, problem: LayerProblem) -> tuple[CalibratedSize, Sequence[np.ndarray]]:
        node, size = problem.nodes[0], problem.size
        discretisation = size.discretisation(self._network.axes)
        targets = [
            self._targets.sampled(n.output, problem.full[n.output], discretisation) for n in problem.nodes
        ]
        both = (
            np.concatenate([_columns(channels_second(node, a), None) for a in activations], 1)
            for activations in (problem.outputs, targets)
        )
        found, wanted = ((a.mean(1), a.std(1)) for a in both)
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

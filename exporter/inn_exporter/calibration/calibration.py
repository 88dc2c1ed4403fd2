"""Calibrated quadrature: B, bias and, where asked for, kernel of every layer, from unlabelled images.

With x a tensor of the full network and x' the same tensor of the resized one, all earlier layers already
resized, C = E[x x'ᵀ] and G = E[x' x'ᵀ], the quadrature is the ridge solution toward the prior B0:

    B = B0 + (C - B0 G) (G + λ · mean(diag G) · I)⁻¹

Each layer then aims at the full network's output; one that writes into a residual stream aims at what makes
the *stream* right, so that it also repairs what came before. Its bias moves so that the mean is met; with
refit, the whole kernel moves (`refit`). One pass over the graph in topological order does all sizes; the
full network's activations are shared by them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Callable

import numpy as np
from inn_runtime.axes import prior
from inn_runtime.manifest import Dimension, Segment
from inn_runtime.resample import Discretisation, resize

from ..defaults import SPAN_STEPS
from ..execution import forward
from ..execution.moments import Moments
from ..execution.patches import CHUNK, channels_second, sampled_patches
from ..graph.graph import Graph, Node
from ..operators import operator
from ..ordering.continuous import ContinuousNetwork
from ..passes.shortcuts import graph_with_early_shortcuts
from ..storage.bits import COARSE_BITS, ROUNDING, ROUNDING_OF_VALUES, SPAN_ROUNDING, calibration_storage
from ..storage.gptq import Sensitivity
from ..storage.stored import store
from .calibrated_size import CalibratedSize
from .quadrature import DETERMINED, QUADRATURE_RIDGE, solve
from .refit import Observed, held_out_gain, refit_step
from .spans import fit_span, images_seen, spans

MEMORY = 6e9


class Calibration:
    """One calibration of a network at several sizes.

    Parameters
    ----------
    network : with its constants rounded as they will be stored
    storage : of the control grids; later layers make up for the rounding of earlier ones' tables
    ridge : λ
    seed : of the positions that statistics are taken from
    rescale : no quadratures are fitted: only the mean and deviation of every layer's output channels are
        brought to the full network's, which is what estimating batch normalisation anew does
    memory : bytes of activations to stay below; more sizes than fit are calibrated one after the other
    steps : of fitting the layers of a span together, where kernels are refitted, see `spans`; 0: every layer
        alone
    """

    def __init__(
        self,
        network: ContinuousNetwork,
        storage: str = "float16",
        ridge: float = QUADRATURE_RIDGE,
        seed: int = 0,
        rescale: bool = False,
        memory: float = MEMORY,
        steps: int = SPAN_STEPS,
    ) -> None:
        self.network = network.with_graph(graph_with_early_shortcuts(network.graph))
        self.graph, self.channels, self.axes = self.network.graph, network.channels, network.axes
        self.storage = storage
        self.ridge = ridge
        self.seed = seed
        self.rescale = rescale
        self.memory = memory
        self.steps = steps
        self._rounding = ROUNDING if network.graph.gives_scores() else ROUNDING_OF_VALUES
        self._moments = Moments(network.graph, network.channels)
        self._readers = network.graph.consumers()
        self._spans = spans(self.graph) if steps else {}

    def run(
        self,
        sizes: Sequence[CalibratedSize],
        images: Mapping[str, np.ndarray],
        progress: Callable[[float], None] = lambda done: None,
        fixed: Collection[str] = (),
    ) -> None:
        """Fill in ``sizes`` (their widths are given) from unlabelled inputs, keyed by input name.

        Parameters
        ----------
        progress : called with the share of the work done, from 0 to 1
        fixed : outputs of nodes that are calibrated already, and stay as they are
        """
        if fixed:
            stay = [node for node in self.graph.nodes if node.output in fixed]
            kept = {name for node in stay for name in self.graph.constant_inputs(node)}
            for size in sizes:
                size.constants = {n: values for n, values in size.constants.items() if n in kept}
                size.changed = {n: values for n, values in size.changed.items() if n in kept}
                size.corrections = {n: values for n, values in size.corrections.items() if n in kept}
        count = len(next(iter(images.values())))
        network = 4 * count * forward.live_values(self.graph)
        together = max(1, int(self.memory / network) - 1)
        for first in range(0, len(sizes), together):
            chosen = sizes[first : first + together]
            for done in self._pass(chosen, images, fixed):
                progress((first + done * len(chosen)) / len(sizes))

    def _pass(
        self, sizes: Sequence[CalibratedSize], images: Mapping[str, np.ndarray], fixed: Collection[str]
    ) -> Iterator[float]:
        """Calibrate some sizes in one walk; yields the share of nodes done."""
        full = dict(images)
        activations = [dict(images) for _ in sizes]
        spans_here = self._spans if any(size.refit for size in sizes) and not fixed else {}
        beginnings = [dict(images) if spans_here else {} for _ in sizes]  # of the span that the walk is in

        def step(node: Node) -> np.ndarray:
            return forward.run_node(node, full, self.graph.constants)

        for done, node in enumerate(forward.walk(self.graph, full, step)):
            for size, resized, beginning in zip(sizes, activations, beginnings):
                if node.output in fixed:
                    resized[node.output] = forward.run_node(node, resized, size.constants)
                    continue
                resized[node.output] = self._calibrate_node(size, node, full, resized)
                if size.refit and (span := spans_here.get(node.output)):
                    self._fit_span(size, span, beginning, full, resized)
                for index in () if self.rescale else self.channels.quadratures_of.get(node.output, ()):
                    self._fit_table(size, index, full, resized)
            if node.output in spans_here:
                beginnings = [{node.output: resized[node.output]} for resized in activations]
            for resized in activations:  # drop what the full network's walk has dropped
                for name in [name for name in resized if name not in full]:
                    del resized[name]
            yield (done + 1) / len(self.graph.nodes)

    # ------------------------------------------------------------------ one node at one size
    def _calibrate_node(
        self,
        size: CalibratedSize,
        node: Node,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        discretisation = size.discretisation(self.axes)
        for name in self.graph.constant_inputs(node):
            if name not in size.constants:
                size.constants[name] = self.network.constant(name, discretisation)
        found = forward.run_node(node, resized, size.constants)
        if not operator(node).linear:
            return found
        output = channels_second(node, found)
        if self.rescale:
            target = self.sampled(node.output, full[node.output], discretisation)
            self._rescale(size, node, channels_second(node, target), output)
            return forward.run_node(node, resized, size.constants)
        aim = self._aim(node, discretisation, full, resized)
        if (size.refit or node.depthwise) and self._refit(size, node, aim, resized, output):
            return forward.run_node(node, resized, size.constants)
        missing = [(aim(part)[0] - output[part]).sum(_others(output), np.float64) for part in _chunks(output)]
        delta = (sum(missing) * output.shape[1] / output.size).astype(np.float32)
        self._set_bias(size, node, size.constants[node.inputs[2]] + delta)
        output += delta.reshape(1, -1, *[1] * (output.ndim - 2))
        return found

    def _refit(
        self,
        size: CalibratedSize,
        node: Node,
        aim: Callable[[slice], tuple[np.ndarray, np.ndarray]],
        resized: Mapping[str, np.ndarray],
        output: np.ndarray,
    ) -> bool:
        """Move a layer's kernel and bias; whether anything was to be learned.

        Where nothing limits the outputs, kernels that do not carry over from half of the images to the others
        are left as the rules alone sample them.
        """
        x, weight, bias = node.inputs
        seen = Observed.joined(
            [
                Observed(patches, *(_columns(a, at) for a in (output[part], *aim(part))))
                for part, at, patches in sampled_patches(self.graph, node, resized[x], self.seed)
            ]
        )
        limits = self._limits(node)
        step = refit_step(seen, limits)
        if step is None:
            return False
        kernel = size.constants[weight]
        exact, shift = kernel + step.kernel.reshape(kernel.shape), step.bias
        if not np.isfinite(limits).any():
            base = size.base(self.network, weight)
            wrong = seen.target - seen.output - seen.through(base - kernel)
            if held_out_gain(seen.patches, wrong) <= 0:
                exact, shift = base, wrong.mean(1)
        budget = self._rounding * step.error
        size.correct(self.network, weight, exact, self.storage, step.sensitivity, budget)
        rounding = (size.constants[weight] - exact).reshape(len(step.mean), -1, step.mean.shape[1])
        moved = np.einsum("bcf,bf->bc", rounding, step.mean).reshape(-1)
        self._set_bias(size, node, size.constants[bias] + shift - moved.astype(np.float32))
        return True

    def _fit_span(
        self,
        size: CalibratedSize,
        span: Graph,
        inputs: Mapping[str, np.ndarray],
        full: Mapping[str, np.ndarray],
        resized: dict[str, np.ndarray],
    ) -> None:
        """Fit a span's layers together; its end in the resized network follows."""
        (end,) = span.outputs
        count = images_seen(self.channels.shape(end, size.widths)[1:], len(full[end]))
        target = self.sampled(end, full[end][:count], size.discretisation(self.axes))
        if fit_span(self.network, span, size, inputs, target, self.steps, SPAN_ROUNDING * self._rounding):
            resized[end] = forward.run(span, inputs, size.constants)[end]

    def _rescale(self, size: CalibratedSize, node: Node, target: np.ndarray, output: np.ndarray) -> None:
        """Bring the mean and deviation of a layer's output channels to the target's."""
        _, weight, bias = node.inputs
        found, wanted = ((a.mean(_others(a)), a.std(_others(a))) for a in (output, target))
        gain = wanted[1] / np.maximum(found[1], 1e-6)
        kernel = size.constants[weight] * gain.reshape(-1, *[1] * (size.constants[weight].ndim - 1))
        size.changed[weight] = store(kernel, calibration_storage(self.storage))
        size.constants[weight] = size.changed[weight].read()
        self._set_bias(size, node, (size.constants[bias] - found[0]) * gain + wanted[0])

    def _set_bias(self, size: CalibratedSize, node: Node, values: np.ndarray) -> None:
        name = node.inputs[2]
        size.changed[name] = store(values, self.storage)
        size.constants[name] = size.changed[name].read()

    def _aim(
        self,
        node: Node,
        discretisation: Discretisation,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> Callable[[slice], tuple[np.ndarray, np.ndarray]]:
        """For some images: what the layer's output should be, and what is added to it before an activation;
        channels in the second dimension.

        In a residual sum the target makes up for what the other operand gets wrong.
        """
        others = [name for name in self._partners(node) if name in resized]

        def aim(part: slice) -> tuple[np.ndarray, np.ndarray]:
            target = self.sampled(node.output, full[node.output][part], discretisation)
            other = np.zeros_like(target)
            for name in others:
                target = target + self.sampled(name, full[name][part], discretisation) - resized[name][part]
                other = other + resized[name][part]
            return channels_second(node, target), channels_second(node, other)

        return aim

    def _partners(self, node: Node) -> list[str]:
        """What the layer's output is added to, and read in no other way."""
        readers = self._readers.get(node.output, [])
        if len(readers) != 1 or not operator(readers[0]).is_sum:
            return []
        return [name for name in readers[0].inputs if name != node.output]

    def _limits(self, node: Node) -> tuple[float, float]:
        """Limits of the activation that follows the layer, or the residual sum it completes."""
        readers = self._readers.get(node.output, [])
        if self._partners(node):
            readers = self._readers.get(readers[0].output, [])
        limits = {operator(reader).limits(reader) for reader in readers}
        return limits.pop() if len(limits) == 1 else (-np.inf, np.inf)

    def sampled(self, name: str, activation: np.ndarray, discretisation: Discretisation) -> np.ndarray:
        """The full network's activation at the channels that the resized network keeps."""
        dims: list[Dimension] = [(Segment(None, 1, len(activation), None),), *self.channels.dims[name][1:]]
        return resize(activation, dims, discretisation)

    def _fit_table(
        self,
        size: CalibratedSize,
        index: int,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> None:
        key, group = self.channels.quadratures[index]
        values, width = full[key.tensor], size.widths[group]
        start = prior(self.axes[group], width)
        if width == self.channels.sizes[group] and len(values) < DETERMINED * width:
            # Nothing is missing, and images are too few to say what went wrong before.
            storage = "float32" if self.storage == "float32" else f"int{COARSE_BITS[0]}"
            size.tables[index] = store(np.zeros_like(start), storage, channel=1)
            return
        cross, gram, power = self._moments(values, resized[key.tensor], key, size.widths)
        matrix = solve(cross, gram, start, self.ridge)
        sensitivity = Sensitivity(gram[None], len(values))
        left = power - 2 * float(np.sum(matrix * cross)) + sensitivity.error(matrix)
        budget = self._rounding * left
        size.set_table(self.network, index, matrix - start, self.storage, sensitivity, budget)


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

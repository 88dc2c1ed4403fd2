"""Storing what was learned in few bits, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from inn_runtime.sampling.axes import prior

from ..execution import forward
from ..execution.moments import table_moments
from ..execution.patches import channels_second, patch_moments
from ..graph.graph import Graph, Node
from ..operators import operator
from ..ordering.continuous import ContinuousNetwork
from ..storage.bits import NOISES
from ..storage.gptq import Sensitivity
from ..storage.stored import store
from .calibrated_size import CalibratedSize


class SizeRounding:
    """A size with learned values, in as few bits as add some noise to layers' outputs at most.

    Parameters
    ----------
    graph : the network, or the part of it that was learned
    images : inputs of ``graph`` that are looked at
    exact : constant → values as they were learned; what is stored for the size and not among them stays
    tables : quadrature → B - B0 as it was learned
    """

    def __init__(
        self,
        network: ContinuousNetwork,
        graph: Graph,
        size: CalibratedSize,
        images: Mapping[str, np.ndarray],
        exact: Mapping[str, np.ndarray],
        tables: Mapping[int, np.ndarray] | None = None,
    ) -> None:
        self._network, self._graph, self._size = network, graph, size
        self._images, self._exact, self._tables = images, exact, tables or {}
        self._kernels: dict[str, Sensitivity] = {}
        self._quadratures: dict[int, Sensitivity] = {}
        self._means: dict[str, np.ndarray] = {}  # of the output channels of each linear layer
        self._layers = graph.layers()
        activations, constants = dict(images), {**size.constants, **exact}

        def step(node: Node) -> np.ndarray:
            layer = self._layers[node.output]
            for name in graph.constant_inputs(node):
                if name in size.corrections and name in exact and node is layer[-1]:
                    gram, mean, samples = patch_moments(graph, layer, activations)
                    self._kernels[name] = Sensitivity(gram - mean[:, :, None] * mean[:, None, :], samples)
            return forward.run_node(node, activations, constants)

        for node in forward.walk(graph, activations, step):
            if operator(node).linear:
                self._means[node.output] = _channel_means(node, activations[node.output])
            for index in network.channels.complete(node.output, activations):
                if index in self._tables:
                    key, _ = network.channels.quadratures[index]
                    gram = table_moments(activations, network.channels, key, size.widths)
                    self._quadratures[index] = Sensitivity(gram, len(activations[node.output]))

    def coarsest(
        self, loss: Callable[[CalibratedSize], float], enough: float
    ) -> tuple[CalibratedSize, float]:
        """The size and its loss with the largest of `NOISES` whose loss is ``enough``, else with the least.

        By bisection, for which the loss must rise with the noise; it nearly does.
        """
        low, high = 0, len(NOISES) - 1  # places; at ``high`` the loss is enough, as far as is known
        best: tuple[CalibratedSize, float] | None = None
        while low < high or best is None:
            place = (low + high) // 2
            size = self(NOISES[place])
            found = size, loss(size)
            if found[1] <= enough or place == len(NOISES) - 1:
                high, best = place, found
            else:
                low = place + 1
        return best

    def __call__(self, noise: float) -> CalibratedSize:
        """The size rounded so that ``noise`` is added to layers' outputs at most, relative to their power.

        Each layer's bias makes up for what rounding, its own and that of layers before, does to the mean of
        its outputs: these errors are alike in all images, and add up. (That of a layer with several inputs
        does not: they differ.)
        """
        size, found = self._size, dict(self._images)

        def step(node: Node) -> np.ndarray:
            nonlocal size
            size = self._rounded_constants(size, node, noise)
            output = forward.run_node(node, found, size.constants)
            if operator(node).linear and (bias := node.inputs[2]) in self._exact:
                values = self._exact[bias]
                if len(self._layers[node.output]) == 1:
                    moved = self._means[node.output] - _channel_means(node, output)
                    view = channels_second(node, output)
                    view += moved.reshape(1, -1, *[1] * (view.ndim - 2))
                    values = values + moved
                size = size.with_changed(bias, store(values, "float32"))
            return output

        for node in forward.walk(self._graph, found, step):
            for index in self._network.channels.complete(node.output, found):
                if index in self._tables:
                    size = self._rounded_table(size, index, noise)
        return size

    def _rounded_table(self, size: CalibratedSize, index: int, noise: float) -> CalibratedSize:
        _, group = self._network.channels.quadratures[index]
        table, sensitivity = self._tables[index], self._quadratures[index]
        whole = prior(self._network.axes[group], size.widths[group]) + table
        return size.with_table(self._network, index, table, sensitivity, noise * sensitivity.error(whole))

    def _rounded_constants(self, size: CalibratedSize, node: Node, noise: float) -> CalibratedSize:
        """With what a node reads, from the tables as they were rounded; its bias is exact yet."""
        discretisation = size.discretisation(self._network.axes)
        for name in self._graph.constant_inputs(node):
            stored = name in size.corrections or name in size.changed
            if stored and name not in self._exact:
                continue
            if name in size.corrections:
                kernel, sensitivity = self._exact[name], self._kernels[name]
                budget = noise * sensitivity.error(kernel)
                size = size.with_kernel(self._network, name, kernel, sensitivity, budget)
            elif name in size.changed:
                size = size.with_constants({name: self._exact[name]})
            else:
                size = size.with_constants({name: self._network.constant(name, discretisation)})
        return size


def _channel_means(node: Node, activation: np.ndarray) -> np.ndarray:
    channels = channels_second(node, activation)
    return channels.mean((0, *range(2, channels.ndim)), np.float64).astype(np.float32)

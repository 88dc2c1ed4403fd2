"""Calibration: quadratures, biases and, where asked for, kernels of every layer, from unlabelled images.

One pass over the graph in topological order does all sizes: each layer is fitted (`layer_fit`) toward its
target (`targets`), where a span of layers ends all of them together (`spans`), then the quadratures over the
output (`quadrature`). The full network's activations are shared by all sizes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Callable

import numpy as np

from ..defaults import SPAN_STEPS
from ..execution import forward
from ..graph.graph import Graph, Node
from ..operators import operator
from ..ordering.continuous import ContinuousNetwork
from ..passes.sharing import side_by_side
from ..passes.shortcuts import graph_with_early_shortcuts
from ..storage.bits import SPAN_ROUNDING, layer_rounding
from .calibrated_size import CalibratedSize
from .layer_fit import LayerFit, LayerProblem, Refit, Rescale
from .quadrature import QUADRATURE_RIDGE, QuadratureFit
from .spans import fit_span, images_seen, spans
from .targets import Targets

MEMORY = 6e9


class Calibration:
    """A loop over a network's nodes that fits what each size has of its own.

    Parameters
    ----------
    network : with its constants rounded as they will be stored
    targets : what layers aim at; default: with feedback and limits
    fit : of each linear layer; default: `Refit`
    tables : whether quadratures are fitted
    ridge : of these, λ
    seed : of the positions that statistics are taken from
    memory : bytes of activations to stay below; more sizes than fit are calibrated one after the other
    steps : of fitting the layers of a span together, where kernels are refitted, see `spans`; 0: every layer
        alone
    """

    def __init__(
        self,
        network: ContinuousNetwork,
        *,
        targets: Targets | None = None,
        fit: LayerFit | None = None,
        tables: bool = True,
        ridge: float = QUADRATURE_RIDGE,
        seed: int = 0,
        memory: float = MEMORY,
        steps: int = SPAN_STEPS,
    ) -> None:
        early = graph_with_early_shortcuts(network.graph)
        self.network = network.with_graph(side_by_side(early) or early)
        self.graph = self.network.graph
        self._layers = self.graph.layers()
        self.targets = targets or Targets(self.network)
        self.memory = memory
        self._fit = fit or Refit(self.network, self.targets, seed)
        self._fit_table = QuadratureFit(self.network, ridge) if tables else None
        self._steps = steps
        self._spans = spans(self.graph) if steps else {}

    @classmethod
    def rescaling(cls, network: ContinuousNetwork) -> Calibration:
        """The baseline that only restores means and deviations, see `Rescale`."""
        return cls(network, fit=Rescale(network, Targets(network)), tables=False, steps=0)

    def run(
        self,
        sizes: Sequence[CalibratedSize],
        images: Mapping[str, np.ndarray],
        progress: Callable[[float], None] = lambda done: None,
        fixed: Collection[str] = (),
    ) -> list[CalibratedSize]:
        """Sizes with all that unlabelled inputs, keyed by input name, say of them.

        Parameters
        ----------
        sizes : whose widths are given
        progress : called with the share of the work done, from 0 to 1
        fixed : outputs of nodes that are calibrated already, and stay as they are
        """
        if fixed:
            stay = [node for node in self.graph.nodes if node.output in fixed]
            kept = {name for node in stay for name in self.graph.constant_inputs(node)}
            sizes = [size.only(kept) for size in sizes]
        count = len(next(iter(images.values())))
        network = 4 * count * forward.live_values(self.graph)
        together = max(1, int(self.memory / network) - 1)
        result: list[CalibratedSize] = []
        for first in range(0, len(sizes), together):
            chosen = list(sizes[first : first + together])
            for done in self._pass(chosen, images, fixed):
                progress((first + done * len(chosen)) / len(sizes))
            result += chosen
        return result

    def _pass(
        self, sizes: list[CalibratedSize], images: Mapping[str, np.ndarray], fixed: Collection[str]
    ) -> Iterator[float]:
        """Put calibrated sizes into the place of ``sizes`` in one walk; yields the share of nodes done."""
        full = dict(images)
        activations = [dict(images) for _ in sizes]
        spans_here = self._spans if any(size.refit for size in sizes) and not fixed else {}
        beginnings = [dict(images) if spans_here else {} for _ in sizes]  # of the span that the walk is in

        def step(node: Node) -> np.ndarray:
            return forward.run_node(node, full, self.graph.constants)

        for done, node in enumerate(forward.walk(self.graph, full, step)):
            layer = self._layers[node.output]
            if node is not layer[-1]:  # it is fitted to what all its nodes see
                continue
            for place, (resized, beginning) in enumerate(zip(activations, beginnings)):
                if any(part.output in fixed for part in layer):
                    for part in layer:
                        resized[part.output] = forward.run_node(part, resized, sizes[place].constants)
                    continue
                size = self._layer(sizes[place], layer, full, resized)
                if size.refit and (span := spans_here.get(node.output)):
                    size = self._span(size, span, beginning, full, resized)
                sizes[place] = self._tables(size, layer, full, resized)
            if node.output in spans_here:
                beginnings = [{node.output: resized[node.output]} for resized in activations]
            for resized in activations:  # drop what the full network's walk has dropped
                for name in [name for name in resized if name not in full]:
                    del resized[name]
            yield (done + 1) / len(self.graph.nodes)

    def _layer(
        self,
        size: CalibratedSize,
        layer: Sequence[Node],
        full: Mapping[str, np.ndarray],
        resized: dict[str, np.ndarray],
    ) -> CalibratedSize:
        """One node at one size, or several that share their constants: these, fitted where it is a linear
        layer, and its outputs, which are added to ``resized``."""
        discretisation = size.discretisation(self.network.axes)
        names = [name for name in self.graph.constant_inputs(layer[0]) if name not in size.constants]
        size = size.with_constants({name: self.network.constant(name, discretisation) for name in names})
        outputs: Sequence[np.ndarray] = [forward.run_node(node, resized, size.constants) for node in layer]
        if operator(layer[0]).linear:
            size, outputs = self._fit(LayerProblem(layer, size, full, resized, outputs))
        resized.update((node.output, output) for node, output in zip(layer, outputs))
        return size

    def _tables(
        self,
        size: CalibratedSize,
        layer: Sequence[Node],
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> CalibratedSize:
        """The quadratures over a layer's outputs."""
        if self._fit_table is None:
            return size
        found = (self.network.channels.complete(node.output, resized) for node in layer)
        for index in dict.fromkeys(index for indices in found for index in indices):
            size = self._fit_table(size, index, full, resized)
        return size

    def _span(
        self,
        size: CalibratedSize,
        span: Graph,
        inputs: Mapping[str, np.ndarray],
        full: Mapping[str, np.ndarray],
        resized: dict[str, np.ndarray],
    ) -> CalibratedSize:
        """Fit a span's layers together; its end in the resized network follows."""
        (end,) = span.outputs
        count = images_seen(self.network.channels.shape(end, size.widths)[1:], len(full[end]))
        target = self.targets.sampled(end, full[end][:count], size.discretisation(self.network.axes))
        rounding = SPAN_ROUNDING * layer_rounding(self.graph)
        fitted = fit_span(self.network, span, size, inputs, target, self._steps, rounding)
        if fitted is not size:
            resized[end] = forward.run(span, inputs, fitted.constants)[end]
        return fitted

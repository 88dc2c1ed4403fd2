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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Callable

import numpy as np
from inn_runtime.axes import Axis, prior
from inn_runtime.manifest import Dimension, Segment
from inn_runtime.resample import Discretisation, resize

from . import forward
from .graph import Graph, Node
from .operators import operator
from .refit import refit_step
from .statistics import Moments, ridge_solution
from .storage import Stored, store, table_storage
from .structure import Channels

RIDGE = 1e-3


@dataclass
class CalibratedSize:
    """What calibration finds for one size.

    Attributes
    ----------
    widths : width of every channel group
    refit : whether kernels are refitted
    tables : quadrature → B - B0, (N, n), as it will be stored
    constants : every constant of the resized network, in the graph's layout
    changed : constants that sampling alone does not give: corrected biases, refitted kernels
    """

    widths: list[int]
    refit: bool = False
    tables: dict[int, Stored] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    changed: dict[str, Stored] = field(default_factory=dict)

    def discretisation(self, axes: Sequence[Axis]) -> Discretisation:
        """The size as far as its tables are known."""

        def table(index: int) -> np.ndarray | None:
            return self.tables[index].read() if index in self.tables else None

        return Discretisation(axes, self.widths, table)


class Calibration:
    """One calibration of a network at several sizes.

    Parameters
    ----------
    graph : ordered, with its constants rounded as they will be stored
    axes : the axis of every channel group
    storage : of the control grids; later layers make up for the rounding of earlier ones' tables
    ridge : λ
    """

    def __init__(
        self,
        graph: Graph,
        channels: Channels,
        axes: Sequence[Axis],
        storage: str = "float16",
        ridge: float = RIDGE,
    ) -> None:
        self.graph = graph_with_early_shortcuts(graph)
        self.channels = channels
        self.axes = axes
        self.storage = table_storage(storage)
        self.ridge = ridge
        self._moments = Moments(graph, channels)
        self._readers = graph.consumers()

    def run(
        self,
        sizes: Sequence[CalibratedSize],
        images: Mapping[str, np.ndarray],
        progress: Callable[[float], None] = lambda done: None,
    ) -> None:
        """Fill in ``sizes`` (their widths are given) from unlabelled inputs, keyed by input name.

        ``progress`` is called with the share of nodes done, from 0 to 1.
        """
        full = dict(images)
        activations = [dict(images) for _ in sizes]

        def step(node: Node) -> np.ndarray:
            return forward.run_node(node, full, self.graph.constants)

        for done, node in enumerate(forward.walk(self.graph, full, step)):
            for size, resized in zip(sizes, activations):
                resized[node.output] = self._calibrate_node(size, node, full, resized)
                for index in self.channels.quadratures_of.get(node.output, ()):
                    size.tables[index] = self._table(size, index, full, resized)
            for resized in activations:  # drop what the full network's walk has dropped
                for name in [name for name in resized if name not in full]:
                    del resized[name]
            progress((done + 1) / len(self.graph.nodes))

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
                size.constants[name] = resize(
                    self.graph.constants[name], self.channels.dims[name], discretisation
                )
        output = forward.run_node(node, resized, size.constants)
        if not operator(node).linear:
            return output
        x, weight, bias = node.inputs
        target = self._target(node, discretisation, full, resized)
        if size.refit and (step := refit_step(node, resized[x], target - output)) is not None:
            kernel = size.constants[weight]
            size.changed[weight] = store(kernel + step.reshape(kernel.shape), self.storage)
            size.constants[weight] = size.changed[weight].read()
            output = forward.run_node(node, resized, size.constants)
        others = tuple(axis for axis in range(output.ndim) if axis != 1)
        delta = (target - output).mean(others, dtype=np.float64).astype(np.float32)
        size.constants[bias] = size.constants[bias] + delta
        size.changed[bias] = store(size.constants[bias], self.storage)
        return output + delta.reshape(1, -1, *[1] * (output.ndim - 2))

    def _target(
        self,
        node: Node,
        discretisation: Discretisation,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> np.ndarray:
        """What the layer's output should be; in a residual sum, minus what the other operand gets wrong."""
        target = self._sampled(node.output, full[node.output], discretisation)
        readers = self._readers.get(node.output, [])
        if len(readers) == 1 and readers[0].op == "Add":
            for other in readers[0].inputs:
                if other != node.output and other in resized:
                    target = target + self._sampled(other, full[other], discretisation) - resized[other]
        return target

    def _sampled(self, name: str, activation: np.ndarray, discretisation: Discretisation) -> np.ndarray:
        """The full network's activation at the channels that the resized network keeps."""
        produced = self.channels.dims[name][1]
        dims: list[Dimension] = [(Segment(None, 1, length, None),) for length in activation.shape]
        dims[1] = produced
        return resize(activation, dims, discretisation)

    def _table(
        self,
        size: CalibratedSize,
        index: int,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> Stored:
        key, group = self.channels.quadratures[index]
        moments = self._moments(full[key.tensor], resized[key.tensor], key, size.widths)
        start = prior(self.axes[group], size.widths[group])
        return store(solve(*moments, start, self.ridge) - start, self.storage, channel=1)


def solve(cross: np.ndarray, gram: np.ndarray, start: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """B, (N, n), from C (N, n), G (n, n) and the prior B0 (N, n); float64."""
    correction = ridge_solution(gram, cross - start @ gram, ridge)
    return start if correction is None else start + correction


def graph_with_early_shortcuts(graph: Graph) -> Graph:
    """The same graph with projection shortcuts run as soon as their input is there.

    The last layer to write into a residual sum can repair what the other branch gets wrong; that should be
    the branch with the larger kernel.
    """
    producers = graph.producers()
    early = set()
    for node in graph.nodes:
        branches = [producers[name] for name in node.inputs if name in producers]
        if node.op == "Add" and len(branches) == 2 and all(operator(b).linear for b in branches):
            early.add(min(branches, key=lambda b: graph.constants[b.inputs[1]].size).output)
    ready = {*graph.inputs, *graph.constants, ""}
    waiting, nodes = list(graph.nodes), []
    while waiting:
        possible = [node for node in waiting if ready.issuperset(node.inputs)]
        node = next((n for n in possible if n.output in early), possible[0])
        waiting.remove(node)
        nodes.append(node)
        ready.update(node.outputs)
    return replace(graph, nodes=nodes)

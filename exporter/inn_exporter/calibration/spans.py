"""Refitting several layers together, toward what the full network holds at their end.

A layer that is fitted alone repairs what came before it as far as one linear layer can. Layers of a span,
residual blocks in a row, are then fitted once more, all their kernels and biases together: nonlinear least
squares over the calibration images (L-BFGS), in coordinates in which the inputs of each layer are
uncorrelated. (Spans as in BRECQ, Li et al., ICLR 2021, which rounds networks so.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.optimize

from ..backend import mindspore, ops, tensor
from ..execution import forward
from ..execution.linear_algebra import WHITENING_IMAGES, roots
from ..execution.patches import patch_moments
from ..graph.graph import Graph, Node
from ..operators import operator
from ..ordering.continuous import ContinuousNetwork
from .calibrated_size import CalibratedSize
from .refit import REFIT_RIDGE
from .size_rounding import SizeRounding

LAYERS = 6
"""Linear layers of a span, at least, on average."""
VALUES = 2**22
POSITIONS = 2**18
"""Values, and positions of all images, of a span's end, at most: where images are large it is fitted to
fewer, …"""
FEWEST = 64
"""… but not to fewer than these."""
BATCH_VALUES = 2**21
"""Of a span's end, in the images whose gradient is worked out at a time."""


def spans(graph: Graph) -> dict[str, Graph]:
    """The spans of a network, in order: the tensor at the end of each → its part of the graph.

    A span begins where the one before ends, and ends at a tensor with positions, on which alone all that
    follows depends: of those within a quarter of a span from where spans of one length would end, at the one
    with fewest values, which is fitted to most images.
    """
    places = list(_narrow_places(graph))
    counts = np.cumsum([operator(node).linear for node in graph.nodes])
    total = counts[places[-1]] if places else 0
    number = max(1, total // LAYERS)
    result: dict[str, Graph] = {}
    first, inputs = 0, list(graph.inputs)
    for length in np.arange(1, number + 1) * total / number:
        near = [
            (math.prod(graph.shapes[graph.nodes[place].output][1:]), abs(counts[place] - length), place)
            for place in places
            if abs(counts[place] - length) <= total / number / 4
        ]
        if near:
            _, _, end = min(near)
            nodes = graph.nodes[first : end + 1]
            result[nodes[-1].output] = replace(graph, nodes=nodes, inputs=inputs, outputs=[nodes[-1].output])
            first, inputs = end + 1, [nodes[-1].output]
    return result


def _narrow_places(graph: Graph) -> Iterator[int]:
    """Nodes behind which nothing but their output is needed any more, with activations that follow them."""
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    readers, live = graph.consumers(), set(graph.inputs)
    for index, node in enumerate(graph.nodes):
        live = {name for name in live if last.get(name, -1) > index or name in graph.outputs}
        live.update(name for name in node.outputs if name in last or name in graph.outputs)
        shape = graph.shapes[node.output]
        following = readers.get(node.output, [])
        activated = (
            len(following) == 1
            and not operator(following[0]).linear
            and graph.shapes[following[0].output] == shape
        )
        if live == {node.output} and math.prod(shape[2:]) > 1 and not activated:
            yield index


def images_seen(shape: Sequence[int], available: int) -> int:
    """How many of the images a span is fitted to whose end has this shape, of one image."""
    fitting = min(VALUES // math.prod(shape), POSITIONS // math.prod(shape[1:]))
    return min(available, max(FEWEST, fitting))


def fit_span(
    network: ContinuousNetwork,
    span: Graph,
    size: CalibratedSize,
    inputs: Mapping[str, np.ndarray],
    target: np.ndarray,
    steps: int,
    rounding: float,
) -> CalibratedSize:
    """A better size, where refitted kernels are to be moved and that helps; else the same object. Layers that
    share their kernels with others stay as they are.

    Parameters
    ----------
    inputs : of the span, in the resized network, for the target's images and maybe more
    target : what its end should be, (images, …)
    steps : of L-BFGS
    rounding : what rounding may add to the squared error that is left, relative to it
    """
    sharing = network.graph.layers()
    layers = [node for node in span.nodes if operator(node).linear and len(sharing[node.output]) == 1]
    if not any(name in size.corrections for node in layers for name in span.constant_inputs(node)):
        return size
    inputs = {name: array[: len(target)] for name, array in inputs.items()}
    fit = _Fit(span, layers, size, inputs, target)
    before, left = fit.run(steps)
    exact = fit.constants()
    few = {name: array[:WHITENING_IMAGES] for name, array in inputs.items()}

    def loss(found: CalibratedSize) -> float:
        return _relative_error(forward.run(span, inputs, found.constants)[span.outputs[0]], target)

    found, error = SizeRounding(network, span, size, few, exact).coarsest(loss, (1 + rounding) * left)
    return found if error < before else size


def _relative_error(found: np.ndarray, wanted: np.ndarray) -> float:
    power = float(np.square(wanted, dtype=np.float64).sum())
    return float(np.square(found - wanted, dtype=np.float64).sum()) / max(power, 1e-30)


class _Fit:
    """The least-squares problem of one span."""

    def __init__(
        self,
        span: Graph,
        layers: Sequence[Node],
        size: CalibratedSize,
        inputs: Mapping[str, np.ndarray],
        target: np.ndarray,
    ) -> None:
        self._span, self._inputs, self._target = span, inputs, target
        self._start: dict[str, np.ndarray] = {}
        self._back: dict[str, np.ndarray] = {}
        activations = {name: array[:WHITENING_IMAGES] for name, array in inputs.items()}
        for node in span.nodes:
            if node in layers:
                _, weight, bias = node.inputs
                if weight in size.corrections:
                    gram, _, samples = patch_moments(span, [node], activations)
                    _, self._back[weight] = roots(gram, REFIT_RIDGE + gram.shape[1] / samples)
                    self._start[weight] = size.constants[weight]
                self._start[bias] = size.constants[bias]
            activations[node.output] = forward.run_node(node, activations, size.constants)
        self._parameters = {
            name: mindspore().Parameter(tensor(values.copy()), name=name)
            for name, values in self._start.items()
        }
        self._fixed = {
            name: tensor(size.constants[name])
            for node in span.nodes
            for name in span.constant_inputs(node)
            if name not in self._start
        }
        self._gradient = mindspore().value_and_grad(self._loss, None, list(self._parameters.values()))
        self._power = max(float(np.square(target, dtype=np.float64).sum()), 1e-30)
        self._batch = max(1, BATCH_VALUES // math.prod(target.shape[1:]))

    def run(self, steps: int) -> tuple[float, float]:
        """Fit; the relative squared errors before and after."""
        errors: list[float] = []

        def error(x: np.ndarray) -> tuple[float, np.ndarray]:
            self._set(x)
            found, slopes = self._error()
            errors.append(found)
            return found, slopes

        start = np.zeros(sum(values.size for values in self._start.values()))
        options = {"maxiter": steps, "maxfun": 2 * steps}
        found = scipy.optimize.minimize(error, start, jac=True, method="L-BFGS-B", options=options)
        self._set(found.x)
        return errors[0], float(found.fun)

    def constants(self) -> dict[str, np.ndarray]:
        """As fitted."""
        return {name: parameter.asnumpy().copy() for name, parameter in self._parameters.items()}

    def _loss(self, *batch: Any) -> Any:
        """Squared error of inputs and the end's target, as tensors."""
        constants = {**self._fixed, **self._parameters}
        (found,) = forward.outputs(self._span, batch[:-1], constants.__getitem__)
        return ops().sum((found - batch[-1]) ** 2)

    def _set(self, x: np.ndarray) -> None:
        """Move parameters by what their coordinates say."""
        first = 0
        for name, values in self._start.items():
            change = x[first : first + values.size]
            first += values.size
            moved = values + self._through(name, change).reshape(values.shape)
            self._parameters[name].set_data(tensor(moved.astype(np.float32)))

    def _through(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Rows of a kernel times the symmetric matrix that takes coordinates to values."""
        back = self._back.get(name)
        return rows if back is None else rows.reshape(len(back), -1, back.shape[1]) @ back

    def _error(self) -> tuple[float, np.ndarray]:
        total, slopes = 0.0, [np.zeros(values.shape) for values in self._start.values()]
        for first in range(0, len(self._target), self._batch):
            part = slice(first, first + self._batch)
            batch = [tensor(self._inputs[name][part]) for name in self._span.inputs]
            loss, gradients = self._gradient(*batch, tensor(self._target[part]))
            total += float(loss.asnumpy())
            for slope, gradient in zip(slopes, gradients):
                slope += gradient.asnumpy()
        through = [self._through(name, slope).reshape(-1) for name, slope in zip(self._start, slopes)]
        return total / self._power, np.concatenate(through) / self._power

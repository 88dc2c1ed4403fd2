"""A resized network that learns: MindSpore's gradients, Adam in NumPy, and rounding to what is stored.

Matrices are learned in coordinates in which their inputs are uncorrelated, W = V · G^(-1/2) with G the
second moments of what they multiply: one rate then suits all directions, and half the images do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from inn_runtime.format.manifest import Segment
from inn_runtime.sampling.axes import prior
from inn_runtime.sampling.resample import Discretisation, resize

from ..backend import mindspore, tensor
from ..calibration.calibrated_size import CalibratedSize
from ..calibration.size_rounding import SizeRounding
from ..execution import forward
from ..execution.linear_algebra import WHITENING_IMAGES, roots
from ..execution.moments import table_moments
from ..execution.patches import patch_moments
from ..graph.graph import Graph, Node
from ..graph.outputs import output_kinds
from ..integral.sampling import along
from ..operators import operator
from ..ordering.continuous import ContinuousNetwork
from ..storage.bits import DISTILLED_ROUNDING
from .losses import batch_loss

BATCH = 32
BETA_1, BETA_2 = 0.9, 0.999
BIAS_SCALE = 0.1
"""Size of a bias, as far as its rate is concerned, relative to its layer's outputs."""
WHITENING_RIDGE = 0.01


def error_of(graph: Graph, examples: Sequence[np.ndarray], constants: Mapping[str, np.ndarray]) -> float:
    """The loss of a graph with other constants over examples: arrays for its inputs, then its outputs."""
    found = forward.run(graph, dict(zip(graph.inputs, examples)), constants)
    outputs = [tensor(found[name]) for name in graph.outputs]
    expected = [tensor(array) for array in examples[len(graph.inputs) :]]
    return float(batch_loss(outputs, expected, list(output_kinds(graph).values())).asnumpy())


class _Learned:
    """A parameter, and Adam's state in coordinates in which what it multiplies is uncorrelated.

    MindSpore gives the gradient; the step is taken in NumPy, where products of small matrices are quick.
    """

    def __init__(self, name: str, values: np.ndarray, scale: float, back: np.ndarray | None = None) -> None:
        """``back``, (blocks, features, features), takes the coordinates to what is learned."""
        self.parameter = mindspore().Parameter(tensor(values.astype(np.float32)), name=name)
        self._start = values.astype(np.float32)
        self._back = back
        self._scale = scale
        self.reset()

    def reset(self) -> None:
        """Go back to where it began."""
        self._values = self._start
        self._mean: Any = 0.0
        self._square: Any = 0.0
        self.parameter.set_data(tensor(self._start.copy()))

    def step(self, gradient: np.ndarray, rate: float, number: int) -> None:
        """Adam's step ``number``, from 1; the rate is relative to the parameter's scale."""
        back = self._back
        if back is not None:
            gradient = gradient.reshape(len(back), -1, back.shape[1]) @ back
        self._mean = BETA_1 * self._mean + (1 - BETA_1) * gradient
        self._square = BETA_2 * self._square + (1 - BETA_2) * gradient**2
        mean, square = self._mean / (1 - BETA_1**number), self._square / (1 - BETA_2**number)
        step = mean / (np.sqrt(square) + 1e-12)
        if back is not None:
            step = (step @ back).reshape(self._values.shape)
        self._values = self._values - np.float32(rate * self._scale) * step
        self.parameter.set_data(tensor(self._values))


def _matrix(name: str, values: np.ndarray, gram: np.ndarray, start: np.ndarray | float = 0.0) -> _Learned:
    """A matrix, or one per block, (blocks, rows, features) flattened, learned on top of ``start``.

    ``gram``, (blocks, features, features), are the second moments of what it multiplies.
    """
    to, back = roots(gram, WHITENING_RIDGE)
    coordinates = (values + start).reshape(len(gram), -1, gram.shape[1]) @ to
    scale = float(np.sqrt(np.mean(coordinates**2))) or 1.0
    return _Learned(name, values, scale, back.astype(np.float32))


class Student:
    """A resized network whose kernels or tables, and biases, are MindSpore parameters."""

    def __init__(
        self,
        network: ContinuousNetwork,
        size: CalibratedSize,
        images: Mapping[str, np.ndarray],
    ) -> None:
        self._network = network
        self._graph, self._channels, self._axes = network.graph, network.channels, network.axes
        self._size = size
        self._kinds = list(output_kinds(network.graph).values())
        self._constants: dict[str, _Learned] = {}
        self._tables: dict[int, _Learned] = {}
        self._fixed = {name: tensor(values) for name, values in size.constants.items()}
        self._sampled: dict[str, Any] = {}
        self._images = {name: array[:WHITENING_IMAGES] for name, array in images.items()}
        self._layers = network.graph.layers()
        activations = dict(self._images)

        def step(node: Node) -> np.ndarray:
            layer = self._layers[node.output]
            if operator(node).linear and node is layer[-1]:
                self._add_layer(layer, activations)
            return forward.run_node(node, activations, size.constants)

        for node in forward.walk(network.graph, activations, step):
            for index in network.channels.complete(node.output, activations):
                self._add_table(index, activations)
        self.learned = [*self._constants.values(), *self._tables.values()]

    def _add_layer(self, layer: Sequence[Node], activations: Mapping[str, np.ndarray]) -> None:
        """Make a layer's bias a parameter, and its kernel where that is stored for this size."""
        _, weight, bias = layer[0].inputs
        kernel = self._size.constants[weight]
        gram, _, _ = patch_moments(self._graph, layer, activations)
        rows = kernel.reshape(len(gram), -1, gram.shape[1])
        squared = float(np.mean(np.einsum("bcf,bfg,bcg->bc", rows, gram, rows)))
        scale = BIAS_SCALE * math.sqrt(max(squared, 1e-12))
        self._constants[bias] = _Learned(bias, self._size.constants[bias], scale)
        if weight in self._size.corrections:
            self._constants[weight] = _matrix(weight, kernel, gram)
        elif any(part.quadrature is not None for dim in self._channels.dims[weight] for part in dim):
            frozen = tuple(
                tuple(s if s.quadrature is None else _whole(s, self._channels.sizes) for s in d)
                for d in self._channels.dims[weight]
            )
            nothing = Discretisation(self._axes, self._size.widths, lambda index: None)
            self._sampled[weight] = tensor(resize(self._graph.constants[weight], frozen, nothing))

    def _add_table(self, index: int, activations: Mapping[str, np.ndarray]) -> None:
        """Make a quadrature's table a parameter; unused where all its readers' kernels are stored."""
        key, group = self._channels.quadratures[index]
        start = prior(self._axes[group], self._size.widths[group])
        table = self._size.tables[index].read()
        moments = table_moments(activations, self._channels, key, self._size.widths)
        self._tables[index] = _matrix(f"table{index}", table, moments, start)

    def constant(self, name: str) -> Any:
        """As learned so far, a tensor."""
        if name in self._constants:
            return self._constants[name].parameter
        if name not in self._sampled:
            return self._fixed[name]
        value = self._sampled[name]
        for axis, dimension in enumerate(self._channels.dims[name]):
            value = along(value, axis, dimension, self._quadrature, self._channels.sizes)
        return value

    def _quadrature(self, segment: Segment) -> Any:
        """B; None where a segment has been sampled already."""
        if segment.quadrature is None or segment.group is None:
            return None
        start = prior(self._axes[segment.group], self._size.widths[segment.group])
        return tensor(start.astype(np.float32)) + self._tables[segment.quadrature].parameter

    def loss(self, *batch: Any) -> Any:
        """Of a batch of examples, as tensors."""
        count = len(self._graph.inputs)
        return batch_loss(
            forward.outputs(self._graph, batch[:count], self.constant), batch[count:], self._kinds
        )

    def error(self, examples: Sequence[np.ndarray]) -> float:
        """The loss over some examples, as learned so far."""
        parts = range(0, len(examples[0]), BATCH)
        losses = [self.loss(*(tensor(array[i : i + BATCH]) for array in examples)) for i in parts]
        return float(np.mean([loss.asnumpy() for loss in losses]))

    def reset(self) -> None:
        """Go back to where it began."""
        for learned in self.learned:
            learned.reset()

    def rounded(
        self, held_out: Sequence[np.ndarray], allowed: float = DISTILLED_ROUNDING
    ) -> tuple[CalibratedSize, float]:
        """The size with what was learned, rounded as it will be stored, and its loss over ``held_out``.

        As coarsely as adds no more to that loss than ``allowed``, relative to it; all layers alike relative
        to their outputs.
        """
        names = {name for node in self._graph.nodes for name in self._graph.constant_inputs(node)}
        exact = {name: self.constant(name).asnumpy() for name in names}
        tables = {index: learned.parameter.asnumpy() for index, learned in self._tables.items()}

        def loss(size: CalibratedSize) -> float:
            return error_of(self._graph, held_out, size.sampled(self._network).constants)

        rounding = SizeRounding(self._network, self._graph, self._size, self._images, exact, tables)
        found, error = rounding.coarsest(loss, (1 + allowed) * self.error(held_out))
        return found.sampled(self._network), error


def _whole(segment: Any, sizes: Sequence[int]) -> Any:
    """The segment as one of fixed length."""
    return type(segment)(None, 1, segment.length(sizes), None)

"""Label-free distillation: a resized network learns the original's outputs on unlabelled images.

Small sizes learn their kernels, which are stored anyway; larger ones learn their quadratures B and
biases alone, W' = S W B with W frozen, so that the control grids, and with them the full size, stay as
they are and a size costs no more bytes than before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from inn_runtime.axes import Axis, prior
from inn_runtime.manifest import Dimension
from inn_runtime.resample import Discretisation, resize

from . import forward
from .backend import mindspore, ops, tensor
from .calibrate import CalibratedSize
from .graph import Graph
from .operators import operator
from .storage import store, table_storage
from .structure import Channels

BATCH = 64
PEAK_RATE = 1e-3
TEMPERATURE = 2.0
JUDGED = 512
"""Images by which a distilled size must beat the calibrated one."""


def distill(
    graph: Graph,
    channels: Channels,
    axes: Sequence[Axis],
    sizes: Mapping[float, CalibratedSize],
    images: Mapping[str, np.ndarray],
    seen: int,
    storage: str,
    seed: int,
    progress: Callable[[float], None] = lambda done: None,
) -> None:
    """Improve calibrated sizes in place.

    Parameters
    ----------
    graph : the original network, with its constants as they will be stored
    sizes : calibrated; kernels are learned where they are refitted, else tables
    images : unlabelled inputs, keyed by input name
    seen : how many images to learn from, with repetition, all sizes together; each gets a share in
        proportion to 1 - size
    progress : called with the share of the work done
    """
    targets = forward.run(graph, images)
    missing = sum(1 - size for size in sizes)
    done = 0.0
    for size, calibrated in sizes.items():
        share = (1 - size) / missing
        student = _Student(graph, channels, axes, calibrated)
        steps = max(1, round(seen * share) // BATCH)
        judged = slice(0, JUDGED)
        before = student.error(images, targets, judged)
        for step in _train(student, graph, images, targets, steps, seed):
            progress(done + share * (step + 1) / steps)
        if student.error(images, targets, judged) < before:  # a short run may end worse than it began
            student.write_back(table_storage(storage))
        done += share


def _train(
    student: _Student,
    graph: Graph,
    images: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    steps: int,
    seed: int,
) -> Iterator[int]:
    """Adam with a cosine rate over shuffled batches; yields each step's number after it."""
    rates = [PEAK_RATE * 0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)]
    optimizer = mindspore().nn.Adam(student.parameters, rates)
    gradient = mindspore().value_and_grad(student.loss, None, student.parameters)
    random = np.random.default_rng(seed)
    count = len(next(iter(images.values())))
    order = np.empty(0, np.int64)
    for step in range(steps):
        while len(order) < BATCH:
            order = np.concatenate([order, random.permutation(count)])
        batch, order = order[:BATCH], order[BATCH:]
        _, gradients = gradient(*student.batch(images, targets, batch))
        optimizer(gradients)
        yield step


class _Student:
    """A resized network whose kernels or tables, and biases, are MindSpore parameters."""

    def __init__(self, graph: Graph, channels: Channels, axes: Sequence[Axis], size: CalibratedSize) -> None:
        self._graph = graph
        self._channels = channels
        self._axes = axes
        self._size = size
        self._trained: dict[str, Any] = {}
        self._tables: dict[int, Any] = {}
        self._fixed = {name: tensor(values) for name, values in size.constants.items()}
        self._sampled: dict[str, Any] = {}
        learns_kernels = size.refit
        for node in graph.nodes:
            if not operator(node).linear:
                continue
            _, weight, bias = node.inputs
            self._trained[bias] = _parameter(size.constants[bias], bias)
            if learns_kernels:
                self._trained[weight] = _parameter(size.constants[weight], weight)
            else:
                self._sample(weight)
        self.parameters = [*self._trained.values(), *self._tables.values()]

    def _sample(self, weight: str) -> None:
        """Keep S · W of a weight and make its tables parameters."""
        used = [s.quadrature for d in self._channels.dims[weight] for s in d if s.quadrature is not None]
        for index in used:
            if index not in self._tables:
                self._tables[index] = _parameter(self._size.tables[index].read(), f"table{index}")
        if used:
            frozen = tuple(
                tuple(s if s.quadrature is None else _whole(s, self._channels.sizes) for s in d)
                for d in self._channels.dims[weight]
            )
            nothing = Discretisation(self._axes, self._size.widths, lambda index: None)
            self._sampled[weight] = tensor(resize(self._graph.constants[weight], frozen, nothing))

    def _constant(self, name: str) -> Any:
        if name in self._trained:
            return self._trained[name]
        if name not in self._sampled:
            return self._fixed[name]
        value = self._sampled[name]
        for axis, dimension in enumerate(self._channels.dims[name]):
            value = self._integrate(value, axis, dimension)
        return value

    def _integrate(self, value: Any, axis: int, dimension: Dimension) -> Any:
        """Multiply the segments of one dimension that have a quadrature by B."""
        if all(segment.quadrature is None for segment in dimension):
            return value
        shape, parts, start = value.shape, [], 0
        lead, trail = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        flat = ops().reshape(value, (lead, shape[axis], trail))
        for segment in dimension:
            length = segment.length(self._channels.sizes)
            part = flat[:, start : start + length]
            start += length
            if segment.quadrature is not None and segment.group is not None:
                axis_of, width = self._axes[segment.group], self._size.widths[segment.group]
                matrix = tensor(prior(axis_of, width).astype(np.float32)) + self._tables[segment.quadrature]
                stacked = ops().reshape(part, (lead * segment.outer, axis_of.size, segment.inner * trail))
                part = ops().reshape(ops().matmul(matrix.T, stacked), (lead, -1, trail))
            parts.append(part)
        joined = ops().cat(parts, 1) if len(parts) > 1 else parts[0]
        return ops().reshape(joined, (*shape[:axis], joined.shape[1], *shape[axis + 1 :]))

    def loss(self, inputs: Sequence[Any], targets: Sequence[Any]) -> Any:
        """Kullback–Leibler divergence of class scores at temperature 2; for other outputs, relative error."""
        values: dict[str, Any] = dict(zip(self._graph.inputs, inputs))
        for node in self._graph.nodes:
            arguments = [values[n] if n in values else self._constant(n) if n else None for n in node.inputs]
            values[node.output] = operator(node).forward(node, arguments)
        total = 0.0
        for name, target in zip(self._graph.outputs, targets):
            output = values[name]
            if len(output.shape) == 2:
                soft = ops().softmax(target / TEMPERATURE, -1)
                total = total - ops().mean(
                    ops().sum(soft * ops().log_softmax(output / TEMPERATURE, -1), -1)
                ) * (TEMPERATURE**2)
            else:
                total = total + ops().mean((output - target) ** 2) / ops().mean(target**2)
        return total

    def batch(
        self, images: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], chosen: slice | np.ndarray
    ) -> tuple[list[Any], list[Any]]:
        """Some images and their targets as tensors, in the network's order."""
        return (
            [tensor(images[name][chosen]) for name in self._graph.inputs],
            [tensor(targets[name][chosen]) for name in self._graph.outputs],
        )

    def error(
        self, images: Mapping[str, np.ndarray], targets: Mapping[str, np.ndarray], chosen: slice
    ) -> float:
        """The loss over some images."""
        return float(self.loss(*self.batch(images, targets, chosen)).asnumpy())

    def write_back(self, storage: str) -> None:
        """Put what was learned into the calibrated size, rounded as it will be stored."""
        size = self._size
        for index, parameter in self._tables.items():
            size.tables[index] = store(parameter.asnumpy(), storage, channel=1)
        for name, parameter in self._trained.items():
            size.changed[name] = store(parameter.asnumpy(), storage)
            size.constants[name] = size.changed[name].read()
        discretisation = size.discretisation(self._axes)
        for name in self._sampled:
            size.constants[name] = resize(
                self._graph.constants[name], self._channels.dims[name], discretisation
            )


def _parameter(values: np.ndarray, name: str) -> Any:
    return mindspore().Parameter(tensor(values.astype(np.float32)), name=name)


def _whole(segment: Any, sizes: Sequence[int]) -> Any:
    """The segment as one of fixed length."""
    return type(segment)(None, 1, segment.length(sizes), None)

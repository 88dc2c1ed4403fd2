"""Distillation: a resized network learns the original's outputs on images, and their labels if there are any.

What calibration stored for a size is learned on: refitted kernels, else the quadratures B, W' = S W B
with W frozen, so that the control grids, and with them the full size, stay as they are and a size costs no
more bytes than before; and all biases.

Matrices are learned in coordinates in which their inputs are uncorrelated, W = V · G^(-1/2) with G the
second moments of what they multiply: one rate then suits all directions, and half the images do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from inn_runtime.axes import prior
from inn_runtime.manifest import Segment
from inn_runtime.resample import Discretisation, resize

from . import forward
from .backend import mindspore, tensor
from .calibrate import ROUNDING, CalibratedSize
from .continuous import ContinuousNetwork
from .data import Samples, check_labels
from .graph import Graph, Node
from .integral.losses import LABEL_WEIGHT, cross_entropy, divergence
from .integral.sampling import along
from .operators import operator
from .statistics import channel_rows, sampled_patches
from .storage import COARSE_BITS, store_like

BATCH = 32
BETA_1, BETA_2 = 0.9, 0.999
RATES = (0.01, 0.003, 0.001)
"""Peaks of Adam's rate, relative to a parameter's size: the first that does not throw the network off.
ResNet-20 likes 0.01, which takes EfficientNet-Lite0 from 67 to 17 % within 25 steps."""
TRIED = 10
"""Steps after which a rate shows that it is too high, …"""
THROWN_OFF = 1.5
"""… by a loss this many times what it was before on the same images."""
BIAS_SCALE = 0.1
"""Size of a bias, as far as its rate is concerned, relative to its layer's outputs."""
WHITENING_RIDGE = 0.01
WHITENING_IMAGES = 256
LARGEST_WHITENED = 2048
"""Features up to which a layer's inputs are decorrelated; beyond, that costs more than it saves."""
JUDGED = 512
"""Images, at most, by which a distilled size must beat the calibrated one."""


def distill(
    network: ContinuousNetwork,
    sizes: Mapping[float, CalibratedSize],
    samples: Samples,
    seen: int,
    seed: int,
    progress: Callable[[float], None] = lambda done: None,
    held_out: Samples | None = None,
) -> None:
    """Improve calibrated sizes in place.

    Parameters
    ----------
    network : the original, with its constants as they will be stored
    sizes : calibrated
    samples : images, with labels or without
    seen : how many images to learn from, with repetition, all sizes together, see `shares`
    progress : called with the share of the work done
    held_out : by which a distilled size must beat the calibrated one; default: some of ``samples``, which may
        have been learned by heart

    Raises
    ------
    UsageError : labels do not fit the network
    """
    network = network.with_graph(network.graph.scoring())
    lessons = _lessons(network.graph, samples)
    judged = [array[:JUDGED] for array in lessons]
    if held_out is not None:
        judged = judging_lessons(network.graph, held_out)

    def lesson(indices: np.ndarray) -> list[np.ndarray]:
        return [array[indices] for array in lessons]

    done = 0.0
    for share, calibrated in zip(shares(list(sizes)), sizes.values()):
        student = Student(network, calibrated, samples.inputs)
        for part in train(student, lesson, len(samples), round(seen * share), seed, RATES):
            progress(done + share * part)
        found, rounded = student.rounded(judged)
        if rounded < error_of(network.graph, judged, calibrated.constants):
            vars(calibrated).update(vars(found))  # a short run may end worse than it began
        done += share


def shares(sizes: Sequence[float]) -> list[float]:
    """The share of the images that each size learns from: most for small ones, by 1 - size."""
    missing = [1 - size for size in sizes]
    return [share / sum(missing) for share in missing]


def judging_lessons(graph: Graph, held_out: Samples) -> list[np.ndarray]:
    """Inputs and outputs by which a size is judged: of `JUDGED` images, at most."""
    return _lessons(graph, held_out.take(np.arange(len(held_out))[:JUDGED]))


def _lessons(graph: Graph, samples: Samples) -> list[np.ndarray]:
    """One array per input, one per output of the original, and the labels if there are any."""
    outputs = forward.run(graph, samples.inputs)
    lessons = [samples.inputs[name] for name in graph.inputs] + [outputs[name] for name in graph.outputs]
    if samples.labels is not None:
        check_labels(graph, samples.labels)
        lessons.append(samples.labels.astype(np.int32))
    return lessons


def _loss(outputs: Sequence[Any], expected: Sequence[Any]) -> Any:
    """How far outputs are from the original's and, where labels follow these, from them."""
    loss = divergence(outputs, expected[: len(outputs)])
    if len(expected) > len(outputs):
        loss = loss + LABEL_WEIGHT * cross_entropy(outputs[0], expected[-1])
    return loss


def error_of(graph: Graph, lessons: Sequence[np.ndarray], constants: Mapping[str, np.ndarray]) -> float:
    """The loss of a graph with other constants over some lessons: arrays for its inputs, then its outputs."""
    found = forward.run(graph, dict(zip(graph.inputs, lessons)), constants)
    outputs = [tensor(found[name]) for name in graph.outputs]
    return float(_loss(outputs, [tensor(array) for array in lessons[len(graph.inputs) :]]).asnumpy())


def train(
    student: Student,
    lesson: Callable[[np.ndarray], list[np.ndarray]],
    count: int,
    seen: int,
    seed: int,
    rates: Sequence[float],
) -> Iterator[float]:
    """Adam with a cosine rate over shuffled batches; yields the share done after every step.

    Starts anew with a lower rate where the first steps do harm.

    Parameters
    ----------
    lesson : indices of images → inputs, what the outputs should be, and labels if there are any
    count : of images
    seen : how many to learn from, with repetition
    rates : that are tried, the highest first
    """
    parameters = [learned.parameter for learned in student.learned]
    gradient = mindspore().value_and_grad(student.loss, None, parameters)
    steps, random = max(1, seen // BATCH), np.random.default_rng(seed)
    order = np.concatenate([random.permutation(count) for _ in range(-(-steps * BATCH // count))])
    batches = [order[step * BATCH : (step + 1) * BATCH] for step in range(steps)]
    tried = min(TRIED, steps)
    before = np.mean([student.error(lesson(batch)) for batch in batches[:tried]])
    for peak in rates:
        total = 0.0
        student.reset()
        for step, batch in enumerate(batches):
            loss, gradients = gradient(*map(tensor, lesson(batch)))
            rate = peak * 0.5 * (1 + math.cos(math.pi * step / steps))
            for learned, slope in zip(student.learned, gradients):
                learned.step(slope.asnumpy(), rate, step + 1)
            total += float(loss.asnumpy())
            if step + 1 == tried and not total / tried <= THROWN_OFF * before and peak != rates[-1]:
                break
            yield (step + 1) / steps
        else:
            return


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
    features = gram.shape[1]
    if features > LARGEST_WHITENED:
        gram = np.eye(features) * np.einsum("bff->b", gram)[:, None, None] / features
    level = max(WHITENING_RIDGE * float(np.einsum("bff->b", gram).mean()) / features, 1e-12)
    squares, vectors = np.linalg.eigh(gram + level * np.eye(features))
    roots, across = np.sqrt(np.maximum(squares, level))[:, None], vectors.transpose(0, 2, 1)
    coordinates = (values + start).reshape(len(gram), -1, features) @ (vectors * roots @ across)
    scale = float(np.sqrt(np.mean(coordinates**2))) or 1.0
    return _Learned(name, values, scale, (vectors / roots @ across).astype(np.float32))


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
        self._constants: dict[str, _Learned] = {}
        self._tables: dict[int, _Learned] = {}
        self._fixed = {name: tensor(values) for name, values in size.constants.items()}
        self._sampled: dict[str, Any] = {}
        activations = {name: array[:WHITENING_IMAGES] for name, array in images.items()}

        def step(node: Node) -> np.ndarray:
            if operator(node).linear:
                self._add_layer(node, activations[node.inputs[0]])
            return forward.run_node(node, activations, size.constants)

        for node in forward.walk(network.graph, activations, step):
            for index in network.channels.quadratures_of.get(node.output, ()):
                self._add_table(index, activations[node.output])
        self.learned = [*self._constants.values(), *self._tables.values()]

    def _add_layer(self, node: Node, x: np.ndarray) -> None:
        """Make a layer's bias a parameter, and its kernel where that is stored for this size."""
        _, weight, bias = node.inputs
        kernel = self._size.constants[weight]
        gram = _patch_moments(self._graph, node, x)
        rows = kernel.reshape(len(gram), -1, gram.shape[1])
        squared = float(np.mean(np.einsum("bcf,bfg,bcg->bc", rows, gram, rows)))
        scale = BIAS_SCALE * math.sqrt(max(squared, 1e-12))
        self._constants[bias] = _Learned(bias, self._size.constants[bias], scale)
        if weight in self._size.changed:
            self._constants[weight] = _matrix(weight, kernel, gram)
        elif any(part.quadrature is not None for dim in self._channels.dims[weight] for part in dim):
            frozen = tuple(
                tuple(s if s.quadrature is None else _whole(s, self._channels.sizes) for s in d)
                for d in self._channels.dims[weight]
            )
            nothing = Discretisation(self._axes, self._size.widths, lambda index: None)
            self._sampled[weight] = tensor(resize(self._graph.constants[weight], frozen, nothing))

    def _add_table(self, index: int, x: np.ndarray) -> None:
        """Make a quadrature's table a parameter; unused where all its readers' kernels are stored."""
        key, group = self._channels.quadratures[index]
        widths = self._size.widths
        rows = np.concatenate(list(channel_rows(x, self._channels, key, widths)), 1)
        start = prior(self._axes[group], widths[group])
        table = self._size.tables[index].read()
        gram = (rows @ rows.T / rows.shape[1]).astype(np.float64)
        self._tables[index] = _matrix(f"table{index}", table, gram[None], start)

    def _constant(self, name: str) -> Any:
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

    def loss(self, *lesson: Any) -> Any:
        """Of a batch of lessons, as tensors."""
        count = len(self._graph.inputs)
        return _loss(forward.outputs(self._graph, lesson[:count], self._constant), lesson[count:])

    def error(self, lessons: Sequence[np.ndarray]) -> float:
        """The loss over some lessons, as learned so far."""
        parts = range(0, len(lessons[0]), BATCH)
        losses = [self.loss(*(tensor(array[i : i + BATCH]) for array in lessons)) for i in parts]
        return float(np.mean([loss.asnumpy() for loss in losses]))

    def reset(self) -> None:
        """Go back to where it began."""
        for learned in self.learned:
            learned.reset()

    def rounded(self, judged: Sequence[np.ndarray]) -> tuple[CalibratedSize, float]:
        """The size with what was learned, rounded as it will be stored, and its loss over ``judged``.

        With the bits that the calibrated values have, or with more where rounding costs too much.
        """
        exact = self.error(judged)
        for finer in range(len(COARSE_BITS)):
            size = self._stored(finer)
            error = error_of(self._graph, judged, size.constants)
            if error <= (1 + ROUNDING) * exact:
                break
        return size, error

    def _stored(self, finer: int) -> CalibratedSize:
        """With ``finer`` steps more bits than the calibrated values."""
        size = replace(
            self._size, tables=dict(self._size.tables), changed=dict(self._size.changed), constants={}
        )
        for index, table in self._tables.items():
            values = table.parameter.asnumpy()
            size.tables[index] = store_like(values, self._size.tables[index], channel=1, finer=finer)
        for name, constant in self._constants.items():
            values = constant.parameter.asnumpy()
            size.changed[name] = store_like(values, self._size.changed[name], finer=finer)
        size.sample(self._network)
        return size


def _patch_moments(graph: Graph, node: Node, x: np.ndarray) -> np.ndarray:
    """E[u uᵀ] of what a layer's kernel multiplies, (blocks, features, features)."""
    parts = [patches for _, _, patches in sampled_patches(graph, node, x, seed=0)]
    total = sum((u @ u.transpose(0, 2, 1)).astype(np.float64) for u in parts)
    return np.asarray(total / sum(u.shape[2] for u in parts))


def _whole(segment: Any, sizes: Sequence[int]) -> Any:
    """The segment as one of fixed length."""
    return type(segment)(None, 1, segment.length(sizes), None)

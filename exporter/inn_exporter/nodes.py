"""The order of channels along each axis: nested (ours), smooth (the paper's), by L1 norm (the baseline), or
as given (a network that was trained as an integral one).

Where everything along an axis is linear, nested order is free to mix channels too: the axis is rotated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

import numpy as np
from inn_runtime.axes import Axis
from inn_runtime.manifest import Dimension, Segment

from . import forward, heads
from .graph import Graph, Node
from .operators import operator
from .statistics import Moments, block_moments, head_grams, row_moments
from .structure import Channels

ORDERS = ("nested", "smooth", "l1", "given")

EXPLAINED = 1e-7
"""Share of a channel's second moment below which it counts as explained by the chosen ones."""

BLOCK = 256
"""Steps of nested order before the residuals are worked out anew."""

_ALIKE = 1e-9
_NOTHING = 1e-30


def order_channels(
    graph: Graph,
    channels: Channels,
    order: str,
    images: Mapping[str, np.ndarray],
    progress: Callable[[float], None] = lambda done: None,
) -> Graph:
    """Lay out every group's channels in the given order; the network's function does not change.

    Nested order rotates the groups that allow it. ``given`` leaves all as they are.
    """
    if order == "given":
        return graph
    if order == "nested":
        seen_by = consumers(graph, channels, images, progress)
        rotations = {group: nested_rotation(seen_by[group]) for group in rotatable(graph, channels)}
        for group in heads.rotatable(graph, channels):
            by_head = zip(*(consumer.heads for consumer in seen_by[group]))
            rotations[group] = np.stack([nested_rotation(seen) for seen in by_head])
        products = {
            contraction.group: [_head_moments(consumer) for consumer in seen_by[contraction.group]]
            for contraction in heads.contractions(graph, channels)
        }
        graph, balanced = heads.balanced(rotate(graph, channels, rotations), channels, products)
        orders = [
            np.arange(size) if group in rotations or group in balanced else nested_order(seen_by[group])
            for group, size in enumerate(channels.sizes)
        ]
    else:
        features = _weight_features(graph, channels)
        rule: Callable[[np.ndarray], np.ndarray] = smooth_path if order == "smooth" else largest_first
        orders = [rule(f) for f in features]
    return permute(graph, channels, orders)


def axis_for(order: str, size: int, quadrature: str) -> Axis:
    """The continuous axis that goes with an order: smooth ones, also as given, are interpolated, the others
    selected."""
    interpolated = order in ("smooth", "given")
    rule = "trapezoid" if interpolated and quadrature != "none" else "none"
    return Axis(size, "cubic" if interpolated else "selection", rule)


def permute(graph: Graph, channels: Channels, orders: list[np.ndarray]) -> Graph:
    """Reorder every group's channels in all constants."""
    constants = {}
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name]):
            values = np.take(values, _positions(dimension, channels.sizes, orders), axis)
        constants[name] = np.ascontiguousarray(values)
    return replace(graph, constants=constants)


def _positions(dimension: Dimension, sizes: list[int], orders: list[np.ndarray]) -> np.ndarray:
    """Where each element of a dimension comes from."""
    parts, start = [], 0
    for segment in dimension:
        length = segment.length(sizes)
        index = np.arange(start, start + length)
        if segment.group is not None:
            index = index.reshape(segment.outer, -1, segment.inner)[:, orders[segment.group]].reshape(-1)
        parts.append(index)
        start += length
    return np.concatenate(parts)


def rotatable(graph: Graph, channels: Channels) -> set[int]:
    """The groups whose channels may be mixed by any rotation.

    Everything along them is dense layers that write or read them, and operators that treat all channels
    alike: linear residual streams.
    """
    found = set(range(len(channels.groups)))
    for node in graph.nodes:
        tensors = [channels.dims[name] for name in (*node.inputs, *node.outputs) if name]
        along = {segment.group for dims in tensors for dimension in dims for segment in dimension}
        found -= {group for group in found & along if not _mixes(node, channels, group)}
    return found


def _mixes(node: Node, channels: Channels, group: int) -> bool:
    """Whether a node, along some of whose tensors a group runs, lets its channels be mixed."""
    axes = {name: channels.plain_axes(name, group) for name in (*node.inputs, *node.outputs) if name}
    if any(found is None or len(found) > 1 for found in axes.values()):
        return False
    if operator(node).linear:  # along channels; a bias is added to every position
        return not node.depthwise and bool(axes[node.inputs[1]])
    along = {name: found[0] - len(channels.dims[name]) for name, found in axes.items() if found}
    return operator(node).mixes_along(node, along)


def rotate(graph: Graph, channels: Channels, rotations: Mapping[int, np.ndarray]) -> Graph:
    """Change the basis of some groups, x to Qᵀx with Q (N, N) orthogonal, in all constants.

    Rows of those that produce x and columns of those that read it turn alike: Qᵀ W and W Q. Where a dimension
    holds several blocks of the group, Q is (blocks, N, N).
    """
    constants = {}
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name]):
            for segment in dimension:
                if segment.group is not None and segment.group in rotations:
                    basis = rotations[segment.group].reshape(
                        segment.outer, *rotations[segment.group].shape[-2:]
                    )
                    last = np.moveaxis(values, axis, -1)
                    blocks = last.reshape(*last.shape[:-1], *basis.shape[:2])
                    turned = np.einsum("...bn,bnm->...bm", blocks, basis, optimize=True)
                    values = np.moveaxis(turned.reshape(last.shape), -1, axis)
        constants[name] = np.ascontiguousarray(values, np.float32)
    return replace(graph, constants=constants)


@dataclass(frozen=True)
class Consumer:
    """What one tensor's readers see of a group.

    Attributes
    ----------
    gram : E[x xᵀ] of the tensor, (N, N)
    kernel : Σ WᵀW of the readers' weights, or E[y yᵀ] of what the tensor is multiplied by, (N, N)
    heads : the same of every block of the tensor by itself, where it is made of several
    """

    gram: np.ndarray
    kernel: np.ndarray
    heads: tuple[Consumer, ...] = ()

    @staticmethod
    def of_blocks(grams: np.ndarray, kernels: np.ndarray) -> Consumer:
        """From the moments of every block, both (blocks, N, N)."""
        heads = tuple(Consumer(*pair) for pair in zip(grams, kernels))
        return Consumer(grams.sum(0), kernels.sum(0), heads)


def consumers(
    graph: Graph,
    channels: Channels,
    images: Mapping[str, np.ndarray],
    progress: Callable[[float], None] = lambda done: None,
) -> list[list[Consumer]]:
    """Per group, the consumers of every tensor that runs along it."""
    kernels: list[Any] = [np.zeros((1, *[channels.sizes[group]] * 2)) for _, group in channels.quadratures]
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name]):
            for segment, part in _segments(dimension, channels.sizes, values, axis):
                if segment.quadrature is not None:
                    kernels[segment.quadrature] = kernels[segment.quadrature] + block_moments(
                        part, segment.outer
                    )
    result: list[list[Consumer]] = [[] for _ in channels.groups]
    products: dict[str, list[heads.Contraction]] = {}
    for contraction in heads.contractions(graph, channels):
        products.setdefault(contraction.node.output, []).append(contraction)
    moments = Moments(graph, channels)
    activations = dict(images)
    nodes = forward.walk(graph, activations, lambda n: forward.run_node(n, activations, graph.constants))
    for done, node in enumerate(nodes):
        progress((done + 1) / len(graph.nodes))
        for index in channels.quadratures_of.get(node.output, ()):
            key, group = channels.quadratures[index]
            values = activations[node.output]
            _, gram, _ = moments(values, values, key, channels.sizes)
            kernel = kernels[index]
            if len(kernel) == 1:
                result[group].append(Consumer(gram, kernel[0]))
            else:
                grams = head_grams(values, channels, key, len(kernel))
                result[group].append(Consumer.of_blocks(grams, kernel))
        for contraction in products.get(node.output, ()):
            first, second = (activations[name] for name in node.inputs)
            pair = [row_moments(rows) for rows in (first, second.swapaxes(-1, -2))]
            result[contraction.group].append(Consumer.of_blocks(*pair))
    return result


def _head_moments(consumer: Consumer) -> tuple[np.ndarray, np.ndarray]:
    """Both moments of every block, (blocks, N, N)."""
    grams, kernels = ([getattr(head, name) for head in consumer.heads] for name in ("gram", "kernel"))
    return np.stack(grams), np.stack(kernels)


def nested_rotation(seen_by: Sequence[Consumer]) -> np.ndarray:
    """A basis whose every prefix explains the consumers' outputs best.

    With one consumer, y = L x with LᵀL = Σ WᵀW: the principal components Vᵀ y are the best n numbers to
    know of it for every n, and those of x that tell them are (LᵀV)ᵀ x; orthogonalising these in order
    keeps the span of every prefix. Several consumers are averaged, their traces scaled to 1.

    Returns
    -------
    basis : (N, N), orthogonal, the first direction in the first column
    """
    size = len(seen_by[0].gram)
    used = [(_scaled(c.gram), _scaled(c.kernel)) for c in seen_by]
    gram, kernel = (np.sum(matrices, axis=0) for matrices in zip(*used))
    root = _root(kernel)
    _, vectors = np.linalg.eigh(root @ gram @ root)
    basis, _ = np.linalg.qr(root @ vectors[:, ::-1])
    largest = basis[np.abs(basis).argmax(0), np.arange(size)]
    result: np.ndarray = basis * np.where(largest < 0, -1.0, 1.0)
    return result


def _scaled(moment: np.ndarray) -> np.ndarray:
    """A positive semidefinite matrix scaled to trace 1, or zero."""
    result: np.ndarray = moment / max(float(np.trace(moment)), _NOTHING)
    return result


def _root(moment: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(moment)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def nested_order(seen_by: Sequence[Consumer]) -> np.ndarray:
    """An order whose every prefix explains the consumers' *outputs* best.

    Greedy: with R the Gram of what the chosen channels leave unexplained and K = Σ WᵀW, each step takes the
    channel j with the largest Σ (RKR)_jj / R_jj (the drop of the outputs' error, each consumer's scaled to
    1) and deflates R. With K = I this is pivoted Cholesky. Channels that the chosen ones explain come last,
    those with the largest outputs first.

    Returns
    -------
    order : (N,)
    """
    size = len(seen_by[0].gram)
    scales = [float(np.sum(consumer.kernel * consumer.gram)) for consumer in seen_by]
    residuals = [_Residual(c.gram / scale, c.kernel) for c, scale in zip(seen_by, scales) if scale > _NOTHING]
    outputs = sum((r.gram.diagonal() * r.kernel.diagonal() for r in residuals), np.zeros(size))
    order: list[int] = []
    while len(order) < size:
        unexplained = np.any([np.zeros(size, bool), *(r.left > r.floor for r in residuals)], axis=0)
        unexplained[order] = False
        if not unexplained.any():
            break
        gains = np.where(unexplained, sum(r.gains() for r in residuals), -1.0)
        # Of channels that are multiples of each other the largest, whatever the rounding of this machine.
        alike = gains >= (1 - _ALIKE) * gains.max()
        order.append(int(np.argmax(np.where(alike, outputs, -1.0))))
        for residual in residuals:
            residual.explain(order[-1])
    rest = np.setdiff1d(np.arange(size), order)
    return np.array([*order, *rest[np.argsort(-outputs[rest], kind="stable")]])


class _Residual:
    """What the chosen channels leave unexplained of one consumer.

    The diagonals of R and RKR are always up to date. R is so once in a block of steps; each step since
    then takes a factor r rᵀ off it, as in pivoted Cholesky, and r, Kr and RKr give everything else.

    Attributes
    ----------
    gram, kernel : R at the start of the block and K, (N, N)
    left, energy : diagonals of R and RKR, (N,)
    floor : what is left of a channel that counts as explained, (N,)
    """

    def __init__(self, gram: np.ndarray, kernel: np.ndarray) -> None:
        self.gram, self.kernel = gram, kernel
        self.left = gram.diagonal().copy()
        self.floor = EXPLAINED * self.left
        self._start_block()

    def _start_block(self) -> None:
        read = self.kernel @ self.gram
        self._matrices = np.stack([self.gram, read, self.gram @ read])
        self.energy = self._matrices[2].diagonal().copy()
        self.left = np.minimum(self.left, self.gram.diagonal())
        self._factors = np.zeros((3, len(self.gram), min(BLOCK, len(self.gram))))
        self._steps = 0

    def gains(self) -> np.ndarray:
        """The drop of the outputs' error for each channel that might be chosen, (N,)."""
        return np.where(self.left > self.floor, self.energy / np.maximum(self.left, _NOTHING), 0.0)

    def explain(self, chosen: int) -> None:
        """Take away what a channel explains; nothing where it is explained itself."""
        if self.left[chosen] <= self.floor[chosen]:
            return
        if self._steps == self._factors.shape[2]:
            self.gram = self.gram - self._factors[0] @ self._factors[0].T
            self._start_block()
        before = self._factors[..., : self._steps]
        factor = (self._matrices[:, :, chosen] - before @ before[0, chosen]) / np.sqrt(self.left[chosen])
        r, read, energies = factor
        drop = 2 * (energies - before[0] @ (before[1].T @ r)) - r * (r @ read)
        self.energy = np.maximum(self.energy - r * drop, 0.0)
        self.left = np.maximum(self.left - r**2, 0.0)
        self.left[chosen] = 0.0
        self._factors[..., self._steps] = factor
        self._steps += 1


def _segments(
    dimension: Dimension, sizes: list[int], values: np.ndarray, axis: int
) -> Iterator[tuple[Segment, np.ndarray]]:
    """The segments of one dimension that follow a group, with their values as (N, everything else)."""
    start = 0
    for segment in dimension:
        length = segment.length(sizes)
        if segment.group is not None:
            part = np.moveaxis(values, axis, 0)[start : start + length]
            blocks = part.reshape(segment.outer, sizes[segment.group], -1).astype(np.float64)
            yield segment, blocks.transpose(1, 0, 2).reshape(sizes[segment.group], -1)
        start += length


def _weight_features(graph: Graph, channels: Channels) -> list[np.ndarray]:
    """Per group, (N, features): the slices of all member weights (no biases), each weight scaled alike."""
    features: list[list[np.ndarray]] = [[np.zeros((size, 1))] for size in channels.sizes]
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name] if values.ndim > 1 else ()):
            for segment, rows in _segments(dimension, channels.sizes, values, axis):
                assert segment.group is not None
                features[segment.group].append(rows / max(float(np.linalg.norm(rows)), 1e-30))
    return [np.concatenate(parts, axis=1) for parts in features]


def largest_first(features: np.ndarray) -> np.ndarray:
    """Channels by decreasing L1 norm of their weights."""
    return np.argsort(-np.abs(features).sum(1), kind="stable")


def smooth_path(features: np.ndarray) -> np.ndarray:
    """An order of small total variation: nearest neighbours, then 2-opt until no exchange helps.

    The total variation along an axis is Σ ‖w(i+1) - w(i)‖ (the paper's permutation problem).
    """
    squares = (features**2).sum(1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares - 2 * features @ features.T, 0))
    size = len(distance)
    order = [int(np.argmax(squares))]
    left = np.ones(size, bool)
    left[order[0]] = False
    while len(order) < size:
        order.append(int(np.argmin(np.where(left, distance[order[-1]], np.inf))))
        left[order[-1]] = False
    return _two_opt(np.array(order), distance)


def _two_opt(order: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Reverse stretches of an open path while that shortens it."""
    size = len(order)
    improved = size > 3
    while improved:
        improved = False
        for i in range(size - 1):
            # Reversing order[i+1 .. j] replaces the edges (i, i+1) and (j, j+1); the last has no successor.
            j = np.arange(i + 2, size)
            if not len(j):
                continue
            ahead = np.append(order[i + 3 :], order[-1])
            outgoing = np.append(np.ones(len(j) - 1), 0.0)
            old = distance[order[i], order[i + 1]] + outgoing * distance[order[j], ahead]
            new = distance[order[i], order[j]] + outgoing * distance[order[i + 1], ahead]
            best = int(np.argmin(new - old))
            if new[best] - old[best] < -1e-12:
                stop = i + 2 + best
                order[i + 1 : stop + 1] = order[i + 1 : stop + 1][::-1].copy()
                improved = True
    return order

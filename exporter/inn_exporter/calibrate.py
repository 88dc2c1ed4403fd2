"""Calibrated quadrature: B and bias of every layer, per size, from unlabelled images.

With x a tensor of the full network and x' the same tensor of the resized one, all earlier layers already
resized, C = E[x x'ᵀ] and G = E[x' x'ᵀ], the quadrature is the ridge solution toward the prior B0:

    B = B0 + (C - B0 G) (G + λ · mean(diag G) · I)⁻¹

and each layer's bias moves so that its mean output is the full network's. One pass over the graph in
topological order does all sizes; the full network's activations are shared by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Callable

import numpy as np
import scipy.linalg
from inn_runtime.axes import Axis, prior
from inn_runtime.resample import Discretisation, resize

from . import forward
from .graph import Graph, Node
from .operators import operator
from .statistics import second_moments
from .structure import Channels

RIDGE = 1e-3


@dataclass
class CalibratedSize:
    """What calibration finds for one size.

    Attributes
    ----------
    widths : width of every channel group
    tables : quadrature → B, (N, n) float32, rounded as it will be stored
    constants : every constant of the resized network, in the graph's layout
    biases : names of the constants that are corrected biases
    """

    widths: list[int]
    tables: dict[int, np.ndarray] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    biases: list[str] = field(default_factory=list)


def calibrate(
    graph: Graph,
    channels: Channels,
    axes: Sequence[Axis],
    widths: Sequence[list[int]],
    images: Mapping[str, np.ndarray],
    storage: str = "float16",
    ridge: float = RIDGE,
    progress: Callable[[float], None] = lambda done: None,
) -> list[CalibratedSize]:
    """Calibrate several sizes.

    Parameters
    ----------
    graph : ordered, with its constants rounded as they will be stored
    axes : the axis of every channel group
    widths : one list of group widths per size
    images : unlabelled inputs, keyed by input name
    storage : dtype of the stored tables; later layers make up for the rounding of earlier ones
    ridge : λ
    progress : called with the share of nodes done, from 0 to 1
    """
    sizes = [CalibratedSize(list(w)) for w in widths]
    activations = [dict(images) for _ in sizes]
    full = dict(images)
    pending = _by_tensor(channels)

    def step(node: Node) -> np.ndarray:
        return forward.run_node(node, full, graph.constants)

    # A pooled tensor's quadrature is fitted on the tensor before pooling: keep those until read.
    for done, node in enumerate(forward.walk(graph, full, step)):
        for size, resized in zip(sizes, activations):
            _resample_constants(graph, channels, axes, size, node)
            output = forward.run_node(node, resized, size.constants)
            if operator(node).linear:
                output = _correct_bias(graph, channels, axes, size, node, full[node.output], output)
            resized[node.output] = output
            for index in pending.get(node.output, ()):
                key, group = channels.quadratures[index]
                moments = second_moments(full[node.output], output, channels, key, size.widths)
                table = solve(*moments, prior(axes[group], size.widths[group]), ridge)
                size.tables[index] = table.astype(storage).astype(np.float32)
        _forget(full, activations)
        progress((done + 1) / len(graph.nodes))
    return sizes


def solve(cross: np.ndarray, gram: np.ndarray, start: np.ndarray, ridge: float = RIDGE) -> np.ndarray:
    """B, (N, n), from C (N, n), G (n, n) and the prior B0 (N, n); float64."""
    level = float(np.mean(np.diagonal(gram)))
    if level <= 0.0:  # a tensor that is zero everywhere says nothing
        return start
    regular = gram + ridge * level * np.eye(len(gram))
    return start + scipy.linalg.solve(regular, (cross - start @ gram).T, assume_a="pos").T


def _by_tensor(channels: Channels) -> dict[str, list[int]]:
    result: dict[str, list[int]] = {}
    for index, (key, _) in enumerate(channels.quadratures):
        result.setdefault(key.tensor, []).append(index)
    return result


def _discretisation(axes: Sequence[Axis], size: CalibratedSize) -> Discretisation:
    return Discretisation(axes, size.widths, size.tables.get)


def _resample_constants(
    graph: Graph, channels: Channels, axes: Sequence[Axis], size: CalibratedSize, node: Node
) -> None:
    for name in graph.constant_inputs(node):
        if name not in size.constants:
            size.constants[name] = resize(
                graph.constants[name], channels.dims[name], _discretisation(axes, size)
            )


def _correct_bias(
    graph: Graph,
    channels: Channels,
    axes: Sequence[Axis],
    size: CalibratedSize,
    node: Node,
    target: np.ndarray,
    output: np.ndarray,
) -> np.ndarray:
    """Shift the layer's bias by δ, which brings its mean output to the full network's; returns the new output."""
    bias = node.inputs[2]
    others = tuple(axis for axis in range(output.ndim) if axis != 1)
    mean = target.mean(others, dtype=np.float64).astype(np.float32)
    wanted = resize(mean, channels.dims[bias], _discretisation(axes, size))
    delta = (wanted - output.mean(others, dtype=np.float64)).astype(np.float32)
    size.constants[bias] = size.constants[bias] + delta
    size.biases.append(bias)
    return output + delta.reshape(1, -1, *[1] * (output.ndim - 2))


def _forget(full: Mapping[str, np.ndarray], activations: Sequence[dict[str, np.ndarray]]) -> None:
    """Drop what the full network's walk has dropped."""
    for resized in activations:
        for name in [name for name in resized if name not in full]:
            del resized[name]

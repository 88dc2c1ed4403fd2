"""Rotations of linear streams, whose channels may be mixed freely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..graph.channels import Channels
from ..graph.graph import Graph, Node
from ..operators import operator
from .consumers import TINY, ConsumerMoments


def rotatable_groups(graph: Graph, channels: Channels) -> set[int]:
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


def nested_rotation(seen_by: Sequence[ConsumerMoments]) -> np.ndarray:
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
    result: np.ndarray = moment / max(float(np.trace(moment)), TINY)
    return result


def _root(moment: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(moment)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root

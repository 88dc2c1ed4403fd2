"""What the readers of each tensor see of a channel group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
from inn_runtime.format.manifest import Dimension, Segment

from ..execution import forward
from ..execution.moments import Moments, block_moments, head_grams, row_moments
from ..graph.channels import Channels
from ..graph.graph import Graph
from ..passes import attention

TINY = 1e-30


@dataclass(frozen=True)
class ConsumerMoments:
    """What one tensor's readers see of a group.

    Attributes
    ----------
    gram : E[x xᵀ] of the tensor, (N, N)
    kernel : Σ WᵀW of the readers' weights, or E[y yᵀ] of what the tensor is multiplied by, (N, N)
    heads : the same of every block of the tensor by itself, where it is made of several
    """

    gram: np.ndarray
    kernel: np.ndarray
    heads: tuple[ConsumerMoments, ...] = ()

    @staticmethod
    def of_blocks(grams: np.ndarray, kernels: np.ndarray) -> ConsumerMoments:
        """From the moments of every block, both (blocks, N, N)."""
        heads = tuple(ConsumerMoments(*pair) for pair in zip(grams, kernels))
        return ConsumerMoments(grams.sum(0), kernels.sum(0), heads)


def consumer_moments(
    graph: Graph,
    channels: Channels,
    images: Mapping[str, np.ndarray],
    progress: Callable[[float], None] = lambda done: None,
) -> list[list[ConsumerMoments]]:
    """Per group, the consumers of every tensor that runs along it."""
    kernels: list[Any] = [np.zeros((1, *[channels.sizes[group]] * 2)) for _, group in channels.quadratures]
    for name, values in graph.constants.items():
        for axis, dimension in enumerate(channels.dims[name]):
            for segment, part in group_segments(dimension, channels.sizes, values, axis):
                if segment.quadrature is not None:
                    kernels[segment.quadrature] = kernels[segment.quadrature] + block_moments(
                        part, segment.outer
                    )
    result: list[list[ConsumerMoments]] = [[] for _ in channels.groups]
    products: dict[str, list[attention.Contraction]] = {}
    for contraction in attention.contractions(graph, channels):
        products.setdefault(contraction.node.output, []).append(contraction)
    moments = Moments(graph, channels)
    activations = dict(images)
    nodes = forward.walk(graph, activations, lambda n: forward.run_node(n, activations, graph.constants))
    for done, node in enumerate(nodes):
        progress((done + 1) / len(graph.nodes))
        for index in channels.complete(node.output, activations):
            key, group = channels.quadratures[index]
            kernel = kernels[index]
            for each in key.each:
                _, gram, _ = moments(activations, activations, each, channels.sizes)
                if len(kernel) == 1:
                    result[group].append(ConsumerMoments(gram, kernel[0]))
                else:
                    grams = head_grams(activations[each.tensor], channels, each, len(kernel))
                    result[group].append(ConsumerMoments.of_blocks(grams, kernel))
        for contraction in products.get(node.output, ()):
            first, second = (activations[name] for name in node.inputs)
            pair = [row_moments(rows) for rows in (first, second.swapaxes(-1, -2))]
            result[contraction.group].append(ConsumerMoments.of_blocks(*pair))
    return result


def head_moments(consumer: ConsumerMoments) -> tuple[np.ndarray, np.ndarray]:
    """Both moments of every block, (blocks, N, N); a layer's are of one."""
    heads = consumer.heads or (consumer,)
    grams, kernels = ([getattr(head, name) for head in heads] for name in ("gram", "kernel"))
    return np.stack(grams), np.stack(kernels)


def group_segments(
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

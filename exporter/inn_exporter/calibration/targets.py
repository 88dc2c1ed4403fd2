"""What each layer of a resized network should give.

A layer aims at the full network's output. One that writes into a residual stream aims at what makes the
*stream* right, T = (full branch + full shortcut) - resized shortcut: it also repairs what came before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

import numpy as np
from inn_runtime.format.manifest import Dimension, Segment
from inn_runtime.sampling.resample import Discretisation, resize

from ..execution.patches import channels_second
from ..graph.graph import Node
from ..operators import operator
from ..ordering.continuous import ContinuousNetwork

Aim = Callable[[slice], tuple[np.ndarray, np.ndarray]]
"""For some images: what a layer's output should be, and what is added to it before an activation; channels in
the second dimension."""


class Targets:
    """What layers aim at.

    Parameters
    ----------
    network : the full network
    feedback : whether layers make up for the other operand of the residual sum that they write into
    limits : whether it is known what an activation that follows does not let through
    """

    def __init__(self, network: ContinuousNetwork, feedback: bool = True, limits: bool = True) -> None:
        self._channels = network.channels
        self._readers = network.graph.consumers()
        self._feedback, self._limited = feedback, limits

    def sampled(self, name: str, activation: np.ndarray, discretisation: Discretisation) -> np.ndarray:
        """The full network's activation at the channels that the resized network keeps."""
        images: Dimension = (Segment(None, 1, len(activation), None),)
        return resize(activation, [images, *self._channels.dims[name][1:]], discretisation)

    def aim(
        self,
        node: Node,
        discretisation: Discretisation,
        full: Mapping[str, np.ndarray],
        resized: Mapping[str, np.ndarray],
    ) -> Aim:
        """What a layer should give, from the activations of both networks."""
        others = [name for name in self._partners(node) if name in resized]

        def aim(part: slice) -> tuple[np.ndarray, np.ndarray]:
            target = self.sampled(node.output, full[node.output][part], discretisation)
            other = np.zeros_like(target)
            for name in others:
                target = target + self.sampled(name, full[name][part], discretisation) - resized[name][part]
                other = other + resized[name][part]
            return channels_second(node, target), channels_second(node, other)

        return aim

    def limits(self, node: Node) -> tuple[float, float]:
        """Limits of the activation that follows the layer, or the residual sum it completes."""
        if not self._limited:
            return -np.inf, np.inf
        readers = self._readers.get(node.output, [])
        if self._partners(node):
            readers = self._readers.get(readers[0].output, [])
        limits = {operator(reader).limits(reader) for reader in readers}
        return limits.pop() if len(limits) == 1 else (-np.inf, np.inf)

    def _partners(self, node: Node) -> list[str]:
        """What the layer's output is added to, and read in no other way."""
        readers = self._readers.get(node.output, [])
        if not self._feedback or len(readers) != 1 or not operator(readers[0]).is_sum:
            return []
        return [name for name in readers[0].inputs if name != node.output]

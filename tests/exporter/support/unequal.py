"""A network whose channel groups are worth unequally much."""

from __future__ import annotations

import numpy as np
from inn_exporter.ordering.continuous import ContinuousNetwork
from networks import Network

Prepared = tuple[ContinuousNetwork, dict[str, np.ndarray]]


def network_of_unequal_groups() -> Network:
    """Two convolutions of 32 channels; all channels of the second are copies of one."""
    network = Network()
    x = network.relu(network.conv(network.input(3, 8, 8), 3, 32))
    row = network.random.normal(0, 0.1, (1, 32, 3, 3))
    weight = network.constant(np.repeat(row, 32, axis=0))
    x = network.node("Conv", x, weight, network.constant(np.zeros(32)), kernel_shape=[3, 3], pads=[1] * 4)
    x = network.relu(network.conv(network.relu(x), 32, 32))
    pooled = network.node("Flatten", network.node("GlobalAveragePool", x))
    network.output(network.dense(pooled, 32, 5))
    return network

"""Tuning of partitions alone: where a size samples the axes, a few hundred numbers, and nothing else (paper,
section 3.3 and Table 2). The control grids, and with them all other sizes, stay as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from inn_runtime.format.axis import Grid
from inn_runtime.format.manifest import Segment
from inn_runtime.sampling.resample import Discretisation

from ..backend import mindspore
from ..data.samples import Samples
from ..integral.axis import Partition
from ..integral.sampling import Sampling, sampling_tensor
from ..ordering.continuous import ContinuousNetwork
from .batches import Batches
from .network import IntegralNetwork
from .options import Tuning
from .parallel import Group
from .tuning import TuningError, cosine, objective


def tune_partitions(
    network: ContinuousNetwork,
    widths: Sequence[int],
    samples: Samples,
    tuning: Tuning,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[int, Grid]:
    """The nodes and weights of every group at one size, tuned from uniform ones.

    Parameters
    ----------
    network : its axes are interpolated (linear, cubic)
    widths : of every group; those that are 1 or full keep their nodes
    samples : images, with labels or without

    Raises
    ------
    TuningError : the loss is not finite
    """
    graph, axes = network.graph, network.axes
    partitions = {
        group: Partition(axis.size, width, f"partition{group}")
        for group, (axis, width) in enumerate(zip(axes, widths))
        if 1 < width < axis.size
    }
    integral = IntegralNetwork(graph, network.channels)
    fixed = Discretisation(axes, widths, lambda quadrature: None)
    loss_of, targets = objective(graph, samples, tuning)
    group = Group()
    batches = Batches(samples, targets, tuning, group)
    parameters = [partition.steps for partition in partitions.values()]
    optimiser = mindspore().nn.Adam(parameters, cosine(tuning.peak, batches.steps))

    def loss(*batch: Any) -> Any:
        matrices: dict[tuple[int, bool], Any] = {}
        for index, partition in partitions.items():
            sampling = sampling_tensor(axes[index], partition.nodes())
            matrices[index, False] = sampling.T
            matrices[index, True] = partition.integration(axes[index], sampling)

        def learned(segment: Segment) -> Any:
            return matrices.get((segment.group or 0, segment.quadrature is not None))

        return loss_of(integral.outputs(batch[:-1], Sampling(fixed, learned)), batch[-1])

    gradient = mindspore().value_and_grad(loss, None, optimiser.parameters)
    for step, batch in batches.batches(0):
        value, gradients = gradient(*batch)
        if not math.isfinite(float(value.asnumpy())):
            raise TuningError(f"tuning: the loss is {value} at step {step + 1} of {batches.steps}")
        optimiser(group.mean(gradients))
        progress((step + 1) / batches.steps)
    return {index: partition.grid() for index, partition in partitions.items()}

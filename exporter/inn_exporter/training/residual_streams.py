"""Learning residual streams, before the scores or, from few images, instead of them.

A student knows the class scores of a few hundred images by heart. What the original's streams hold at
every position of these images is too much for that, so that errors on other images fall as those on these
do. The layers that residual sums depend on learn all sums together ("hints": Romero et al., FitNets, ICLR
2015); what lies behind is then calibrated again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Callable

import numpy as np
from inn_runtime.sampling.resample import Discretisation

from ..calibration.calibrated_size import CalibratedSize
from ..calibration.calibration import Calibration
from ..data.samples import Samples
from ..execution import forward
from ..graph.graph import Graph
from ..operators import operator
from ..ordering.continuous import ContinuousNetwork
from ..passes.scoring import scoring
from .distill import held_out_examples, train
from .student import Student, error_of

FEW = 4096
"""Images below which the scores are known by heart before they have taught anything: streams are all then."""
FIRST = 0.2
"""Share of the images seen that streams are learned from where the scores are learned after them."""
RATES = (0.006, 0.003, 0.001)
"""Peaks of Adam's rate, as in `distill`."""
ROUNDED_BY = 64
"""Images, at most, that say how many bits the learned kernels need."""
TRAINING = 0.9
"""Share of the work; the rest is calibration."""


def residual_sums(graph: Graph) -> list[str]:
    """Sums of two activations that have positions, in the graph's order."""
    return [
        node.output
        for node in graph.nodes
        if operator(node).is_sum and len(graph.shapes[node.output]) > 2
        if not any(graph.constant_inputs(node))
    ]


def streams_share(samples: Samples, graph: Graph) -> float:
    """The share of the images seen that a network should learn its streams from, before its scores."""
    if samples.labels is not None or not residual_sums(graph):
        return 0.0
    return 1.0 if len(samples) < FEW else FIRST


def _up_to(tensors: Sequence[str], graph: Graph) -> Graph:
    """The part of a graph that some of its tensors depend on."""
    needed, nodes = set(tensors), []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(node.inputs)
            nodes.append(node)
    return replace(graph, nodes=nodes[::-1], outputs=list(tensors))


def _original(
    stem: Graph, samples: Samples, seen: int, memory: float
) -> Callable[[np.ndarray], Mapping[str, np.ndarray]]:
    """Indices of samples → the stem's outputs; worked out once for all where they fit into ``memory`` bytes,
    and are ``seen`` often enough."""
    values = len(samples) * sum(math.prod(stem.shapes[name][1:]) for name in stem.outputs)
    if seen < len(samples) or 4 * values > memory:
        return lambda indices: forward.run(stem, samples.take(indices).inputs)
    kept = forward.run(stem, samples.inputs)
    return lambda indices: {name: values[indices] for name, values in kept.items()}


def learn_streams(
    network: ContinuousNetwork,
    solver: Calibration,
    sizes: Mapping[float, CalibratedSize],
    calibration: Samples,
    samples: Samples,
    seen: int,
    seed: int,
    held_out: Samples,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[float, CalibratedSize]:
    """The sizes, each with streams learned where that brings ``held_out``'s scores nearer to the original's.

    Parameters
    ----------
    network : the original, with its constants as they will be stored; it has `residual_sums`
    solver : that calibrated the sizes …
    calibration : … by these images
    samples : images to learn from
    seen : how many, with repetition, all sizes together; each size as many
    progress : called with the share of the work done
    """
    sums = residual_sums(network.graph)
    stem = network.with_graph(_up_to(sums, network.graph))
    original = _original(stem.graph, samples, seen, solver.memory)
    judging = held_out.take(np.arange(min(len(held_out), ROUNDED_BY))).inputs
    judging_sums = forward.run(stem.graph, judging)

    def examples(
        inputs: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], size: Discretisation
    ) -> list[np.ndarray]:
        """The stem's inputs, and its sums at the channels that the size keeps."""
        sampled = [solver.targets.sampled(name, wanted[name], size) for name in sums]
        return [*(inputs[name] for name in stem.graph.inputs), *sampled]

    learned: list[CalibratedSize] = []
    for calibrated in sizes.values():
        discretisation = calibrated.discretisation(network.axes)

        def batch(indices: np.ndarray, size: Discretisation = discretisation) -> list[np.ndarray]:
            return examples(samples.take(indices).inputs, original(indices), size)

        student = Student(stem, calibrated, samples.inputs)
        for part in train(student, batch, len(samples), seen // len(sizes), seed, RATES):
            progress(TRAINING * (len(learned) + part) / len(sizes))
        found, _ = student.rounded(examples(judging, judging_sums, discretisation))
        learned.append(found)
    fixed = {node.output for node in stem.graph.nodes}
    learned = solver.run(
        learned,
        calibration.inputs,
        lambda part: progress(TRAINING + (1 - TRAINING) * part),
        fixed,
    )
    scored = scoring(network.graph)
    held_out_pairs = held_out_examples(scored, held_out)

    def error(size: CalibratedSize) -> float:
        return error_of(scored, held_out_pairs, size.constants)

    return {
        key: found if error(found) < error(calibrated) else calibrated
        for (key, calibrated), found in zip(sizes.items(), learned)
    }

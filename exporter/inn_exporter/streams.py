"""Learning from few images: a resized network learns what the original's residual streams hold.

A student knows the class scores of a few hundred images by heart. What a stream holds at every position of
these images is too much for that, so that errors on other images fall as those on these do. The layers that
residual sums depend on learn all sums together ("hints": Romero et al., FitNets, ICLR 2015); what lies behind
is then calibrated again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Callable

import numpy as np
from inn_runtime.resample import Discretisation

from . import forward
from .calibrate import CalibratedSize, Calibration
from .continuous import ContinuousNetwork
from .data import Samples
from .distill import Student, error_of, judging_lessons, shares, train
from .graph import Graph

FEW = 4096
"""Images below which the scores are known by heart before they have taught anything."""
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
        if node.op == "Add" and len(graph.shapes[node.output]) > 2
        if not any(graph.constant_inputs(node))
    ]


def _up_to(tensors: Sequence[str], graph: Graph) -> Graph:
    """The part of a graph that some of its tensors depend on."""
    needed, nodes = set(tensors), []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(node.inputs)
            nodes.append(node)
    return replace(graph, nodes=nodes[::-1], outputs=list(tensors))


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
) -> None:
    """Improve calibrated sizes in place, where that brings ``held_out``'s scores nearer to the original's.

    Parameters
    ----------
    network : the original, with its constants as they will be stored; it has `residual_sums`
    solver : that calibrated the sizes …
    calibration : … by these images
    samples : images to learn from
    seen : how many, with repetition, all sizes together, see `shares`
    progress : called with the share of the work done
    """
    sums = residual_sums(network.graph)
    stem = network.with_graph(_up_to(sums, network.graph))
    learned, done = [], 0.0
    for share, calibrated in zip(shares(list(sizes)), sizes.values()):
        discretisation = calibrated.discretisation(network.axes)

        def lesson(
            of: Samples, indices: np.ndarray, size: Discretisation = discretisation
        ) -> list[np.ndarray]:
            inputs = of.take(indices).inputs
            wanted = forward.run(stem.graph, inputs)
            return [
                *(inputs[n] for n in stem.graph.inputs),
                *(solver.sampled(n, wanted[n], size) for n in sums),
            ]

        student = Student(stem, calibrated, samples.inputs)
        for part in train(student, partial(lesson, samples), len(samples), round(seen * share), seed, RATES):
            progress(TRAINING * (done + share * part))
        found, _ = student.rounded(lesson(held_out, np.arange(min(len(held_out), ROUNDED_BY))))
        learned.append(found)
        done += share
    fixed = {node.output for node in stem.graph.nodes}
    solver.run(
        learned,
        calibration.inputs,
        lambda part: progress(TRAINING + (1 - TRAINING) * part),
        fixed,
    )
    scoring = network.graph.scoring()
    judged = judging_lessons(scoring, held_out)
    for calibrated, found in zip(sizes.values(), learned):
        if error_of(scoring, judged, found.constants) < error_of(scoring, judged, calibrated.constants):
            vars(calibrated).update(vars(found))

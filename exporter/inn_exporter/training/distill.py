"""Distillation: a resized network learns the original's outputs on images, and their labels if there are any.

What calibration stored for a size is learned on: refitted kernels, else the quadratures B, W' = S W B
with W frozen, so that the control grids, and with them the full size, stay as they are and a size costs no
more bytes than before; and all biases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ..backend import mindspore, tensor
from ..calibration.calibrated_size import CalibratedSize
from ..data.samples import Samples, check_labels
from ..execution import forward
from ..graph.graph import Graph
from ..ordering.continuous import ContinuousNetwork
from ..passes.scoring import scoring
from .student import BATCH, Student, error_of

RATES = (0.01, 0.003, 0.001)
"""Peaks of Adam's rate, relative to a parameter's size: the first that does not throw the network off.
ResNet-20 likes 0.01, which takes EfficientNet-Lite0 from 67 to 17 % within 25 steps."""
TRIED = 10
"""Steps after which a rate shows that it is too high, …"""
THROWN_OFF = 1.5
"""… by a loss this many times what it was before on the same images."""
JUDGING = 512
"""Images, at most, by which a distilled size must beat the calibrated one."""


def distill(
    network: ContinuousNetwork,
    sizes: Mapping[float, CalibratedSize],
    samples: Samples,
    seen: int,
    seed: int,
    progress: Callable[[float], None] = lambda done: None,
    held_out: Samples | None = None,
) -> dict[float, CalibratedSize]:
    """The sizes, each distilled where that brings it nearer to the original.

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
    network = network.with_graph(scoring(network.graph))
    examples = _examples(network.graph, samples)
    judging = [array[:JUDGING] for array in examples]
    if held_out is not None:
        judging = held_out_examples(network.graph, held_out)

    def batch(indices: np.ndarray) -> list[np.ndarray]:
        return [array[indices] for array in examples]

    result, done = dict(sizes), 0.0
    for share, (key, calibrated) in zip(shares(list(sizes)), sizes.items()):
        student = Student(network, calibrated, samples.inputs)
        for part in train(student, batch, len(samples), round(seen * share), seed, RATES):
            progress(done + share * part)
        found, rounded = student.rounded(judging)
        if rounded < error_of(network.graph, judging, calibrated.constants):
            result[key] = found  # a short run may end worse than it began
        done += share
    return result


def shares(sizes: Sequence[float]) -> list[float]:
    """The share of the images that each size learns from: most for small ones, by 1 - size."""
    missing = [1 - size for size in sizes]
    return [share / sum(missing) for share in missing]


def held_out_examples(graph: Graph, held_out: Samples) -> list[np.ndarray]:
    """Inputs and outputs by which a size is judged: of `JUDGING` images, at most."""
    return _examples(graph, held_out.take(np.arange(len(held_out))[:JUDGING]))


def _examples(graph: Graph, samples: Samples) -> list[np.ndarray]:
    """One array per input, one per output of the original, and the labels if there are any."""
    outputs = forward.run(graph, samples.inputs)
    examples = [samples.inputs[name] for name in graph.inputs] + [outputs[name] for name in graph.outputs]
    if samples.labels is not None:
        check_labels(graph, samples.labels)
        examples.append(samples.labels.astype(np.int32))
    return examples


def train(
    student: Student,
    batch: Callable[[np.ndarray], list[np.ndarray]],
    count: int,
    seen: int,
    seed: int,
    rates: Sequence[float],
) -> Iterator[float]:
    """Adam with a cosine rate over shuffled batches; yields the share done after every step.

    Starts anew with a lower rate where the first steps do harm.

    Parameters
    ----------
    batch : indices of images → inputs, what the outputs should be, and labels if there are any
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
    before = np.mean([student.error(batch(chosen)) for chosen in batches[:tried]])
    for peak in rates:
        total = 0.0
        student.reset()
        for step, chosen in enumerate(batches):
            loss, gradients = gradient(*map(tensor, batch(chosen)))
            rate = peak * 0.5 * (1 + math.cos(math.pi * step / steps))
            for learned, slope in zip(student.learned, gradients):
                learned.step(slope.asnumpy(), rate, step + 1)
            total += float(loss.asnumpy())
            if step + 1 == tried and not total / tried <= THROWN_OFF * before and peak != rates[-1]:
                break
            yield (step + 1) / steps
        else:
            return

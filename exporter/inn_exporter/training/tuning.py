"""Tuning: the control grids are trained so that every size works.

Joint tuning, for calibrated networks: all sizes share the control grids W, W' = S W B with the calibrated
quadratures B frozen, and each size has biases of its own. Every step runs the full size, the smallest one
and another at random. The full size learns the labels, the others what the full size says at that moment
(in-place distillation) and, with less weight, the labels. Without labels all of them learn what the original
said.

Random tuning, for networks that integrate by a rule, as in the paper: sizes are drawn anew at every step.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from inn_runtime import InnError, UsageError
from inn_runtime.sampling.resample import Discretisation

from ..backend import mindspore, tensor
from ..calibration.calibrated_size import CalibratedSize
from ..data.samples import Samples, check_labels
from ..execution import forward
from ..graph.graph import Graph
from ..graph.outputs import output_kinds
from ..integral.sampling import Sampling
from ..operators import operator
from ..ordering.continuous import ContinuousNetwork, round_constants
from ..passes.scoring import scoring
from ..storage.stored import store
from .batches import Batches
from .checkpoint import Checkpoint, digest
from .losses import LABEL_WEIGHT, cross_entropy, distillation_loss
from .network import IntegralNetwork
from .options import Tuning
from .parallel import Group

Objective = Callable[[Sequence[Any], Any], Any]
"""The loss of a network's outputs, given a batch's targets."""


class TuningError(InnError):
    """The loss is not a number any more; the message names the step and the size."""


@dataclass
class _Size:
    """A size that is tuned: how it is sampled, and the constants that it has for itself."""

    name: str
    sampling: Sampling | None
    own: dict[str, Any] = field(default_factory=dict)


class Tuned(NamedTuple):
    """What tuning gives.

    Attributes
    ----------
    network : with tuned control grids
    sizes : with tuned biases, and constants that follow from these grids
    log : rows of the step and the mean loss of every size since the row before
    """

    network: ContinuousNetwork
    sizes: dict[float, CalibratedSize]
    log: list[dict[str, Any]]


def tune(
    network: ContinuousNetwork,
    sizes: Mapping[float, CalibratedSize],
    samples: Samples,
    tuning: Tuning,
    storage: str = "float16",
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> Tuned:
    """Tune a network's control grids, and the biases of calibrated sizes.

    Parameters
    ----------
    network : ordered
    sizes : calibrated, without refitted kernels; empty: random sizes by the axes' rule
    samples : images, with labels or without
    storage : of the control grids, which are rounded to it at the end
    checkpoint : file that is written twenty times, and read first if it exists
    progress : called with the share of the work done

    Raises
    ------
    TuningError : a loss is not finite; the checkpoint is that of an earlier step
    UsageError : labels do not fit the network, or the checkpoint is that of another network or run
    """
    kept = None
    if checkpoint is not None:
        identity = {
            "network": digest(network.graph.constants),
            "images": digest(samples.inputs),
            "tuning": asdict(tuning),
            "sizes": {f"{size:g}": found.widths for size, found in sizes.items()},
        }
        kept = Checkpoint(Path(checkpoint), identity)
    run = _Run(network.with_graph(scoring(network.graph)), sizes, samples, tuning, kept)
    for done in run.steps():
        progress(done)
    graph = replace(network.graph, constants=run.network.constants())
    tuned = network.with_graph(round_constants(graph, storage))
    return Tuned(tuned, run.tuned_sizes(tuned, sizes), run.log)


def objective(graph: Graph, samples: Samples, tuning: Tuning) -> tuple[Objective, list[np.ndarray]]:
    """What outputs are judged by: labels, or what the original says.

    Returns
    -------
    The loss, and the targets of all images and of all mirror images

    Raises
    ------
    UsageError : labels do not fit the network
    """
    if samples.labels is not None:
        check_labels(graph, samples.labels)
        labels = samples.labels.astype(np.int32)
        return lambda outputs, target: cross_entropy(outputs[0], target), [labels, labels]
    if len(graph.outputs) != 1:
        raise UsageError(f"tune: expected a network with one output, found {', '.join(graph.outputs)}")
    name = graph.outputs[0]
    targets = [forward.run(graph, samples.inputs)[name]] * 2
    if tuning.mirror:
        turned = {name: np.ascontiguousarray(array[..., ::-1]) for name, array in samples.inputs.items()}
        targets[1] = forward.run(graph, turned)[name]
    kinds = list(output_kinds(graph).values())
    return lambda outputs, target: distillation_loss(outputs, [target], kinds), targets


def cosine(peak: float, steps: int) -> list[float]:
    """The rate of every step: a linear rise over the first fiftieth, times a cosine to nought."""
    rise = max(1, steps // 50)
    return [peak * min(1.0, (i + 1) / rise) * 0.5 * (1 + math.cos(math.pi * i / steps)) for i in range(steps)]


class _Run:
    """One tuning."""

    def __init__(
        self,
        network: ContinuousNetwork,
        sizes: Mapping[float, CalibratedSize],
        samples: Samples,
        tuning: Tuning,
        checkpoint: Checkpoint | None,
    ) -> None:
        graph, axes = network.graph, network.axes
        self._channels, self._axes, self._tuning = network.channels, axes, tuning
        self._group = Group()
        self.log: list[dict[str, Any]] = []
        self.network = IntegralNetwork(graph, network.channels)
        biases = dict.fromkeys(node.inputs[2] for node in graph.nodes if operator(node).linear)
        parameter = mindspore().Parameter
        self._sizes = [
            _Size(
                f"{size:g}",
                Sampling(calibrated.discretisation(axes)),
                {
                    name: parameter(tensor(calibrated.constants[name].copy()), name=f"{name}@{size:g}")
                    for name in biases
                },
            )
            for size, calibrated in sorted(sizes.items())
        ]
        self._labelled = samples.labels is not None
        self._kinds = list(output_kinds(graph).values())
        self._objective, targets = objective(graph, samples, tuning)
        held_out = max(1, min(1000, len(samples) // 20)) if tuning.patience else 0
        self._held_out = [array[:held_out] for array in (*samples.inputs.values(), targets[0])]
        self._pipeline = Batches(samples, targets, tuning, self._group, held_out)
        self._parameters = [
            *self.network.grids.values(),
            *(p for size in self._sizes for p in size.own.values()),
        ]
        self._optimiser = mindspore().nn.Adam(self._parameters, cosine(tuning.peak, self._pipeline.steps))
        self._checkpoint = checkpoint
        self._best: list[np.ndarray] | None = None
        self._steps: dict[tuple[str, ...], Callable[..., Any]] = {}

    # ------------------------------------------------------------------ steps
    def steps(self) -> Iterator[float]:
        """Do the work; yields the share of it done."""
        state = [*self._parameters, *self._optimiser.get_parameters()]
        state = list({p.name: p for p in state}.values())
        total = self._pipeline.steps
        first = self._checkpoint.read(state, total) if self._checkpoint else 0
        interval = max(1, total // 20)
        sums: dict[str, list[float]] = {}
        for step, batch in self._pipeline.batches(first):
            chosen = self._chosen(step)
            losses = self._step(chosen)(*batch)
            for size, loss in zip(chosen, losses):
                value = float(loss.asnumpy())
                if not math.isfinite(value):
                    kept = f"; {self._checkpoint.path} is kept" if self._checkpoint else ""
                    raise TuningError(
                        f"tuning: the loss of size {size.name} is {value} at step {step + 1} of {total}{kept}"
                    )
                sums.setdefault(size.name, []).append(value)
            if (step + 1) % interval == 0 or step + 1 == total:
                self.log.append(
                    {"step": step + 1, "loss": {name: float(np.mean(v)) for name, v in sums.items()}}
                )
                sums = {}
                if self._checkpoint and self._group.rank == 0:
                    self._checkpoint.write(state, step + 1)
                if self._tuning.patience and self._is_over():
                    break
            yield (step + 1) / total
        for parameter, values in zip(self._parameters, self._best or ()):
            parameter.set_data(tensor(values))
        yield 1.0

    def _is_over(self) -> bool:
        """Whether the loss on held-out images, which goes into the log, has long been lower."""
        sizes, total = [_Size("1", None), *self._sizes], 0.0
        for first in range(0, len(self._held_out[0]), self._tuning.batch):
            batch = [tensor(array[first : first + self._tuning.batch]) for array in self._held_out]
            losses = self._losses(sizes, batch[:-1], batch[-1])
            total += len(batch[-1]) * sum(float(loss.asnumpy()) for loss in losses)
        self.log[-1]["held_out"] = total / len(self._held_out[0])
        found = [row["held_out"] for row in self.log]
        if found[-1] == min(found):
            self._best = [p.asnumpy().copy() for p in self._parameters]
        return len(found) - 1 - int(np.argmin(found)) >= (self._tuning.patience or 0)

    def _chosen(self, step: int) -> list[_Size]:
        """The sizes of a step, the full one first."""
        random = np.random.default_rng([self._tuning.seed, step])
        full = _Size("1", None)
        if not self._sizes:
            return [full, self._random_size(random)]
        others = random.permutation(len(self._sizes) - 1)[: self._tuning.sizes - 1] + 1
        return [full, self._sizes[0], *(self._sizes[i] for i in sorted(others))]

    def _random_size(self, random: np.random.Generator) -> _Size:
        size = random.uniform(self._tuning.least, self._tuning.most)
        widths = self._channels.widths(size)
        band = f"{math.floor(10 * size) / 10:g}+"
        return _Size(band, Sampling(Discretisation(self._axes, widths, lambda quadrature: None)))

    def _step(self, sizes: Sequence[_Size]) -> Callable[..., Any]:
        """A function that takes a batch, changes the parameters, and returns the loss of every size."""
        key = tuple(size.name for size in sizes)
        if key in self._steps:
            return self._steps[key]

        def loss(*batch: Any) -> tuple[Any, ...]:
            losses = self._losses(sizes, batch[:-1], batch[-1])
            return sum(losses[1:], losses[0]), *losses

        gradient = mindspore().value_and_grad(loss, None, self._optimiser.parameters, has_aux=True)

        def step(*batch: Any) -> tuple[Any, ...]:
            (_, *losses), gradients = gradient(*batch)
            self._optimiser(self._group.mean(gradients))
            return tuple(losses)

        if self._sizes:
            self._steps[key] = step
        return step

    def _losses(self, sizes: Sequence[_Size], inputs: Sequence[Any], target: Any) -> list[Any]:
        found, soft = [], None
        for size in sizes:
            outputs = self.network.outputs(inputs, size.sampling, size.own)
            loss = self._objective(outputs, target)
            if self._labelled and soft is None:
                soft = [mindspore().ops.stop_gradient(output) for output in outputs]
            elif soft is not None:
                loss = distillation_loss(outputs, soft, self._kinds) + LABEL_WEIGHT * loss
            found.append(loss)
        return found

    def tuned_sizes(
        self, tuned: ContinuousNetwork, sizes: Mapping[float, CalibratedSize]
    ) -> dict[float, CalibratedSize]:
        """Calibrated sizes with their tuned biases, and constants that follow from tuned grids."""
        result = {}
        for (key, calibrated), size in zip(sorted(sizes.items()), self._sizes):
            biases = {n: store(p.asnumpy(), calibrated.storage) for n, p in size.own.items()}
            # Kernels were tuned as the grids give them.
            changed = replace(calibrated, changed={**calibrated.changed, **biases}, corrections={})
            result[key] = changed.sampled(tuned)
        return result

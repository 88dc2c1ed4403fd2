"""Batches for tuning, by MindSpore's own data pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from inn_runtime import UsageError

from ..data.samples import Samples
from .options import Tuning
from .parallel import Group


class Batches:
    """Shuffled batches of images and targets, the same on any number of machines.

    Parameters
    ----------
    samples : all images
    targets : a target for every image, and for every mirror image
    tuning : says how many, how large, in which order
    group : the machines; each gets its share of every batch
    held_out : how many images, the first ones, are left out
    """

    def __init__(
        self, samples: Samples, targets: Sequence[np.ndarray], tuning: Tuning, group: Group, held_out: int = 0
    ) -> None:
        if tuning.batch % group.size:
            raise UsageError(
                f"batch: expected a multiple of {group.size}, the number of processes, found {tuning.batch}"
            )
        self._inputs = list(samples.inputs.values())
        self._targets = targets
        self._batch = tuning.batch
        self._group = group
        self.steps = max(1, tuning.seen // tuning.batch)
        random = np.random.default_rng(tuning.seed)
        count, wanted = len(samples) - held_out, self.steps * tuning.batch
        epochs = [held_out + random.permutation(count) for _ in range(-(-wanted // count))]
        self._order = np.concatenate(epochs)[:wanted]
        self._mirrored = random.random(wanted) < (0.5 if tuning.mirror else 0.0)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> tuple[np.ndarray, ...]:
        """One image per input and its target, at a position of the whole run."""
        index, mirrored = self._order[position], self._mirrored[position]
        images = [array[index] for array in self._inputs]
        if mirrored:
            images = [np.ascontiguousarray(image[..., ::-1]) for image in images]
        return *images, self._targets[int(mirrored)][index]

    def batches(self, first: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The steps from ``first`` on: their number and this machine's share of the batch, as tensors."""
        import mindspore.dataset

        share = self._batch // self._group.size
        starts = np.arange(first, self.steps) * self._batch + self._group.rank * share
        positions = (starts[:, None] + np.arange(share)).reshape(-1)
        if not len(positions):
            return
        names = [*(f"input{i}" for i in range(len(self._inputs))), "target"]
        dataset = mindspore.dataset.GeneratorDataset(
            self, names, sampler=positions.tolist(), num_parallel_workers=1, python_multiprocessing=False
        ).batch(share)
        for step, batch in enumerate(dataset.create_tuple_iterator(num_epochs=1), first):
            yield step, tuple(batch)

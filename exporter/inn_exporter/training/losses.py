"""What networks are tuned and distilled by: one loss for each kind of output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import ops
from ..graph.outputs import OutputKind

TEMPERATURE = 2.0
MANY_CLASSES = 100
"""Of more classes the scores are hardly told apart at temperature 2, so that it is 1."""
LABEL_WEIGHT = 0.3
"""Of labels beside what the full size says, for smaller ones."""


def distillation_loss(outputs: Sequence[Any], targets: Sequence[Any], kinds: Sequence[OutputKind]) -> Any:
    """How far outputs are from what they should be, as tensors. Several outputs add up.

    Parameters
    ----------
    kinds : of each output: Kullback–Leibler divergence of class scores, (images, classes), at `TEMPERATURE`;
        of values, squared error relative to the target's
    """
    total = 0.0
    for output, target, kind in zip(outputs, targets, kinds):
        if kind is OutputKind.SCORES:
            temperature = TEMPERATURE if output.shape[1] <= MANY_CLASSES else 1.0
            found, wanted = (ops().log_softmax(scores / temperature, -1) for scores in (output, target))
            missing = ops().sum(ops().exp(wanted) * (wanted - found), -1)
            total = total + ops().mean(missing) * temperature**2
        else:
            total = total + ops().mean((output - target) ** 2) / ops().mean(target**2)
    return total


def cross_entropy(output: Any, labels: Any) -> Any:
    """Of class scores, (images, classes), and labels (images,)."""
    return ops().cross_entropy(output, labels)


def batch_loss(outputs: Sequence[Any], expected: Sequence[Any], kinds: Sequence[OutputKind]) -> Any:
    """How far outputs are from the original's and, where labels follow these, from them."""
    loss = distillation_loss(outputs, expected[: len(outputs)], kinds)
    if len(expected) > len(outputs):
        loss = loss + LABEL_WEIGHT * cross_entropy(outputs[0], expected[-1])
    return loss

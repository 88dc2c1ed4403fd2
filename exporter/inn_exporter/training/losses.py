"""What networks are tuned and distilled by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import ops

TEMPERATURE = 2.0


MANY_CLASSES = 100
"""Of more classes the scores are hardly told apart at temperature 2, so that it is 1."""


LABEL_WEIGHT = 0.3
"""Of labels beside what the full size says, for smaller ones."""


def distillation_loss(outputs: Sequence[Any], targets: Sequence[Any]) -> Any:
    """Kullback–Leibler divergence of class scores, (images, classes), at `TEMPERATURE`; for other outputs,
    squared error relative to the target's. Several outputs add up."""
    total = 0.0
    for output, target in zip(outputs, targets):
        if len(output.shape) == 2:
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

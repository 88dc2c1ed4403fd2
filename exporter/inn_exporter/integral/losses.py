"""What networks are tuned and distilled by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import ops

TEMPERATURE = 2.0
LABEL_WEIGHT = 0.3
"""Of labels beside what the full size says, for smaller ones."""


def divergence(outputs: Sequence[Any], targets: Sequence[Any]) -> Any:
    """Kullback–Leibler divergence of class scores, (images, classes), at temperature 2; for other outputs,
    squared error relative to the target's. Several outputs add up."""
    total = 0.0
    for output, target in zip(outputs, targets):
        if len(output.shape) == 2:
            soft = ops().softmax(target / TEMPERATURE, -1)
            missing = ops().log_softmax(target / TEMPERATURE, -1) - ops().log_softmax(
                output / TEMPERATURE, -1
            )
            total = total + ops().mean(ops().sum(soft * missing, -1)) * TEMPERATURE**2
        else:
            total = total + ops().mean((output - target) ** 2) / ops().mean(target**2)
    return total


def cross_entropy(output: Any, labels: Any) -> Any:
    """Of class scores, (images, classes), and labels (images,)."""
    return ops().cross_entropy(output, labels)

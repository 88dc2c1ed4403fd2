"""What a device can afford: bounds on latency, memory, file size, FLOPs and quality."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from .errors import UsageError
from .fields import shown

UPPER = ("flops", "model_mb", "memory_mb", "latency_ms")
"""Bounds that something may not exceed; the cheapest to find out come first."""

LOWER = ("accuracy", "agreement")
"""Bounds that something may not fall below: fractions of 1, as the bundle's curve was measured."""

UNITS = {
    "flops": "FLOPs",
    "model_mb": "MB",
    "memory_mb": "MB",
    "latency_ms": "ms",
    "accuracy": "",
    "agreement": "",
}


@dataclass(frozen=True)
class Budget:
    """Bounds on a network; the largest size that keeps all of them is built (`Bundle.resample`).

    Attributes
    ----------
    latency_ms : median time of one call at batch 1, measured on this device
    memory_mb : resident memory that the model adds to a running engine, measured on this device
    model_mb : size of the `.ms` file
    accuracy, agreement : at least this, by the bundle's measured curve; fractions of 1
    flops : of one image, two for each multiply-accumulate

    A megabyte has 10⁶ bytes.

    Raises
    ------
    UsageError : no bound is given, or one is not a positive finite number (accuracy and agreement: at most 1)
    """

    latency_ms: float | None = None
    memory_mb: float | None = None
    model_mb: float | None = None
    accuracy: float | None = None
    agreement: float | None = None
    flops: float | None = None

    def __post_init__(self) -> None:
        if not self.bounds:
            names = ", ".join(field.name for field in fields(self))
            raise UsageError(f"budget: expected at least one of {names}")
        for name, value in self.bounds.items():
            most = 1.0 if name in LOWER else math.inf
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 < value <= most or math.isinf(value):
                expected = "a number in (0, 1]" if name in LOWER else "a positive number"
                raise UsageError(f"budget: {name}: expected {expected}, found {shown(value)}")

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that were given."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def __str__(self) -> str:
        return ", ".join(bound_text(name, value) for name, value in self.bounds.items())


def bound_text(name: str, value: float) -> str:
    """A bound in words: ``latency_ms ≤ 8 ms``."""
    sign = "≥" if name in LOWER else "≤"
    return f"{name} {sign} {value_text(name, value)}"


def value_text(name: str, value: float) -> str:
    """A measured value with its unit."""
    number = f"{value:,.0f}" if name == "flops" else f"{value:.4g}"
    return f"{number} {UNITS[name]}".rstrip()

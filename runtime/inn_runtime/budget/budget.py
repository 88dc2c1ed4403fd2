"""What a device can afford: bounds on latency, memory, file size, FLOPs and quality.

The fields of `Budget` are the one table of what may be bounded; `BOUNDS` is that table by name. The checks
here, the search, what is measured and kept, and the options of `inn resample` are all made from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import UsageError, shown
from ..format.manifest import Manifest, evaluate
from ..measuring.memory import measure_memory
from ..measuring.timing import measure_latency
from ..runnable import Runnable
from ..sampling.ms_writer import packed_size
from ..sampling.plan import Plan

Compute = Callable[[Manifest, Plan, str], float]
"""The cost of a manifest's network at a plan, with weights of a type."""

Measure = Callable[[Runnable, int, str], float]
"""The cost of a network on this device, with a number of threads, in an engine."""


@dataclass(frozen=True)
class Bound:
    """What there is to know of one kind of bound.

    A value is computed, or measured on this device, or else it is a quality, which the bundle's curve has.

    Attributes
    ----------
    upper : whether values may not exceed it; otherwise they are fractions of 1 that may not fall below it
    unit : of values in messages
    option, metavar, help : of `inn resample`
    column, scale : the heading in the table of candidates, and what values are multiplied with there
    digits : how values are written in messages
    compute, at_once : how it is computed, and whether that takes so little that all candidates have it
    measure, said : how it is measured, and what is said of such a value
    hint : what to do where the bundle's curve does not have it
    """

    upper: bool
    unit: str
    option: str
    metavar: str
    help: str
    column: str
    scale: float = 1
    digits: str = ".4g"
    compute: Compute | None = None
    at_once: bool = False
    measure: Measure | None = None
    said: str = ""
    hint: str = ""


def image_flops(manifest: Manifest, plan: Plan, weights: str = "float32") -> float:
    """Floating-point operations of one image: two for each multiply-accumulate."""
    return 2.0 * evaluate(manifest.macs, plan.widths)


def _model_mb(manifest: Manifest, plan: Plan, weights: str) -> float:
    return packed_size(manifest, plan.widths, weights) / 1e6


def _memory_mb(model: Runnable, threads: int, engine: str) -> float:
    return measure_memory(model, threads, engine).model / 1e6


def _bounded(**bound: Any) -> Any:
    """A field that may be left out, with its `Bound`."""
    return field(default=None, metadata={"bound": Bound(**bound)})


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

    # Upper bounds stand in the order in which they get cheaper to find out.
    latency_ms: float | None = _bounded(
        upper=True,
        unit="ms",
        option="--max-ms",
        metavar="MS",
        help="median time of one call at batch 1 on this device, in ms",
        column="ms",
        measure=measure_latency,
        said="measured",
    )
    memory_mb: float | None = _bounded(
        upper=True,
        unit="MB",
        option="--max-mb",
        metavar="MB",
        help="memory that the model adds to a running engine on this device, in MB",
        column="memory MB",
        measure=_memory_mb,
        said="of memory",
    )
    model_mb: float | None = _bounded(
        upper=True,
        unit="MB",
        option="--max-model-mb",
        metavar="MB",
        help="size of the .ms file, in MB",
        column=".ms MB",
        compute=_model_mb,
    )
    accuracy: float | None = _bounded(
        upper=False,
        unit="",
        option="--min-accuracy",
        metavar="SHARE",
        help="accuracy by the bundle's measured curve, in (0, 1]",
        column="accuracy %",
        scale=100,
        hint="; export with --evaluate",
    )
    agreement: float | None = _bounded(
        upper=False,
        unit="",
        option="--min-agreement",
        metavar="SHARE",
        help="agreement with the full network, likewise",
        column="agreement %",
        scale=100,
    )
    flops: float | None = _bounded(
        upper=True,
        unit="FLOPs",
        option="--max-flops",
        metavar="N",
        help="floating-point operations of one image, for instance 30e6",
        column="MFLOPs",
        scale=1e-6,
        digits=",.0f",
        compute=image_flops,
        at_once=True,
    )

    def __post_init__(self) -> None:
        if not self.bounds:
            raise UsageError(f"budget: expected at least one of {', '.join(BOUNDS)}")
        for name, value in self.bounds.items():
            upper = BOUNDS[name].upper
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 < value <= (math.inf if upper else 1.0) or math.isinf(value):
                expected = "a positive number" if upper else "a number in (0, 1]"
                raise UsageError(f"budget: {name}: expected {expected}, found {shown(value)}")

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that were given."""
        values = {name: getattr(self, name) for name in BOUNDS}
        return {name: value for name, value in values.items() if value is not None}

    def __str__(self) -> str:
        return ", ".join(bound_text(name, value) for name, value in self.bounds.items())


BOUNDS: dict[str, Bound] = {entry.name: entry.metadata["bound"] for entry in fields(Budget)}
"""Name → what there is to know of it."""

UPPER = tuple(name for name, bound in reversed(list(BOUNDS.items())) if bound.upper)
"""Bounds that something may not exceed; the cheapest to find out come first."""

LOWER = tuple(name for name, bound in BOUNDS.items() if not bound.upper)
"""Bounds that something may not fall below: fractions of 1, as the bundle's curve was measured."""


def bound_text(name: str, value: float) -> str:
    """A bound in words: ``latency_ms ≤ 8 ms``."""
    sign = "≤" if BOUNDS[name].upper else "≥"
    return f"{name} {sign} {value_text(name, value)}"


def value_text(name: str, value: float) -> str:
    """A value with its unit."""
    bound = BOUNDS[name]
    return f"{value:{bound.digits}} {bound.unit}".rstrip()

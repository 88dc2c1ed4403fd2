"""What an export will cost, said before it starts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
from inn_runtime.format.manifest import Expression
from inn_runtime.format.manifest import evaluate as value_of

from .calibration.spans import images_seen, spans
from .data.samples import Samples
from .execution import forward
from .graph.channels import Channels
from .graph.graph import Graph
from .schedule.widths import COMPARED
from .training.distill import shares

# Durations in forward passes of the full network, as a ResNet-20 on two busy cores had them (within a factor
# of two): per calibrated size and image, per group and image, per image in tuning, and per image that is
# distilled, or looked at by a step of fitting spans, at c of the full cost.
_TIMED_IMAGES = 64
_CALIBRATION_PASSES = 4
_SCHEDULE_PASSES = 5
_TUNING_PASSES = 8
_DISTILLATION_PASSES = (3, 8)
_SPAN_PASSES = (1, 3)
"""a + b · c"""


def estimate(
    graph: Graph,
    channels: Channels,
    macs: Expression,
    uniform: Mapping[float, Sequence[int]],
    calibration: Samples,
    held_out: int,
    optimise: str,
    tuned: int = 0,
    streams: float = 0.0,
    span_steps: int = 0,
    refit_up_to: float = 1.0,
) -> tuple[float, float]:
    """About how many seconds an export takes without distillation, and each image seen by distillation.

    Both are multiples of a timed forward pass.

    Parameters
    ----------
    macs : multiply-accumulates of one image
    uniform : size → widths
    held_out : how many images measure the curve
    tuned : how many images tuning sees
    streams : share of distillation's images that streams are learned from, see `streams`
    span_steps : of sizes ``refit_up_to`` this one, see `spans`
    """
    few = {name: array[:_TIMED_IMAGES] for name, array in calibration.inputs.items()}
    times = []
    for _ in range(4):  # the first pass also sets kernels up
        start = time.perf_counter()
        forward.run(graph, few)
        times.append(time.perf_counter() - start)
    one_pass = float(np.median(times[1:])) / min(_TIMED_IMAGES, len(calibration))
    passes: float = (len(uniform) + 1) * (_CALIBRATION_PASSES * len(calibration) + held_out)
    passes += _TUNING_PASSES * tuned
    if optimise != "uniform":
        passes += len(channels.groups) * _SCHEDULE_PASSES * min(COMPARED, len(calibration))
    full = max(value_of(macs, channels.sizes), 1)
    costs = {size: value_of(macs, widths) / full for size, widths in uniform.items()}
    least, slope = _SPAN_PASSES
    fits = sum(least + slope * cost for size, cost in costs.items() if size <= refit_up_to)
    ends = [graph.shapes[end][1:] for end in (spans(graph) if span_steps else ())]
    seen = np.mean([images_seen(shape, len(calibration)) for shape in ends]) if ends else 0
    passes += span_steps * float(seen) * fits
    least, slope = _DISTILLATION_PASSES
    each = [least + slope * cost for cost in costs.values()]
    mean = streams * float(np.mean(each)) + (1 - streams) * float(np.dot(each, shares(list(uniform))))
    return passes * one_pass, mean * one_pass


def forecast(
    effort: str, what: str, seconds: float, each: float, seen: int, limit: float | None
) -> tuple[str, int]:
    """A line that says what the effort will cost, and how many images distillation may see.

    Parameters
    ----------
    seconds, each : of everything else, and of each image that distillation sees
    limit : minutes
    """
    if effort != "distill":
        return f"{effort}: {what}; {_duration(seconds)}", seen
    wanted, wanted_seconds = seen, seconds + seen * each
    if limit is not None and wanted_seconds > 60 * limit:
        seen = max(0, int((60 * limit - seconds) / max(each, 1e-9)))
    line = (
        f"distill: {what}, then {seen:,} images seen, all sizes together; {_duration(seconds + seen * each)}"
    )
    if seen == wanted:
        return line, seen
    return f"{line} (a limit of {limit:g} min; {wanted:,} images: {_duration(wanted_seconds)})", seen


def _duration(seconds: float) -> str:
    return "less than a minute" if seconds < 60 else f"about {seconds / 60:.0f} min"

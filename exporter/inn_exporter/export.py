"""`export`: a trained network in, a bundle out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from typing import Any, Callable

from inn_runtime import Bundle, UsageError
from inn_runtime import open as open_bundle
from inn_runtime.axes import round_width
from inn_runtime.files import write_atomically
from onnx import ModelProto
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .assemble import PRESETS, assemble, round_constants
from .calibrate import CalibratedSize, Calibration
from .data import FEWEST_IMAGES, Source, load_samples
from .distill import distill
from .folding import fold
from .importers import import_onnx
from .lowering import Lowering
from .measure import measure
from .nodes import ORDERS, axis_for, order_channels
from .onnx_writer import skeleton
from .storage import STORAGES
from .structure import analyse

QUADRATURES = ("calibrated", "trapezoid", "none")
EFFORTS = ("fast", "refit", "distill")
LARGEST_REFIT = 0.5
"""Larger sizes gain little from refitted kernels, and these must be stored."""

_ORDERS = {"calibrated": ORDERS, "trapezoid": ("smooth",), "none": ("l1", "nested")}
"""Orders that go with each quadrature, the default first."""

_MOST_HELD_OUT = 2000


def export(
    model: str | os.PathLike[str] | ModelProto,
    output: str | os.PathLike[str],
    data: Source,
    *,
    evaluate: Source | None = None,
    quadrature: str = "calibrated",
    order: str | None = None,
    sizes: Sequence[float] = tuple(PRESETS.values()),
    effort: str = "refit",
    distill_images: int = 150_000,
    storage: str = "float16",
    align: int = 1,
    images: int = 256,
    seed: int = 0,
    keep: Sequence[str] = (),
    labels: Sequence[str] = (),
    preprocessing: Mapping[str, Any] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    progress: bool = False,
) -> Bundle:
    """Export a trained network as a bundle that resamples to any of ``sizes`` without fine-tuning.

    Parameters
    ----------
    model : an ONNX file or model
    output : the ``.inn`` file to write
    data : unlabelled images as the network takes them; ``images`` of them calibrate, the rest (or a
        fifth, where there are few) measure the curve
    evaluate : measures the curve instead; with labels, accuracy as well as agreement
    quadrature : ``calibrated`` (from the images), ``trapezoid`` (the paper's, with uniform nodes and the
        cubic kernel), ``none`` (plain channel selection)
    order : how channels are laid out along their axis: ``nested``, ``smooth`` or ``l1``; default: what
        goes with the quadrature
    sizes : sizes to calibrate, in (0, 1]
    effort : of a calibration: ``fast`` fits quadratures and biases; ``refit`` also refits the kernels of
        sizes up to one half, where it is worth most; ``distill`` then trains kernels (up to one half) and
        quadratures (above) toward the original's outputs, without labels, on all of ``data``
    distill_images : how many images ``distill`` learns from, with repetition, all sizes together
    storage : of the control grids, ``float16``, ``float32`` or ``int8``; calibration data is int8 beside
        all but float32
    align : widths are multiples of this
    seed : of the choice of calibration images and of the self-check's noise
    keep : patterns (``*`` and ``?``) of channel groups that are not resized
    labels : class names
    preprocessing : per input, how images become inputs; carried along for the device
    input_shapes : shapes of inputs that the file leaves open
    progress : show progress bars on standard error

    Raises
    ------
    UsageError : the model, the data or an argument is not usable; nothing is written
    """
    _check_arguments(quadrature, order, sizes, effort, storage)
    for name, value, least in (
        ("align", align, 1),
        ("images", images, FEWEST_IMAGES),
        ("distill_images", distill_images, 1),
    ):
        if value < least:
            raise UsageError(f"{name}: expected at least {least}, found {value}")
    if order is None:
        order = _ORDERS[quadrature][0]
    graph = fold(import_onnx(model, input_shapes))
    samples = load_samples(data, graph, fewest=FEWEST_IMAGES)
    held_out = None if evaluate is None else load_samples(evaluate, graph)
    channels = analyse(graph, lambda name: any(fnmatch(name, pattern) for pattern in keep))
    if not channels.groups:
        raise UsageError(f"{graph.name}: no channel group can be resized")
    pool, judged = (samples, held_out) if held_out else samples.split(_pool_size(len(samples), images), seed)
    calibration, _ = pool.split(min(images, len(pool)), seed)
    with _bars(progress) as bar:
        ordered = order_channels(graph, channels, order, calibration.inputs, bar("ordering"))
        rounded = round_constants(ordered, storage)
        axes = [axis_for(order, group.size, quadrature) for group in channels.groups]
        found = {
            size: CalibratedSize(
                [round_width(size, group.size, align) for group in channels.groups],
                refit=effort != "fast" and size <= LARGEST_REFIT,
            )
            for size in sorted(set(sizes) - {1.0})
        }
        if quadrature == "calibrated":
            solver = Calibration(rounded, channels, axes, storage)
            solver.run(list(found.values()), calibration.inputs, bar("calibrating"))
            if effort == "distill" and found:
                update = bar("distilling")
                distill(rounded, channels, axes, found, pool.inputs, distill_images, storage, seed, update)
        lowered = Lowering(rounded, channels.dims).run()
        draft = assemble(
            rounded,
            channels,
            axes,
            lowered,
            found,
            storage=storage,
            align=align,
            source=skeleton(rounded, lowered.weights),
            labels=labels,
            preprocessing=preprocessing or {},
            seed=seed,
        )
        layouts = {weight.name: weight.permutation for weight in lowered.weights}
        measure(rounded, draft, layouts, judged, bar("measuring"))
    write_atomically(output, draft.to_bytes())
    return open_bundle(output)


def _pool_size(count: int, images: int) -> int:
    """How many of ``count`` samples are not held out to measure the curve: a fifth is, or what is spare."""
    return count - min(_MOST_HELD_OUT, max(count // 5, count - images))


def _check_arguments(
    quadrature: str,
    order: str | None,
    sizes: Sequence[float],
    effort: str,
    storage: str,
) -> None:
    for name, value, options in (
        ("quadrature", quadrature, QUADRATURES),
        ("effort", effort, EFFORTS),
        ("storage", storage, STORAGES),
        ("order", order, (None, *ORDERS)),
    ):
        if value not in options:
            raise UsageError(f"{name}: expected one of {', '.join(filter(None, options))}, found {value!r}")
    if order is not None and order not in _ORDERS[quadrature]:
        fitting = " or ".join(_ORDERS[quadrature])
        raise UsageError(f"order: expected {fitting} for {quadrature} quadrature, found {order!r}")
    for size in sizes:
        if not 0.0 < size <= 1.0:
            raise UsageError(f"sizes: expected numbers in (0, 1], found {size!r}")


@contextmanager
def _bars(shown: bool) -> Iterator[Callable[[str], Callable[[float], None]]]:
    """Progress bars on standard error; yields a function that starts one and returns its update."""
    columns = (TextColumn("{task.description:>12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bars:

        def start(title: str) -> Callable[[float], None]:
            task = bars.add_task(title, total=1.0)

            def update(done: float) -> None:
                bars.update(task, completed=done)

            return update

        yield start

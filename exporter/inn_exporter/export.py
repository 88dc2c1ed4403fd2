"""`export`: a trained network in, a bundle out."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
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
from .data import FEWEST_IMAGES, Samples, Source, by_input, concerns, load_samples
from .distill import distill
from .folding import fold
from .forecast import estimate, forecast
from .graph import Graph
from .heads import contractions
from .importers import import_onnx
from .integral.options import Tuning
from .integral.parallel import is_first
from .layer_norms import with_free_streams
from .lowering import Lowering
from .measure import measure
from .nodes import ORDERS, axis_for, order_channels
from .onnx_writer import skeleton
from .schedule import OBJECTIVES, schedule
from .storage import STORAGES
from .structure import Channels, analyse, pinned_by

QUADRATURES = ("calibrated", "trapezoid", "rescaled", "none")
EFFORTS = ("fast", "refit", "distill")
LARGEST_REFIT = 0.5
"""Larger sizes gain less from refitted kernels, and these must be stored."""

_ORDERS = {
    "calibrated": ORDERS,
    "trapezoid": ("smooth", "given"),
    "rescaled": ("l1", "nested"),
    "none": ("l1", "nested"),
}
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
    refit_up_to: float = LARGEST_REFIT,
    distill_images: int = 150_000,
    limit: float | None = None,
    tune: Source | None = None,
    tuning: Tuning | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    storage: str = "float16",
    optimise: str = "uniform",
    align: int | None = None,
    images: int = 256,
    seed: int = 0,
    keep: Sequence[str] = (),
    only: Sequence[str] = (),
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
        cubic kernel), ``rescaled`` (plain channel selection, then each layer's output channels get the mean
        and deviation they had: what estimating batch normalisation anew does), ``none`` (plain selection)
    order : how channels are laid out along their axis: ``nested``, ``smooth``, ``l1`` or ``given`` (as they
        are, interpolated: for networks trained as integral ones); default: what goes with the quadrature
    sizes : sizes to calibrate, in (0, 1]
    effort : of a calibration: ``fast`` fits quadratures and biases; ``refit`` also refits the kernels of
        small sizes, where it is worth most; ``distill`` then trains these kernels and larger sizes'
        quadratures toward the original's outputs, without labels, on all of ``data``
    refit_up_to : largest size whose kernels are refitted, and so stored, in 4 to 8 bits
    distill_images : how many images ``distill`` learns from, with repetition, all sizes together
    limit : minutes that the whole export may take. ``distill`` learns from as many images as fit in, by the
        time that a forward pass takes, so that its result depends on the machine
    tune : images, with labels or without, on which the control grids themselves are trained before they are
        stored (`inn_exporter.integral.tune`): through the calibrated quadratures of all sizes together,
        instead of refitting sizes, or by random sizes for ``trapezoid``. With effort ``distill`` the control
        grids, and so the full size, stay as they are: the sizes learn from these images, labels included
    tuning : how; its defaults, with the export's seed. Only ``seen`` and ``mirror`` concern ``distill``
    checkpoint : file from which interrupted tuning goes on
    storage : of the control grids, ``float16``, ``float32`` or ``int8``; calibration data have 4 to 8 bits
        beside all but float32
    optimise : which channel groups shrink most. ``uniform``: all alike. ``flops``, ``params``, ``latency``:
        those whose shrinking changes the outputs least for what it saves of these; a size then costs no
        more of them than with uniform widths. Calibrated quadrature only
    align : widths are multiples of this; default: 8, the engine's block of channels, to optimise ``flops``
        or ``latency``, else 1
    seed : of the choice of calibration images and of the self-check's noise
    keep : patterns (``*`` and ``?``) of channel groups that are not resized
    only : patterns of those that are; default: all others
    labels : class names
    preprocessing : per input, or of the only one, how images become inputs (`Preprocessing`): of
        folders of images here, and on the device
    input_shapes : shapes of inputs that the file leaves open
    progress : show on standard error what the effort will cost, and progress bars

    Raises
    ------
    UsageError : the model, the data or an argument is not usable; nothing is written
    """
    _check_arguments(quadrature, order, sizes, effort, storage, optimise, limit)
    if not (folder := Path(output).absolute().parent).is_dir():  # said now rather than after hours
        raise UsageError(f"{os.fspath(output)}: cannot write there: no folder {folder}")
    if tune is not None and quadrature not in ("calibrated", "trapezoid"):
        raise UsageError(f"tune: expected calibrated or trapezoid quadrature, found {quadrature}")
    if tuning is not None and tuning.partitions and quadrature != "trapezoid":
        raise UsageError(f"tuning: partitions need trapezoid quadrature, found {quadrature}")
    if effort == "distill" and quadrature != "calibrated":
        raise UsageError(f"effort: distill needs calibrated quadrature, found {quadrature}")
    if effort == "distill" and checkpoint is not None:
        raise UsageError("checkpoint: distillation cannot be taken up again")
    if align is None:
        align = OBJECTIVES[optimise]
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
    preprocessing = by_input(preprocessing or {}, graph)
    samples = load_samples(data, graph, FEWEST_IMAGES, preprocessing)
    held_out = None if evaluate is None else load_samples(evaluate, graph, 1, preprocessing)
    material = None if tune is None else load_samples(tune, graph, 1, preprocessing)
    tuning = tuning or Tuning(seed=seed)
    lessons = None
    if effort == "distill" and material is not None:
        lessons, material, distill_images = material, None, tuning.seen
        if tuning.mirror:
            lessons = lessons.with_mirror_images()
    graph, channels = chosen_groups(graph, keep, only)
    if not channels.groups:
        raise UsageError(f"{graph.name}: no channel group can be resized")
    if quadrature == "trapezoid" and (products := contractions(graph, channels)):
        raise UsageError(
            f"quadrature: trapezoid does not integrate products of activations ({products[0].node.name}); "
            f"use calibrated, or keep {channels.groups[products[0].group].name!r}"
        )
    pool, judged = (samples, held_out) if held_out else samples.split(_pool_size(len(samples), images), seed)
    calibration, _ = pool.split(min(images, len(pool)), seed)
    for concern in concerns(calibration, graph, channels):
        warnings.warn(concern, stacklevel=2)
    uniform = {
        size: [round_width(size, group.size, align) for group in channels.groups]
        for size in sorted(set(sizes) - {1.0})
    }
    if progress or limit is not None:
        seen = 0 if material is None else tuning.seen
        seconds, each = estimate(graph, channels, uniform, calibration, len(judged), optimise, seen)
        what = f"{len(uniform)} size{'s' * (len(uniform) != 1)}, {len(calibration):,} images"
        what += f", {seen:,} images seen in tuning" * (seen > 0)
        doing = effort if quadrature == "calibrated" else quadrature
        line, distill_images = forecast(doing, what, seconds, each, distill_images, limit)
        if progress:
            print(line, file=sys.stderr)
        elif not distill_images:
            warnings.warn(line, stacklevel=2)
    with _bars(progress) as bar:
        ordered = order_channels(graph, channels, order, calibration.inputs, bar("ordering"))
        rounded = round_constants(ordered, storage)
        axes = [axis_for(order, group.size, quadrature) for group in channels.groups]

        def tuned(found: Mapping[float, CalibratedSize], samples: Samples) -> Graph:
            from .integral.tuning import tune

            update = bar("tuning")
            graph, _ = tune(rounded, channels, axes, found, samples, tuning, storage, checkpoint, update)
            return graph

        if material is not None and quadrature == "trapezoid" and not tuning.partitions:
            rounded = tuned({}, material)
        lowered = Lowering(rounded, channels.dims).run()
        widths = uniform
        if optimise != "uniform" and uniform:
            update = bar("scheduling")
            widths = schedule(
                optimise,
                rounded,
                channels,
                axes,
                lowered,
                uniform,
                align,
                calibration.inputs,
                judged.inputs,
                update,
            )
        found = {
            size: CalibratedSize(chosen, refit=effort != "fast" and material is None and size <= refit_up_to)
            for size, chosen in widths.items()
        }
        if material is not None and tuning.partitions:
            from .integral.partitions import tune_partitions

            for size, calibrated in found.items():
                update = bar(f"tuning {size:g}")
                calibrated.grids = tune_partitions(
                    rounded, channels, axes, calibrated.widths, material, tuning, update
                )
        if quadrature in ("calibrated", "rescaled"):
            solver = Calibration(
                rounded, channels, axes, storage, seed=seed, rescale=quadrature == "rescaled"
            )
            solver.run(list(found.values()), calibration.inputs, bar("calibrating"))
            if effort == "distill" and found and distill_images:
                lessons = lessons or Samples(pool.inputs)
                distill(rounded, channels, axes, found, lessons, distill_images, seed, bar("distilling"))
            if quadrature == "calibrated" and material is not None:
                rounded = tuned(found, material)
                lowered = Lowering(rounded, channels.dims).run()
        draft = assemble(
            rounded,
            channels,
            axes,
            lowered,
            found,
            storage=storage,
            align=align,
            schedule=optimise if found else "uniform",
            source=skeleton(rounded, lowered.weights),
            labels=labels,
            preprocessing=preprocessing,
            seed=seed,
        )
        layouts = {weight.name: weight.permutation for weight in lowered.weights}
        measure(rounded, draft, layouts, judged, bar("measuring"))
    if not is_first():  # of several processes that tuned together
        return draft.bundle(os.fspath(output))
    write_atomically(output, draft.to_bytes())
    return open_bundle(output)


def chosen_groups(graph: Graph, keep: Sequence[str], only: Sequence[str]) -> tuple[Graph, Channels]:
    """Channel groups, without those that are to be kept, and the network as it is resized.

    Raises
    ------
    UsageError : a pattern matches nothing
    """
    everything = analyse(with_free_streams(graph))
    names = {group.name for group in (*everything.groups, *everything.alternatives)}
    for option, patterns in (("keep", keep), ("only", only)):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(f"{option}: no channel group matches {pattern!r}; inn groups lists them")
    graph = with_free_streams(graph, pinned_by(keep, only))
    return graph, analyse(graph, pinned_by(keep, only))


def _pool_size(count: int, images: int) -> int:
    """How many of ``count`` samples are not held out to measure the curve: a fifth is, or what is spare."""
    return count - min(_MOST_HELD_OUT, max(count // 5, count - images))


def _check_arguments(
    quadrature: str,
    order: str | None,
    sizes: Sequence[float],
    effort: str,
    storage: str,
    optimise: str,
    limit: float | None,
) -> None:
    for name, value, options in (
        ("quadrature", quadrature, QUADRATURES),
        ("effort", effort, EFFORTS),
        ("storage", storage, STORAGES),
        ("optimise", optimise, tuple(OBJECTIVES)),
        ("order", order, (None, *ORDERS)),
    ):
        if value not in options:
            raise UsageError(f"{name}: expected one of {', '.join(filter(None, options))}, found {value!r}")
    if order is not None and order not in _ORDERS[quadrature]:
        fitting = " or ".join(_ORDERS[quadrature])
        raise UsageError(f"order: expected {fitting} for {quadrature} quadrature, found {order!r}")
    if optimise != "uniform" and quadrature != "calibrated":
        raise UsageError(f"optimise: {optimise} needs calibrated quadrature, found {quadrature}")
    if limit is not None and not limit > 0:
        raise UsageError(f"limit: expected minutes above 0, found {limit!r}")
    if limit is not None and effort != "distill":
        raise UsageError(f"limit: only distill can be cut short, found effort {effort!r}")
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

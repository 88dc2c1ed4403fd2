"""`export`: a trained network in, a bundle out."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

from inn_runtime import Bundle, UsageError
from inn_runtime import open as open_bundle
from inn_runtime.files import write_atomically
from onnx import ModelProto
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .bundling.curve import measure
from .bundling.draft import PRESETS, assemble
from .bundling.onnx_writer import skeleton
from .calibration.calibrated_size import CalibratedSize
from .calibration.calibration import Calibration
from .cost_estimate import estimate, forecast
from .data.concerns import concerns
from .data.samples import Samples, Source, by_input, load_samples
from .data.splits import Material
from .defaults import DISTILL_IMAGES, LARGEST_REFIT, SPAN_STEPS
from .graph.channels import Channels
from .graph.graph import Graph
from .graph.lowered import LoweredGraph
from .importers.onnx import import_onnx
from .options import Options
from .ordering.continuous import ContinuousNetwork, laid_out
from .passes.folding import fold
from .passes.groups import check_groups, chosen_groups
from .passes.lower import lower
from .schedule.widths import schedule
from .training.distill import distill
from .training.options import Tuning
from .training.parallel import is_first
from .training.residual_streams import learn_streams, streams_share

_Bar = Callable[[str], Callable[[float], None]]
"""Starts a progress bar of a title; returns its update."""


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
    span_steps: int = SPAN_STEPS,
    distill_images: int = DISTILL_IMAGES,
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
        all but the largest sizes; ``distill`` then trains these kernels and larger sizes'
        quadratures toward the original's residual streams (`streams`) and, unless images are few, its
        outputs, without labels, on all of ``data``
    refit_up_to : largest size whose kernels are refitted, and so stored, in 2 to 8 bits
    span_steps : steps of fitting the refitted kernels of several layers together (`spans`), after each layer
        was fitted alone; 0: each layer alone, in closed form
    distill_images : how many images ``distill`` learns from, with repetition, all sizes together
    limit : minutes that the whole export may take. ``distill`` learns from as many images as fit in, by the
        time that a forward pass takes, so that its result depends on the machine
    tune : images, with labels or without, on which the control grids themselves are trained before they are
        stored (`inn_exporter.integral.tune`): through the calibrated quadratures of all sizes together,
        instead of refitting sizes, or by random sizes for ``trapezoid``. With effort ``distill`` the control
        grids, and so the full size, stay as they are: the sizes learn from these images, labels included
    tuning : how; its defaults, with the export's seed. Only ``seen`` and ``mirror`` concern ``distill``
    checkpoint : file from which interrupted tuning goes on
    storage : of the control grids, ``float16``, ``float32`` or ``int8``; calibration data have 2 to 8 bits
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
    options = Options(
        quadrature=quadrature,
        order=order,
        sizes=sizes,
        effort=effort,
        refit_up_to=refit_up_to,
        span_steps=span_steps,
        distill_images=distill_images,
        limit=limit,
        tunes=tune is not None,
        tuning=tuning or Tuning(seed=seed),
        checkpoint=checkpoint,
        storage=storage,
        optimise=optimise,
        align=align,
        images=images,
        seed=seed,
    )
    if not (folder := Path(output).absolute().parent).is_dir():  # said now rather than after hours
        raise UsageError(f"{os.fspath(output)}: cannot write there: no folder {folder}")
    graph, channels = chosen_groups(fold(import_onnx(model, input_shapes)), keep, only)
    check_groups(graph, channels, quadrature)
    preprocessing = by_input(preprocessing or {}, graph)
    material = Material.load(graph, preprocessing, data, evaluate, images, seed)
    if tune is not None:
        samples = load_samples(tune, graph, 1, preprocessing)
        if effort == "distill":
            options = replace(options, distill_images=options.tuning.seen)
            lessons = samples.with_mirror_images() if options.tuning.mirror else samples
            material = replace(material, lessons=lessons)
        else:
            material = replace(material, tuned=samples)
    for concern in concerns(material.calibration, graph, channels):
        warnings.warn(concern, stacklevel=2)
    uniform = {size: channels.widths(size, options.step) for size in sorted(set(sizes) - {1.0})}
    lowered = lower(graph, channels.dims)
    if progress or limit is not None:
        options = _announced(options, graph, channels, lowered, uniform, material, progress)
    with _bars(progress) as bar:
        network = laid_out(
            graph, channels, material.calibration.inputs, options.layout, quadrature, storage, bar("ordering")
        )
        if options.tunes_by_rule and material.tuned is not None:
            network = _tuned(options, network, {}, material.tuned, bar)
        widths = _widths(options, network, lowered, uniform, material, bar)
        found = _fitted(options, network, widths, material, bar)
        if quadrature == "calibrated" and material.tuned is not None:
            network = _tuned(options, network, found, material.tuned, bar)
        draft = assemble(
            network,
            lowered,
            found,
            storage=storage,
            align=options.step,
            schedule=optimise if found else "uniform",
            source=skeleton(network.graph, lowered.weights),
            labels=labels,
            preprocessing=preprocessing,
            seed=seed,
        )
        layouts = {weight.name: weight.permutation for weight in lowered.weights}
        measure(network.graph, draft, layouts, material.judged, bar("measuring"))
    if not is_first():  # of several processes that tuned together
        return draft.bundle(os.fspath(output))
    write_atomically(output, draft.to_bytes())
    return open_bundle(output)


def _announced(
    options: Options,
    graph: Graph,
    channels: Channels,
    lowered: LoweredGraph,
    uniform: Mapping[float, Sequence[int]],
    material: Material,
    progress: bool,
) -> Options:
    """Say what the effort will cost; the options with as much distillation as the limit allows."""
    seen = 0 if material.tuned is None else options.tuning.seen
    seconds, each = estimate(
        graph,
        channels,
        lowered.macs,
        uniform,
        material.calibration,
        len(material.judged),
        options.optimise,
        seen,
        streams_share(material.lessons, graph),
        options.span_steps if options.refits else 0,
        options.refit_up_to,
    )
    what = f"{len(uniform)} size{'s' * (len(uniform) != 1)}, {len(material.calibration):,} images"
    what += f", {seen:,} images seen in tuning" * (seen > 0)
    doing = options.effort if options.quadrature == "calibrated" else options.quadrature
    line, distilled = forecast(doing, what, seconds, each, options.distill_images, options.limit)
    if progress:
        print(line, file=sys.stderr)
    elif not distilled:
        warnings.warn(line, stacklevel=3)
    if options.effort == "distill" and not distilled:
        return replace(options, effort="refit", limit=None)
    return replace(options, distill_images=distilled)


# ---------------------------------------------------------------------- the steps
def _tuned(
    options: Options,
    network: ContinuousNetwork,
    found: Mapping[float, CalibratedSize],
    samples: Samples,
    bar: _Bar,
) -> ContinuousNetwork:
    """The network with tuned control grids; sizes change with them, in place."""
    from .training.tuning import tune

    tuned, _ = tune(
        network, found, samples, options.tuning, options.storage, options.checkpoint, bar("tuning")
    )
    return tuned


def _widths(
    options: Options,
    network: ContinuousNetwork,
    lowered: LoweredGraph,
    uniform: dict[float, list[int]],
    material: Material,
    bar: _Bar,
) -> dict[float, list[int]]:
    """The width of every group at every size."""
    if options.optimise == "uniform" or not uniform:
        return uniform
    return schedule(
        options.optimise,
        network,
        lowered,
        uniform,
        options.step,
        material.calibration.inputs,
        material.judged.inputs,
        bar("scheduling"),
    )


def _fitted(
    options: Options,
    network: ContinuousNetwork,
    widths: Mapping[float, list[int]],
    material: Material,
    bar: _Bar,
) -> dict[float, CalibratedSize]:
    """What each size has for itself: partitions, or quadratures, biases and kernels."""
    found = {
        size: CalibratedSize(chosen, refit=options.refits and size <= options.refit_up_to)
        for size, chosen in widths.items()
    }
    if material.tuned is not None and options.tuning.partitions:
        from .training.partitions import tune_partitions

        for size, calibrated in found.items():
            calibrated.grids = tune_partitions(
                network, calibrated.widths, material.tuned, options.tuning, bar(f"tuning {size:g}")
            )
    if options.quadrature in ("calibrated", "rescaled"):
        rescale = options.quadrature == "rescaled"
        solver = Calibration(
            network, options.storage, seed=options.seed, rescale=rescale, steps=options.span_steps
        )
        solver.run(list(found.values()), material.calibration.inputs, bar("calibrating"))
        if options.effort == "distill" and found:
            _distil(options, network, solver, found, material, bar("distilling"))
    return found


def _distil(
    options: Options,
    network: ContinuousNetwork,
    solver: Calibration,
    found: Mapping[float, CalibratedSize],
    material: Material,
    progress: Callable[[float], None],
) -> None:
    """Improve calibrated sizes, in place."""
    lessons = material.lessons
    held_out = material.judged.unlabelled() if lessons.labels is None else None
    seen, seed = options.distill_images, options.seed
    streams = streams_share(lessons, network.graph)
    first = round(seen * streams)
    if first:
        learn_streams(
            network,
            solver,
            found,
            material.calibration,
            lessons,
            first,
            seed,
            material.judged.unlabelled(),
            lambda done: progress(streams * done),
        )
    if seen > first:
        distill(
            network,
            found,
            lessons,
            seen - first,
            seed,
            lambda done: progress(streams + (1 - streams) * done),
            held_out,
        )


@contextmanager
def _bars(shown: bool) -> Iterator[_Bar]:
    """Progress bars on standard error; yields a function that starts one and returns its update."""
    columns = (TextColumn("{task.description:>12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bars:

        def start(title: str) -> Callable[[float], None]:
            task = bars.add_task(title, total=1.0)

            def update(done: float) -> None:
                bars.update(task, completed=done)

            return update

        yield start

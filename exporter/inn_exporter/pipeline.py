"""A network's way into a bundle: import, groups, order, widths, calibration, distillation, measurement."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Callable

from inn_runtime import Bundle, UsageError
from inn_runtime import open as open_bundle
from inn_runtime.files import check_writable, refuse_overwriting, write_atomically
from inn_runtime.format.manifest import evaluate as value_of
from onnx import ModelProto

from .bundling.curve import measure
from .bundling.draft import Draft, assemble
from .bundling.judge import Judge, read_source
from .bundling.onnx_writer import skeleton
from .bundling.source_facts import SourceFacts
from .calibration.calibrated_size import CalibratedSize
from .calibration.calibration import Calibration
from .cost_estimate import estimate, forecast
from .data.concerns import concerns
from .data.samples import Source, by_input, load_samples
from .data.splits import Splits
from .graph.channels import Channels
from .graph.graph import Graph
from .graph.lowered import LoweredGraph
from .importers import import_onnx
from .options import Options
from .ordering.continuous import ContinuousNetwork, laid_out
from .passes.folding import fold
from .passes.groups import check_groups, chosen_groups
from .passes.lower import lower
from .progress import Bars, progress_bars
from .schedule.widths import schedule
from .training.distill import distill
from .training.parallel import is_first, launched_together
from .training.residual_streams import learn_streams, streams_share
from .work.folder import SUFFIX, WorkFolder, identity_of
from .work.lanes import CalibrationJob, calibrated, processes_for


def export(
    model: str | os.PathLike[str] | ModelProto,
    output: str | os.PathLike[str],
    data: Source,
    options: Options | None = None,
    *,
    evaluate: Source | None = None,
    tune: Source | None = None,
    labels: Sequence[str] = (),
    preprocessing: Mapping[str, Any] | None = None,
    progress: bool = False,
    **changes: Any,
) -> Bundle:
    """Export a trained network as a bundle that resamples to any of its sizes without fine-tuning.

    Parameters
    ----------
    model : an ONNX file or model
    output : the ``.inn`` file to write
    data : unlabelled images as the network takes them; ``options.images`` of them calibrate, the rest (or a
        fifth, where there are few) measure the curve
    options : how; default: `Options`' own
    evaluate : measures the curve instead; with labels, accuracy as well as agreement
    tune : images, with labels or without, on which the control grids themselves are trained before they are
        stored (`training.tune`): through the calibrated quadratures of all sizes together, instead of
        refitting sizes, or by random sizes for ``trapezoid``. With effort ``distill`` the control grids, and
        so the full size, stay as they are: the sizes learn from these images, labels included
    labels : class names
    preprocessing : per input, or of the only one, how images become inputs (`Preprocessing`): of
        folders of images here, and on the device
    progress : show on standard error what the effort will cost, and progress bars
    changes : fields of `Options`, in the place of those of ``options``: ``export(…, sizes=(0.5, 1.0))``

    Raises
    ------
    UsageError : the model, the data or an option is not usable; nothing is written
    """
    if options is not None and options.tunes and tune is None:
        raise UsageError("tune: these options are of a bundle that was tuned: give the images to tune by")
    options = replace(options or Options(), tunes=tune is not None, **changes)
    check_writable(output)  # said now rather than after hours
    refuse_overwriting(output, (model, data, evaluate, tune, options.checkpoint))
    imported = fold(import_onnx(model, options.input_shapes))
    graph, channels = chosen_groups(imported, options.keep, options.only)
    check_groups(graph, channels, options.quadrature)
    preprocessing = by_input(preprocessing or {}, graph)
    splits = Splits.load(graph, preprocessing, data, evaluate, options.images, options.seed)
    if tune is not None:
        samples = load_samples(tune, graph, 1, preprocessing)
        if options.effort == "distill":
            options = replace(options, distill_images=options.how_to_tune.seen)
            mirrored = options.how_to_tune.mirror
            splits = replace(splits, training=samples.with_mirror_images() if mirrored else samples)
        else:
            splits = replace(splits, tuning=samples)
    for concern in concerns(splits.calibration, graph, channels):
        warnings.warn(concern, stacklevel=2)
    source, content = read_source(model)
    facts = SourceFacts.of(content, source.label)
    judge = Judge(source, content, imported, splits.calibration.inputs)
    judge.check_import()
    work = _work_folder(output, options)
    job = _Export(options, graph, channels, lower(graph, channels.dims), splits, judge, facts, work=work)
    if progress or options.limit is not None:
        job = job.announced(progress)
    with progress_bars(progress) as bar:
        draft = job.run(labels, preprocessing, bar)
    if is_first():  # of several processes that tuned together
        write_atomically(output, draft.to_bytes())
    WorkFolder.opened(work).remove()
    if not is_first():
        return draft.bundle(os.fspath(output))
    return open_bundle(output)


def _work_folder(output: str | os.PathLike[str], options: Options) -> Path:
    """Where an export keeps what it has finished: beside a file, but not beside a pipe; processes that tune
    together each have their own."""
    if launched_together():
        return Path(tempfile.mkdtemp(suffix=SUFFIX))
    if options.work is not None:
        return Path(options.work)
    if Path(output).exists() and not Path(output).is_file():
        return Path(tempfile.mkdtemp(suffix=SUFFIX))
    return Path(f"{os.fspath(output)}{SUFFIX}")


@dataclass(frozen=True)
class _Export:
    """One export: what its steps have in common."""

    options: Options
    graph: Graph
    channels: Channels
    lowered: LoweredGraph
    splits: Splits
    judge: Judge
    facts: SourceFacts

    work: Path

    @property
    def uniform(self) -> dict[float, list[int]]:
        """The widths of every size where all groups shrink alike."""
        sizes = sorted(set(self.options.sizes) - {1.0})
        return {size: self.channels.widths(size, self.options.step) for size in sizes}

    def announced(self, progress: bool) -> _Export:
        """Say what the effort will cost; the export with as much distillation as the limit allows."""
        options, splits = self.options, self.splits
        seen = 0 if splits.tuning is None else options.how_to_tune.seen
        seconds, each = estimate(
            self.graph,
            self.channels,
            self.lowered.macs,
            self.uniform,
            splits.calibration,
            len(splits.held_out),
            options.optimise,
            seen,
            streams_share(splits.training, self.graph),
            options.span_steps if options.refits else 0,
            options.refit_up_to,
        )
        count = len(self.uniform)
        what = f"{count} size{'s' * (count != 1)}, {len(splits.calibration):,} images"
        what += f", {seen:,} images seen in tuning" * (seen > 0)
        doing = options.effort if options.quadrature == "calibrated" else options.quadrature
        line, distilled = forecast(doing, what, seconds, each, options.distill_images, options.limit)
        if progress:
            print(line, file=sys.stderr)
        elif not distilled:
            warnings.warn(line, stacklevel=3)
        if options.effort == "distill" and not distilled:
            return replace(self, options=replace(options, effort="refit", limit=None))
        return replace(self, options=replace(options, distill_images=distilled))

    def run(self, labels: Sequence[str], preprocessing: Mapping[str, Any], bar: Bars) -> Draft:
        """All steps; see `export` for the arguments."""
        options, images = self.options, self.splits.calibration.inputs
        network = laid_out(
            self.graph,
            self.channels,
            images,
            options.layout,
            options.quadrature,
            options.storage,
            bar("ordering"),
        )
        if options.tunes_by_rule:
            network, _ = self._tuned(network, {}, bar)
        sizes = self._fitted(network, self._widths(network, bar), bar)
        if options.quadrature == "calibrated":
            network, sizes = self._tuned(network, sizes, bar)
        draft = assemble(
            network,
            self.lowered,
            sizes,
            storage=options.storage,
            align=options.step,
            schedule=options.optimise if sizes else "uniform",
            source=skeleton(network.graph, self.lowered.weights, self.facts),
            labels=labels,
            preprocessing=preprocessing,
            seed=options.seed,
            made=options.recorded(),
        )
        layouts = {weight.name: weight.permutation for weight in self.lowered.weights}
        judge = self.judge if self.splits.tuning is None else self.judge.of_tuned(network.graph)
        measure(network.graph, draft, layouts, self.splits.held_out, judge, options.storage, bar("measuring"))
        return draft

    # ------------------------------------------------------------------ the steps
    def _tuned(
        self, network: ContinuousNetwork, sizes: dict[float, CalibratedSize], bar: Bars
    ) -> tuple[ContinuousNetwork, dict[float, CalibratedSize]]:
        """The network with tuned control grids, and sizes that follow, where there are images to tune by."""
        if self.splits.tuning is None:
            return network, sizes
        from .training.tuning import tune

        options = self.options
        found = tune(
            network,
            sizes,
            self.splits.tuning,
            options.how_to_tune,
            options.storage,
            options.checkpoint,
            bar("tuning"),
        )
        return found.network, found.sizes

    def _widths(self, network: ContinuousNetwork, bar: Bars) -> dict[float, list[int]]:
        """The width of every group at every size."""
        options, uniform = self.options, self.uniform
        if options.optimise == "uniform" or not uniform:
            return uniform
        folder = self._folder(network)
        kept = folder.read("widths")
        if kept is not None:
            return {float(size): widths for size, widths in json.loads(kept).items()}
        found = schedule(
            options.optimise,
            network,
            self.lowered,
            uniform,
            options.step,
            self.splits.calibration.inputs,
            self.splits.held_out.inputs,
            bar("scheduling"),
        )
        found = {size: [int(width) for width in widths] for size, widths in found.items()}
        folder.write("widths", json.dumps(found).encode())
        return found

    def _folder(self, network: ContinuousNetwork) -> WorkFolder:
        """Where what is finished is kept."""
        facts = version("innlite"), *self.options.recorded().values()
        sets = {"calibration": self.splits.calibration, "held out": self.splits.held_out}
        images = {f"{name} {n}": a for name, samples in sets.items() for n, a in samples.inputs.items()}
        return WorkFolder(self.work, identity_of(network.graph, images, *facts))

    def _fitted(
        self, network: ContinuousNetwork, widths: Mapping[float, list[int]], bar: Bars
    ) -> dict[float, CalibratedSize]:
        """What each size has for itself: partitions, or quadratures, biases and kernels."""
        options, splits = self.options, self.splits
        sizes = {
            size: CalibratedSize(
                chosen, refit=options.refits and size <= options.refit_up_to, storage=options.storage
            )
            for size, chosen in widths.items()
        }
        if splits.tuning is not None and options.how_to_tune.partitions:
            from .training.partitions import tune_partitions

            for size, start in sizes.items():
                title = bar(f"tuning {size:g}")
                grids = tune_partitions(network, start.widths, splits.tuning, options.how_to_tune, title)
                sizes[size] = replace(start, grids=grids)
        if options.quadrature not in ("calibrated", "rescaled"):
            return sizes
        if options.quadrature == "rescaled":
            calibration = Calibration.rescaling(network)
            found = calibration.run(list(sizes.values()), splits.calibration.inputs, bar("calibrating"))
            return dict(zip(sizes, found))
        if sizes:
            sizes = self._calibrated(network, sizes, bar("calibrating"))
        if options.effort == "distill" and sizes:
            calibration = Calibration(network, seed=options.seed, steps=options.span_steps)
            sizes = self._distilled(network, calibration, sizes, bar("distilling"))
        return sizes

    def _calibrated(
        self,
        network: ContinuousNetwork,
        sizes: Mapping[float, CalibratedSize],
        progress: Callable[[float], None],
    ) -> dict[float, CalibratedSize]:
        """Sizes with what the images say of them, in several processes where that is worth it."""
        options, images = self.options, self.splits.calibration.inputs
        job = CalibrationJob(network, sizes, images, options.seed, options.span_steps)
        full = value_of(self.lowered.macs, self.channels.sizes)
        costs = {s: full + value_of(self.lowered.macs, size.widths) for s, size in sizes.items()}
        passed = len(self.splits.calibration) * sum(costs.values())
        processes = options.processes or (1 if launched_together() else processes_for(passed, len(sizes)))
        return calibrated(job, costs, self._folder(network), processes, progress)

    def _distilled(
        self,
        network: ContinuousNetwork,
        calibration: Calibration,
        sizes: dict[float, CalibratedSize],
        progress: Callable[[float], None],
    ) -> dict[float, CalibratedSize]:
        """Calibrated sizes that have learned from the original: its streams, then its outputs."""
        training, held_out = self.splits.training, self.splits.held_out.unlabelled()
        seen, seed = self.options.distill_images, self.options.seed
        streams = streams_share(training, network.graph)
        first = round(seen * streams)
        if first:
            sizes = learn_streams(
                network,
                calibration,
                sizes,
                self.splits.calibration,
                training,
                first,
                seed,
                held_out,
                lambda done: progress(streams * done),
            )
        if seen > first:
            sizes = distill(
                network,
                sizes,
                training,
                seen - first,
                seed,
                lambda done: progress(streams + (1 - streams) * done),
                held_out if training.labels is None else None,
            )
        return sizes

"""The exporter's commands: `inn export`, `inn tune`, `inn groups` and `inn export-onnx`."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

from inn_runtime import UsageError
from inn_runtime.cli.options import preprocess_option, preprocess_values

from .defaults import DISTILL_IMAGES, LARGEST_REFIT, SPAN_STEPS
from .training.options import Tuning


def export_command(subparsers: Any) -> None:
    """Add `inn export`."""
    help_text = "export a trained ONNX network as a bundle"
    parser = subparsers.add_parser("export", help=help_text, description=help_text)
    parser.add_argument(
        "--calibrate",
        type=Path,
        required=True,
        metavar="IMAGES.npz",
        help="unlabelled images as the network takes them, keyed by input name",
    )
    parser.add_argument(
        "--tune",
        type=Path,
        metavar="TRAIN.npz",
        help="then train all sizes together (with --effort distill each for itself) on these images, with "
        "'labels' or toward the original's outputs",
    )
    _export_arguments(parser)


def tune_command(subparsers: Any) -> None:
    """Add `inn tune`."""
    help_text = "tune a trained ONNX network so that all sizes work, and export it as a bundle"
    parser = subparsers.add_parser("tune", help=help_text, description=help_text)
    parser.add_argument(
        "--train",
        dest="tune",
        type=Path,
        required=True,
        metavar="TRAIN.npz",
        help="images keyed by input name, with 'labels' or without",
    )
    parser.add_argument(
        "--calibrate", type=Path, metavar="IMAGES.npz", help="other images to calibrate with (default: these)"
    )
    _export_arguments(parser)


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="the ONNX file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .inn file to write")
    parser.add_argument(
        "--evaluate", type=Path, metavar="LABELLED.npz", help="images and 'labels' that measure the curve"
    )
    parser.add_argument(
        "--quadrature",
        choices=("calibrated", "trapezoid", "rescaled", "none"),
        default="calibrated",
        help="calibrated (default), the paper's trapezoid on uniform nodes, plain channel selection (none), "
        "or that with every layer's means and deviations restored (rescaled)",
    )
    parser.add_argument(
        "--order",
        choices=("nested", "smooth", "l1", "given"),
        help="channel order (default: fits the quadrature)",
    )
    parser.add_argument("--sizes", help="comma-separated sizes in (0, 1] (default: the presets)")
    parser.add_argument(
        "--effort",
        choices=("fast", "refit", "distill"),
        default="refit",
        help="fast: quadratures only (seconds); refit: kernels too, see --refit-up-to and --span-steps "
        "(minutes, default); distill: then train on all images toward the original's outputs, without labels "
        "(longer)",
    )
    parser.add_argument(
        "--refit-up-to",
        type=float,
        default=LARGEST_REFIT,
        metavar="SIZE",
        help=f"largest size whose kernels are refitted, and so stored (default: {LARGEST_REFIT:g})",
    )
    parser.add_argument(
        "--span-steps",
        type=int,
        default=SPAN_STEPS,
        metavar="N",
        help="steps of fitting the kernels of several layers together, after each was fitted alone "
        f"(default: {SPAN_STEPS}; 0: in closed form only)",
    )
    parser.add_argument(
        "--distill-images",
        type=int,
        default=DISTILL_IMAGES,
        metavar="N",
        help="images that distill learns from, with repetition, all sizes together "
        f"(default: {DISTILL_IMAGES:,})",
    )
    parser.add_argument(
        "--limit",
        type=float,
        metavar="MINUTES",
        help="how long the export may take: distill learns from fewer images, by a timed estimate",
    )
    tuning = parser.add_argument_group("tuning")
    tuning.add_argument("--seen", type=int, metavar="N", help="images to learn from, with repetition")
    tuning.add_argument("--batch", type=int, metavar="N", help="images of a step, on all processes together")
    tuning.add_argument("--rate", type=float, help="peak of Adam's learning rate")
    tuning.add_argument("--mirror", action="store_true", help="turn half of the images left to right")
    tuning.add_argument(
        "--partitions",
        action="store_true",
        help="tune only where each size samples the axes (trapezoid only)",
    )
    for name, what in (("--least", "smallest"), ("--most", "largest")):
        tuning.add_argument(name, type=float, metavar="SIZE", help=f"{what} size drawn (trapezoid only)")
    tuning.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N twentieths of the work without a lower loss on held-out images",
    )
    tuning.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="written twenty times; an interrupted run goes on from it",
    )
    parser.add_argument("--storage", choices=("float16", "float32", "int8"), default="float16")
    parser.add_argument(
        "--optimise",
        choices=("uniform", "flops", "params", "latency"),
        default="uniform",
        help="uniform (default): all channel groups shrink alike; else: those shrink most that matter least "
        "for what they save, at no more FLOPs, parameters or latency than uniform widths",
    )
    parser.add_argument(
        "--align", type=int, help="widths are multiples of this (default: 8 for flops and latency, else 1)"
    )
    parser.add_argument("--images", type=int, default=256, help="images to calibrate with (default: 256)")
    parser.add_argument("--seed", type=int, default=0)
    _group_arguments(parser)
    preprocess_option(parser, "with it, images may be folders of files")
    parser.add_argument("--labels", type=Path, metavar="NAMES.txt", help="class names, one a line")
    parser.add_argument("--json", action="store_true", help="print the bundle's summary as JSON")
    parser.set_defaults(run=_export)


def _group_arguments(parser: argparse.ArgumentParser) -> None:
    """What decides about the channel groups."""
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="PATTERN",
        help="channel groups that are not resized (inn groups lists them)",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN", help="resize these channel groups only"
    )
    parser.add_argument(
        "--input-shape",
        action="append",
        default=[],
        metavar="NAME=1,3,224,224",
        help="shape of an input that the file leaves open",
    )


def groups_command(subparsers: Any) -> None:
    """Add `inn groups`."""
    help_text = "list the channel groups of an ONNX network: what is resized together"
    parser = subparsers.add_parser("groups", help=help_text, description=help_text)
    parser.add_argument("model", type=Path, help="the ONNX file")
    _group_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    parser.set_defaults(run=_groups)


def export_onnx_command(subparsers: Any) -> None:
    """Add `inn export-onnx`."""
    help_text = "write a bundle's network at a size as ONNX, for any other engine"
    parser = subparsers.add_parser("export-onnx", help=help_text, description=help_text)
    parser.add_argument("bundle", type=Path, help="the .inn file")
    parser.add_argument("--size", required=True, help="a preset's name or a number in (0, 1]")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    parser.set_defaults(run=_export_onnx)


def _export(options: argparse.Namespace) -> None:
    from inn_runtime.cli.summary import describe, format_summary

    from .bundling.draft import PRESETS
    from .pipeline import export

    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        bundle = export(
            options.model,
            options.output,
            options.calibrate or options.tune,
            evaluate=options.evaluate,
            quadrature=options.quadrature,
            order=options.order,
            sizes=_numbers(options.sizes, "--sizes") if options.sizes else tuple(PRESETS.values()),
            effort=options.effort,
            refit_up_to=options.refit_up_to,
            span_steps=options.span_steps,
            distill_images=options.distill_images,
            limit=options.limit,
            tune=options.tune,
            tuning=_tuning(options),
            checkpoint=options.checkpoint,
            storage=options.storage,
            optimise=options.optimise,
            align=options.align,
            images=options.images,
            seed=options.seed,
            keep=options.keep,
            only=options.only,
            preprocessing=preprocess_values(options.preprocess),
            labels=_lines(options.labels) if options.labels else (),
            input_shapes=dict(_shape(text) for text in options.input_shape),
            progress=True,
        )
    summary = describe(bundle)
    print(json.dumps(summary, indent=1) if options.json else format_summary(summary))


def _groups(options: argparse.Namespace) -> None:
    from .importers.onnx import import_onnx
    from .passes.folding import fold
    from .passes.groups import chosen_groups

    graph = fold(import_onnx(options.model, dict(_shape(text) for text in options.input_shape)))
    _, channels = chosen_groups(graph, options.keep, options.only)
    resized = {f"{member}" for group in channels.groups for member in group.members}
    weights = {member.rpartition(":")[0] for member in resized}
    found = {
        "model": graph.name,
        "parameters": sum(values.size for values in graph.constants.values()),
        "resized_parameters": sum(graph.constants[name].size for name in weights),
        "groups": [{"name": g.name, "width": g.size, "members": list(g.members)} for g in channels.groups],
        "alternatives": [{"name": g.name, "width": g.size} for g in channels.alternatives],
    }
    print(json.dumps(found, indent=1) if options.json else _format_groups(found))


def _format_groups(found: dict[str, Any]) -> str:
    groups, share = found["groups"], found["resized_parameters"] / max(found["parameters"], 1)
    lines = [
        f"{found['model']}: {len(groups)} channel groups, {share:.1%} of {found['parameters']:,} parameters"
    ]
    room = max((len(group["name"]) for group in groups), default=0)
    for group in groups:
        lines.append(f"  {group['name']:<{room}}  {group['width']:>6}  {', '.join(group['members'])}")
    if found["alternatives"]:
        names = ", ".join(f"{group['name']} ({group['width']})" for group in found["alternatives"])
        lines.append(f"resized instead where the width of each is kept: {names}")
    return "\n".join(lines)


def _tuning(options: argparse.Namespace) -> Tuning:
    names = ("seen", "batch", "rate", "mirror", "partitions", "least", "most", "patience", "seed")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return Tuning(**given)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _export_onnx(options: argparse.Namespace) -> None:
    import inn_runtime
    from inn_runtime.files import write_atomically

    from .bundling.onnx_writer import export_onnx

    content = export_onnx(inn_runtime.open(options.bundle), options.size)
    write_atomically(options.output, content)
    print(f"{options.output}: {len(content) / 1e6:.2f} MB")


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option}: expected comma-separated numbers, found {text!r}") from None


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, shape = text.rpartition("=")
    try:
        return name, tuple(int(part) for part in shape.split(","))
    except ValueError:
        raise UsageError(f"--input-shape: expected NAME=1,3,224,224, found {text!r}") from None


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot read class names: {error}") from None

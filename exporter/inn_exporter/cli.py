"""The exporter's commands: `inn export`, `inn tune`, `inn groups` and `inn export-onnx`."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import inn_runtime
from inn_runtime import Bundle, UsageError
from inn_runtime.cli.options import preprocess_option, preprocess_values

from .option_fields import add_arguments, given
from .options import Options
from .training.options import Tuning

if find_spec("onnx") is None:  # said when a command is asked for; what exports is loaded when it is run
    raise ImportError("onnx is not installed")

GROUP_OPTIONS = ("keep", "only", "input_shapes")
"""What decides about the channel groups."""


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
        "--like",
        type=Path,
        metavar="OLD.inn",
        help="export as that bundle was, but for what is said otherwise",
    )
    add_arguments(parser, Options)
    add_arguments(parser.add_argument_group("tuning"), Tuning)
    preprocess_option(parser, "with it, images may be folders of files")
    parser.add_argument("--labels", type=Path, metavar="NAMES.txt", help="class names, one a line")
    parser.add_argument("--json", action="store_true", help="print the bundle's summary as JSON")
    parser.set_defaults(run=_export)


def groups_command(subparsers: Any) -> None:
    """Add `inn groups`."""
    help_text = "list the channel groups of an ONNX network: what is resized together"
    parser = subparsers.add_parser("groups", help=help_text, description=help_text)
    parser.add_argument("model", type=Path, help="the ONNX file")
    add_arguments(parser, Options, GROUP_OPTIONS)
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


def _export(arguments: argparse.Namespace) -> None:
    from inn_runtime.cli.summary import describe, format_summary

    from .pipeline import export

    like = None if arguments.like is None else inn_runtime.open(arguments.like)
    preprocessing = preprocess_values(arguments.preprocess)
    labels = _lines(arguments.labels) if arguments.labels else ()
    if like is not None:
        preprocessing = preprocessing or _preprocessing_of(like)
        labels = labels or like.manifest.labels
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        bundle = export(
            arguments.model,
            arguments.output,
            arguments.calibrate or arguments.tune,
            _options(arguments, like),
            evaluate=arguments.evaluate,
            tune=arguments.tune,
            labels=labels,
            preprocessing=preprocessing,
            progress=True,
        )
    summary = describe(bundle)
    print(json.dumps(summary, indent=1) if arguments.json else format_summary(summary))


def _options(arguments: argparse.Namespace, like: Bundle | None) -> Options:
    """What the command line names, and else what another bundle was made with."""
    start = Options() if like is None else Options.of(like)
    chosen = given(arguments, Options)
    tuning = given(arguments, Tuning)
    if tuning:
        seed = chosen.get("seed", start.seed)
        chosen["tuning"] = replace(start.tuning or Tuning(seed=seed), **tuning)
    return replace(start, tunes=arguments.tune is not None or start.tunes, **chosen)


def _preprocessing_of(bundle: Bundle) -> dict[str, Any]:
    ports = bundle.manifest.inputs
    return {port.name: port.preprocessing for port in ports if port.preprocessing is not None}


def _groups(options: argparse.Namespace) -> None:
    from .importers.onnx import import_onnx
    from .passes.folding import fold
    from .passes.groups import chosen_groups

    chosen = Options(**given(options, Options))
    graph = fold(import_onnx(options.model, chosen.input_shapes))
    _, channels = chosen_groups(graph, chosen.keep, chosen.only)
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


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _export_onnx(options: argparse.Namespace) -> None:
    from inn_runtime.files import write_atomically

    from .bundling.onnx_writer import export_onnx

    content = export_onnx(inn_runtime.open(options.bundle), options.size)
    write_atomically(options.output, content)
    print(f"{options.output}: {len(content) / 1e6:.2f} MB")


def _lines(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot read class names: {error}") from None

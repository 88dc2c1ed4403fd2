"""The runtime's commands."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..bench import bench, format_results
from ..bundle import Bundle, open_bundle
from ..errors import BundleError, EngineError, UsageError
from ..files import write_atomically
from ..noise import noise
from .table import format_table

SELF_CHECK_TOLERANCE = 1e-3
ENGINES = ("auto", "native", "worker", "vendor")


def register(subparsers: Any) -> None:
    """Add the runtime's commands to the parser."""
    info = _command(subparsers, "info", _info, "show what a bundle holds and its measured curve")
    info.add_argument("--json", action="store_true", help="as JSON")

    verify = _command(subparsers, "verify", _verify, "check every tensor, and the outputs at every size")
    _engine_options(verify)

    resample = _command(subparsers, "resample", _resample, "write a MindSpore Lite model (.ms) of a size")
    resample.add_argument("--size", required=True, help="a preset's name or a number in (0, 1]")
    resample.add_argument("-o", "--output", type=Path, required=True, help="the .ms file to write")
    resample.add_argument("--json", action="store_true", help="print a summary as JSON")

    run = _command(subparsers, "run", _run, "run the network on an array")
    run.add_argument("--size", default="full", help="a preset's name or a number in (0, 1] (default: full)")
    run.add_argument(
        "--input", type=Path, required=True, help=".npy, or .npz keyed by input name; float32, NCHW"
    )
    run.add_argument("-o", "--output", type=Path, help="write the outputs as .npz instead of printing")
    run.add_argument("--top", type=int, default=5, help="classes to print per image (default: 5)")
    run.add_argument("--json", action="store_true", help="print all outputs as JSON")
    _engine_options(run)

    timing = _command(subparsers, "bench", _bench, "measure latency at several sizes")
    timing.add_argument("--sizes", default="", help="comma-separated (default: all presets)")
    timing.add_argument("--runs", type=int, default=100, help="timed runs (default: 100)")
    timing.add_argument("--warmup", type=int, default=10, help="runs before timing (default: 10)")
    timing.add_argument("--batch", type=int, default=1, help="images per run (default: 1)")
    timing.add_argument("--json", action="store_true", help="as JSON")
    timing.add_argument("-o", "--output", type=Path, help="also write the JSON to a file")
    _engine_options(timing)


def _command(subparsers: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help_text, description=help_text)
    parser.add_argument("bundle", type=Path, help="the .inn file")
    parser.set_defaults(run=run)
    return parser


def _engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=1, help="engine threads (default: 1)")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="how to reach MindSpore Lite")


# ---------------------------------------------------------------------- info
def _info(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle)
    summary = describe(bundle)
    print(json.dumps(summary, indent=1) if options.json else format_summary(summary))


def format_summary(summary: dict[str, Any]) -> str:
    """The text of `inn info`."""
    lines = [
        f"{summary['name']}  ({summary['file']}, {summary['bytes'] / 1e6:.2f} MB, sha256 {summary['sha256'][:16]}…)",
        "made by    " + ", ".join(f"{key} {value}" for key, value in summary["producer"].items()),
    ]
    for kind in ("inputs", "outputs"):
        for name, shape in summary[kind].items():
            lines.append(f"{kind[:-1]:<10} {name}  {'×'.join(map(str, shape))}")
    lines.append(
        f"groups     {len(summary['groups'])} resized, {summary['quadrature']}, align {summary['align']}"
    )
    if summary["n"]:
        lines.append(f"measured   on {summary['n']} images")
    return "\n".join([*lines, "", _table(summary["sizes"])])


def describe(bundle: Bundle) -> dict[str, Any]:
    """What `inn info` shows, as JSON-ready values."""
    manifest = bundle.manifest
    names = {size: name for name, size in manifest.presets.items()}
    axes = {(group.axis.kernel, group.axis.quadrature) for group in manifest.groups}
    calibrated = any(size.tables for size in manifest.sizes)
    rules = ["calibrated"] if calibrated else sorted({rule for _, rule in axes})
    sizes = []
    for size in manifest.sizes:
        model = bundle.resample(size.size)
        sizes.append(
            {
                "name": names.get(size.size, f"{size.size:g}"),
                "size": size.size,
                "widths": list(size.widths),
                "parameters": model.parameters,
                "macs": model.macs,
                **{k: v for k, v in size.measured.items() if k not in ("parameters", "macs")},
            }
        )
    return {
        "name": manifest.name,
        "file": bundle.source,
        "bytes": Path(bundle.source).stat().st_size,
        "sha256": bundle.file_digest,
        "producer": manifest.producer,
        "inputs": {port.name: list(port.shape) for port in manifest.inputs},
        "outputs": {port.name: list(port.shape) for port in manifest.outputs},
        "labels": list(manifest.labels),
        "groups": [{"name": g.name, "size": g.axis.size, "members": list(g.members)} for g in manifest.groups],
        "kernel": ", ".join(sorted({kernel for kernel, _ in axes})),
        "quadrature": ", ".join(rules) + " quadrature",
        "align": manifest.align,
        "n": manifest.curve.get("n"),
        "sizes": sizes,
    }


def _table(sizes: list[dict[str, Any]]) -> str:
    metrics = [key for key in sizes[0] if key not in ("name", "size", "widths", "parameters", "macs")]
    header = ["size", "", "parameters", "MFLOPs", *metrics]
    rows = [
        [
            entry["name"],
            f"{entry['size']:g}",
            f"{entry['parameters']:,}",
            f"{2 * entry['macs'] / 1e6:.2f}",
            *(f"{entry[m]:.2f} dB" if m == "psnr" else f"{100 * entry[m]:.2f} %" for m in metrics),
        ]
        for entry in sizes
    ]
    return format_table(header, rows)


# ---------------------------------------------------------------------- verify
def _verify(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle)
    tensors = sum(1 for _ in bundle.verify())
    print(f"{tensors} tensors: digests match, values are finite")
    manifest = bundle.manifest
    inputs = {
        port.name: noise(manifest.check_seed + index, port.shape) for index, port in enumerate(manifest.inputs)
    }
    for size in manifest.sizes:
        if not size.check:
            continue
        with bundle.resample(size.size).session(threads=options.threads, engine=options.engine) as session:
            outputs = session.run(inputs)
        found = outputs if isinstance(outputs, dict) else {manifest.outputs[0].name: outputs}
        for name, key in size.check.items():
            expected = bundle.tensor(key)
            scale = max(float(np.abs(expected).max()), 1e-6)
            error = float(np.abs(found[name] - expected).max()) / scale
            if not error <= SELF_CHECK_TOLERANCE:
                raise EngineError(
                    f"{options.bundle}: size {size.size:g}: output {name!r} differs from the self-check by "
                    f"{error:.1e} of its scale, expected at most {SELF_CHECK_TOLERANCE:g}"
                )
            print(f"size {size.size:g}: output {name!r} agrees to {error:.1e} of its scale")


# ---------------------------------------------------------------------- resample
def _resample(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle)
    model = bundle.resample(_size(options.size))
    _note_other_size(model.plan.requested, model.plan.size)
    written = model.save(options.output)
    summary = {
        "output": str(options.output),
        "size": model.size,
        "name": model.name,
        "bytes": written,
        "parameters": model.parameters,
        "macs": model.macs,
        "widths": dict(zip((g.name for g in bundle.manifest.groups), model.plan.widths)),
    }
    if options.json:
        print(json.dumps(summary, indent=1))
    else:
        print(
            f"{options.output}: size {model.size:g}, {model.parameters:,} parameters, "
            f"{2 * model.macs / 1e6:.2f} MFLOPs, {written / 1e6:.2f} MB"
        )


def _size(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _note_other_size(requested: float, size: float) -> None:
    if size < requested:
        print(f"size {requested:g} is not calibrated; using {size:g}, the next below", file=sys.stderr)


# ---------------------------------------------------------------------- run
def _run(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle)
    inputs = _read_arrays(options.input)
    model = bundle.resample(_size(options.size))
    _note_other_size(model.plan.requested, model.plan.size)
    with model.session(threads=options.threads, engine=options.engine) as session:
        outputs = session.run(inputs)
    named = outputs if isinstance(outputs, dict) else {bundle.manifest.outputs[0].name: outputs}
    if options.output:
        write_npz(options.output, named)
    elif options.json:
        print(json.dumps({name: array.tolist() for name, array in named.items()}))
    else:
        for name, array in named.items():
            _print_output(name, array, options.top, bundle.manifest.labels)


def _read_arrays(path: Path) -> Any:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files if name != "labels"}
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # zipfile, header and value errors share no base class
        raise UsageError(f"{path}: not a .npy or .npz file of plain arrays ({error})") from None


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays atomically."""
    import io

    stream = io.BytesIO()
    np.savez(stream, **arrays)
    write_atomically(path, stream.getbuffer())


def _print_output(name: str, array: Any, top: int, labels: tuple[str, ...]) -> None:
    if array.ndim != 2:
        print(f"{name}: shape {array.shape}, from {array.min():g} to {array.max():g}")
        return
    for index, scores in enumerate(array):
        best = np.argsort(-scores, kind="stable")[:top]
        text = "  ".join(f"{labels[c] if c < len(labels) else c} {scores[c]:.4g}" for c in best)
        print(f"{name}[{index}]: {text}")


# ---------------------------------------------------------------------- bench
def _bench(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle)
    named = options.sizes.split(",") if options.sizes else list(bundle.manifest.presets)
    models = [bundle.resample(_size(name.strip())) for name in named]
    if not models:
        raise BundleError(f"{options.bundle}: the bundle has no presets; give --sizes")
    results = [
        bench(
            bundle,
            model.plan.preset or model.size,
            threads=options.threads,
            batch=options.batch,
            warmup=options.warmup,
            runs=options.runs,
            engine=options.engine,
        )
        for model in sorted(models, key=lambda m: m.size)
    ]
    document = json.dumps([result.to_json() for result in results], indent=1)
    if options.output:
        write_atomically(options.output, (document + "\n").encode())
    if options.json:
        print(document)
    else:
        print(
            f"{bundle.manifest.name}: {results[0].engine} engine, {options.threads} thread(s), "
            f"batch {options.batch}, {options.warmup} + {options.runs} runs, times in ms"
        )
        print(format_results(results))

"""The runtime's commands."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..bench import BenchResult, bench, format_result, format_title
from ..bundle import Bundle, open_bundle
from ..errors import EngineError, UsageError
from ..files import write_atomically
from ..manifest import Size
from ..model import Model
from ..noise import noise
from .summary import describe, format_summary

SELF_CHECK_TOLERANCE = 1e-3
ENGINES = ("auto", "native", "worker", "vendor")
_SIZE_HELP = "a preset's name or a number in (0, 1]"


def register(subparsers: Any) -> None:
    """Add the runtime's commands to the parser."""
    info = _command(subparsers, "info", _info, "show what a bundle holds and its measured curve")
    info.add_argument("--json", action="store_true", help="print as JSON")
    info.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw the curve (needs matplotlib: innlite[plot])"
    )

    verify = _command(
        subparsers, "verify", _verify, "check every tensor, and the engine's outputs at every size"
    )
    verify.add_argument("--json", action="store_true", help="print as JSON")
    _engine_options(verify)

    resample = _command(subparsers, "resample", _resample, "write a MindSpore Lite model (.ms) of a size")
    resample.add_argument("--size", required=True, help=_SIZE_HELP)
    resample.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.ms", help="the .ms file to write"
    )
    resample.add_argument(
        "--strict",
        action="store_true",
        help="refuse sizes at which the network has been measured to collapse",
    )
    resample.add_argument("--json", action="store_true", help="print a summary as JSON")

    run = _command(subparsers, "run", _run, "run the network on arrays")
    run.add_argument("--size", default="full", help=f"{_SIZE_HELP} (default: full)")
    run.add_argument(
        "--input",
        type=Path,
        required=True,
        metavar="FILE.npy",
        help=".npy, or .npz keyed by input name; float32 as the source model takes it (NCHW), any batch",
    )
    run.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE.npz",
        help="write the outputs there instead of printing them",
    )
    run.add_argument(
        "--top", type=int, default=5, metavar="N", help="classes to print per image (default: 5)"
    )
    run.add_argument("--json", action="store_true", help="print all outputs as JSON")
    _engine_options(run)

    timing = _command(subparsers, "bench", _bench, "measure latency and memory at several sizes")
    timing.add_argument(
        "--sizes", default="", help=f"comma-separated, each {_SIZE_HELP} (default: all presets)"
    )
    timing.add_argument("--runs", type=int, default=100, metavar="N", help="timed runs (default: 100)")
    timing.add_argument("--warmup", type=int, default=10, metavar="N", help="runs before (default: 10)")
    timing.add_argument("--batch", type=int, default=1, metavar="N", help="images per run (default: 1)")
    timing.add_argument("--json", action="store_true", help="print as JSON")
    timing.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="write the JSON to a file too")
    _engine_options(timing)


def _command(subparsers: Any, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
    description = f"{help_text[0].upper()}{help_text[1:]}."
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=help_text, description=description)
    parser.add_argument("bundle", type=Path, metavar="MODEL.inn", help="the bundle")
    parser.set_defaults(run=run)
    return parser


def _engine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="engine threads (default: 1)")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="MindSpore Lite in this process (native), in one of its own (worker), or through the vendor's "
        "Python package (default: auto, the first of these that can work)",
    )


# ---------------------------------------------------------------------- info
def _info(options: argparse.Namespace) -> None:
    summary = describe(open_bundle(options.bundle))
    if options.plot:
        from .plot import plot_curve

        write_atomically(options.plot, plot_curve(summary))
    print(json.dumps(summary, indent=1) if options.json else format_summary(summary))


# ---------------------------------------------------------------------- verify
def _verify(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle)
    tensors = sum(1 for _ in bundle.verify())
    if not options.json:
        print(f"{tensors} tensors: digests match, values are finite", flush=True)
    checks = []
    for size in bundle.manifest.sizes:
        for name, difference in _self_check(bundle, size, options):
            checks.append({"size": size.size, "output": name, "difference": difference})
            if not options.json:
                print(
                    f"size {size.size:g}: output {name!r} agrees to {difference:.1e} of its scale", flush=True
                )
    if options.json:
        print(json.dumps({"tensors": tensors, "checks": checks}, indent=1))
    elif not checks:
        print("the bundle holds no expected outputs to check the engine with")


def _self_check(bundle: Bundle, size: Size, options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """Every checked output at a size, and its largest difference over its scale."""
    if not size.check:
        return
    manifest = bundle.manifest
    inputs = {
        port.name: noise(manifest.check_seed + index, port.shape)
        for index, port in enumerate(manifest.inputs)
    }
    with bundle.resample(size.size).session(threads=options.threads, engine=options.engine) as session:
        outputs = session.run(inputs)
    found = outputs if isinstance(outputs, dict) else {manifest.outputs[0].name: outputs}
    for name, key in size.check.items():
        expected, output = bundle.tensor(key), found[name]
        where = f"{options.bundle}: size {size.size:g}: output {name!r}"
        if output.shape != expected.shape:
            raise EngineError(f"{where}: expected shape {expected.shape}, found {output.shape}")
        scale = max(float(np.abs(expected).max()), 1e-6)
        difference = float(np.abs(output - expected).max()) / scale
        if not difference <= SELF_CHECK_TOLERANCE:
            raise EngineError(
                f"{where} differs from the self-check by {difference:.1e} of its scale, "
                f"expected at most {SELF_CHECK_TOLERANCE:g}"
            )
        yield name, difference


# ---------------------------------------------------------------------- resample
def _resample(options: argparse.Namespace) -> None:
    bundle = open_bundle(options.bundle)
    model = _model(bundle, options.size, options.strict)
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


def _model(bundle: Bundle, size: str, strict: bool = False) -> Model:
    """The network at a size; says so where that is not the size asked for, or not a good one."""
    model = bundle.resample(size.strip())
    if model.size < model.plan.requested:
        print(
            f"size {model.plan.requested:g} is not calibrated; using {model.size:g}, the next below",
            file=sys.stderr,
        )
    if not model.is_safe:
        safe = bundle.manifest.curve["safe_from"]
        text = f"size {model.size:g}: the network was measured to collapse below size {safe:g} (inn info)"
        if strict:
            raise UsageError(text)
        print(f"warning: {text}", file=sys.stderr)
    return model


# ---------------------------------------------------------------------- run
def _run(options: argparse.Namespace) -> None:
    if options.top < 1:
        raise UsageError(f"--top: expected at least 1, found {options.top}")
    bundle = open_bundle(options.bundle)
    model = _model(bundle, options.size)
    inputs = _read_arrays(options.input)
    with model.session(threads=options.threads, engine=options.engine) as session:
        outputs = session.run(inputs)
    named = outputs if isinstance(outputs, dict) else {bundle.manifest.outputs[0].name: outputs}
    if options.output:
        write_npz(options.output, named)
        print(f"{options.output}: " + ", ".join(f"{name} {array.shape}" for name, array in named.items()))
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
    if not named:
        raise UsageError(f"{options.bundle}: the bundle has no presets; give --sizes")
    models = {model.size: model for model in (_model(bundle, size) for size in named)}
    results: list[BenchResult] = []
    for size in sorted(models):
        result = bench(
            bundle,
            size,
            threads=options.threads,
            batch=options.batch,
            warmup=options.warmup,
            runs=options.runs,
            engine=options.engine,
        )
        if not options.json:
            if not results:
                print(format_title(bundle.manifest.name, result))
            print(format_result(result), flush=True)
        results.append(result)
    document = json.dumps([result.to_json() for result in results], indent=1)
    if options.json:
        print(document)
    if options.output:
        write_atomically(options.output, (document + "\n").encode())

"""The runtime's commands."""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EngineError, UsageError
from ..files import write_atomically
from ..format.manifest import Manifest, Size
from ..network import Bundle
from ..noise import noise
from . import bench, resample, strip
from .json_text import to_json
from .options import ENGINES, SIZE_HELP, command, engine_options, opened, resampled
from .summary import describe, format_summary

__all__ = ["ENGINES", "register", "write_npz"]

SELF_CHECK_TOLERANCE = 1e-3


def register(subparsers: Any) -> None:
    """Add the runtime's commands to the parser."""
    info = command(subparsers, "info", _info, "show what a bundle holds and its measured curve")
    info.add_argument("--json", action="store_true", help="print as JSON")
    info.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw the curve (needs matplotlib: innlite[plot])"
    )

    verify = command(
        subparsers, "verify", _verify, "check every tensor, and the engine's outputs at every size"
    )
    verify.add_argument("--json", action="store_true", help="print as JSON")
    verify.add_argument(
        "--source",
        type=Path,
        metavar="MODEL.onnx",
        help="compare the full size with the file that the bundle was made from, in ONNX Runtime",
    )
    engine_options(verify, guarded=True)

    resample.register(subparsers)

    run = command(subparsers, "run", _run, "run the network on arrays")
    run.add_argument("--size", default="full", help=f"{SIZE_HELP} (default: full)")
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
    run.add_argument(
        "--allow-nonfinite", action="store_true", help="let NaN and infinity in the input through"
    )
    engine_options(run)

    bench.register(subparsers)
    strip.register(subparsers)


# ---------------------------------------------------------------------- info
def _info(options: argparse.Namespace) -> None:
    summary = describe(opened(options))
    if options.plot:
        from .plot import plot_curve

        write_atomically(options.plot, plot_curve(summary))
    print(to_json(summary) if options.json else format_summary(summary))


# ---------------------------------------------------------------------- verify
def _verify(options: argparse.Namespace) -> None:
    bundle = opened(options)
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
    for name, difference in _source_check(bundle, options) if options.source else ():
        checks.append({"size": 1.0, "output": name, "difference": difference, "source": str(options.source)})
        if not options.json:
            print(f"size 1: output {name!r} agrees with {options.source} to {difference:.1e} of its scale")
    if options.json:
        print(to_json({"tensors": tensors, "checks": checks}))
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
        tolerance = _tolerance(manifest, size.size)
        if not difference <= tolerance:
            raise EngineError(
                f"{where} differs from the self-check by {difference:.1e} of its scale, "
                f"expected at most {tolerance:g}"
            )
        yield name, difference


def _tolerance(manifest: Manifest, size: float) -> float:
    """At full size the source file's outputs are expected, from which storage takes its share."""
    return SELF_CHECK_TOLERANCE + (manifest.source_difference if size == 1.0 else 0.0)


def _source_check(bundle: Bundle, options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """Every output at full size, and its largest difference from the source file's, over its scale."""
    from ..source import SourceModel, relative_difference

    manifest, source = bundle.manifest, SourceModel(options.source)
    ports = enumerate(manifest.inputs)
    inputs = {port.name: noise(manifest.check_seed + index, port.shape) for index, port in ports}
    inputs = source.representable(inputs)
    expected = source.run(inputs)
    with bundle.resample(1.0).session(threads=options.threads, engine=options.engine) as session:
        outputs = session.run(inputs)
    found = outputs if isinstance(outputs, dict) else {manifest.outputs[0].name: outputs}
    for name, output in found.items():
        if name not in expected:
            raise UsageError(f"{options.source}: expected an output {name!r}, found {', '.join(expected)}")
        difference, tolerance = relative_difference(output, expected[name]), _tolerance(manifest, 1.0)
        if not difference <= tolerance:
            raise EngineError(
                f"{options.bundle}: size 1: output {name!r} differs from {options.source} by "
                f"{difference:.1e} of its scale, expected at most {tolerance:g}"
            )
        yield name, difference


# ---------------------------------------------------------------------- run
def _run(options: argparse.Namespace) -> None:
    if options.top < 1:
        raise UsageError(f"--top: expected at least 1, found {options.top}")
    bundle = opened(options)
    model = resampled(bundle, options.size)
    inputs = _read_arrays(options.input)
    with model.session(threads=options.threads, engine=options.engine) as session:
        outputs = session.run(inputs, allow_nonfinite=options.allow_nonfinite)
    named = outputs if isinstance(outputs, dict) else {bundle.manifest.outputs[0].name: outputs}
    if options.output:
        write_npz(options.output, named)
        print(f"{options.output}: " + ", ".join(f"{name} {array.shape}" for name, array in named.items()))
    elif options.json:
        print(to_json({name: array.tolist() for name, array in named.items()}, None))
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

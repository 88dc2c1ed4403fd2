"""Other models beside a bundle's, timed in turns: a `.ms` file in the same engine, ONNX in ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..engine import load_engine
from ..errors import EngineError, UsageError
from ..network import Model
from ..noise import noise

RUNS_IN_TURN = 10
"""Runs of one before it is the other's turn: what heats or slows the device meets both."""

Run = Callable[[], object]


def compare(
    model: Model, path: Path, *, threads: int = 1, engine: str = "auto", runs: int = 100
) -> dict[str, Any]:
    """Median latencies of a bundle's model and of another file, batch 1, and their ratio.

    Raises
    ------
    UsageError : the file cannot be read, or is of no known kind; ONNX Runtime is missing
    EngineError : an engine refuses the file or failed
    """
    name, run = _load(path, threads, engine)
    inputs = {port.name: noise(0, port.shape) for port in model.manifest.inputs}
    with model.session(threads=threads, engine=engine) as session:
        own, other = _in_turns((lambda: session.run(inputs), run), runs)
    return {
        "file": str(path),
        "with": name,
        "size": model.size,
        "p50": own,
        "other_p50": other,
        "ratio": own / other,
    }


def _in_turns(models: tuple[Run, Run], runs: int) -> tuple[float, float]:
    """Median milliseconds of each."""
    times: tuple[list[float], list[float]] = ([], [])
    for block in range(-1, -(-runs // RUNS_IN_TURN)):  # the first block warms up
        for run, found in zip(models, times):
            for _ in range(RUNS_IN_TURN):
                start = time.perf_counter()
                run()
                if block >= 0:
                    found.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times[0])), float(np.median(times[1]))


def _load(path: Path, threads: int, engine: str) -> tuple[str, Run]:
    """What runs the file, and a run of it on noise."""
    if path.suffix not in (".ms", ".onnx"):
        raise UsageError(f"{path}: expected a .ms or .onnx file to compare with")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    return _load_ms(content, threads, engine) if path.suffix == ".ms" else _load_onnx(path, content, threads)


def _load_ms(content: bytes, threads: int, engine: str) -> tuple[str, Run]:
    loaded = load_engine(engine)
    built = loaded.build(content, threads)
    shapes = {spec.name: tuple(max(1, size) for size in spec.shape) for spec in built.inputs}
    built.resize(shapes)
    inputs: dict[str, Any] = {
        spec.name: noise(0, shapes[spec.name]).astype(spec.dtype, copy=False) for spec in built.inputs
    }
    return f"MindSpore Lite {loaded.version} ({loaded.name})", lambda: built.run(inputs)


def _load_onnx(path: Path, content: bytes, threads: int) -> tuple[str, Run]:
    try:
        import onnxruntime
    except ImportError:
        raise UsageError(f"{path}: needs ONNX Runtime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        inputs = {}
        for entry in session.get_inputs():
            if entry.type != "tensor(float)":
                raise UsageError(f"{path}: input {entry.name!r}: expected float32, found {entry.type}")
            shape = tuple(size if isinstance(size, int) and size > 0 else 1 for size in entry.shape)
            inputs[entry.name] = noise(0, shape)
        session.run(None, inputs)
    except UsageError:
        raise
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise EngineError(f"{path}: ONNX Runtime: {str(error).splitlines()[0]}") from None
    return f"ONNX Runtime {onnxruntime.__version__}", lambda: session.run(None, inputs)

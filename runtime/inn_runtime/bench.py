"""Latency of a bundle at several sizes, on this device."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .bundle import Bundle
from .errors import UsageError
from .model import Model
from .noise import noise
from .session import Session


@dataclass(frozen=True)
class BenchResult:
    """Times in milliseconds, sizes in bytes.

    ``first`` is the first inference after the build, ``warmup_mean`` the mean of the untimed runs that
    follow, ``min`` to ``std`` describe the timed runs. ``peak_memory`` is the largest resident memory so
    far of the process that runs the engine.
    """

    name: str
    size: float
    device: str
    engine: str
    engine_version: str
    threads: int
    batch: int
    model_bytes: int
    parameters: int
    macs: int
    resample: float
    build: float
    first: float
    warmup: int
    warmup_mean: float | None
    runs: int
    min: float
    mean: float
    p50: float
    p95: float
    max: float
    std: float
    peak_memory: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def bench(
    bundle: Bundle,
    size: float | str,
    *,
    threads: int = 1,
    batch: int = 1,
    warmup: int = 10,
    runs: int = 100,
    engine: str = "auto",
) -> BenchResult:
    """Build the network at a size and time it on seeded noise.

    Raises
    ------
    UsageError : a count is too small, or the size is not in the bundle
    EngineError : MindSpore Lite is missing or failed
    """
    for name, value, least in (("runs", runs, 1), ("warmup", warmup, 0), ("batch", batch, 1)):
        if value < least:
            raise UsageError(f"{name}: expected at least {least}, found {value}")
    model = bundle.resample(size)
    measured = _measure(model, threads, batch, warmup, runs, engine)
    # Only now that its session is gone, a worker has ended and its memory is known.
    peak = peak_memory(measured["engine"])
    return BenchResult(
        name=model.name,
        size=model.size,
        device=device_name(),
        threads=threads,
        batch=batch,
        parameters=model.parameters,
        macs=model.macs,
        warmup=warmup,
        runs=runs,
        peak_memory=peak,
        **measured,
    )


def _measure(model: Model, threads: int, batch: int, warmup: int, runs: int, engine: str) -> dict[str, Any]:
    inputs = {port.name: noise(0, (batch, *port.shape[1:])) for port in model.bundle.manifest.inputs}
    with Session(model, threads=threads, engine=engine) as session:
        first = _timed(session, inputs, 1)
        warm = _timed(session, inputs, warmup)
        times = _timed(session, inputs, runs)
        return {
            "engine": session.engine,
            "engine_version": session.engine_version,
            "model_bytes": session.model_bytes,
            "resample": session.resample_seconds * 1e3,
            "build": session.build_seconds * 1e3,
            "first": float(first[0]),
            "warmup_mean": float(warm.mean()) if warmup else None,
            "min": float(times.min()),
            "mean": float(times.mean()),
            "p50": float(np.percentile(times, 50)),
            "p95": float(np.percentile(times, 95)),
            "max": float(times.max()),
            "std": float(times.std()),
        }


def _timed(
    session: Session, inputs: dict[str, npt.NDArray[np.float32]], count: int
) -> npt.NDArray[np.float64]:
    """Milliseconds of each of ``count`` runs."""
    times = np.empty(count)
    for index in range(count):
        start = time.perf_counter()
        session.run(inputs)
        times[index] = (time.perf_counter() - start) * 1e3
    return times


def peak_memory(engine: str) -> int:
    """Largest resident memory so far, in bytes: of this process, or of the largest worker that has ended."""
    who = resource.RUSAGE_CHILDREN if engine == "worker" else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss * 1024


def device_name() -> str:
    """The board's or processor's name, with cores and architecture, as far as Linux tells."""
    name = ""
    board, processor = Path("/proc/device-tree/model"), Path("/proc/cpuinfo")
    if board.is_file():
        name = board.read_text(errors="replace").strip("\0 \n")
    elif processor.is_file():
        fields = (line.partition(":") for line in processor.read_text(errors="replace").splitlines())
        name = next((v.strip() for k, _, v in fields if k.strip() in ("model name", "Hardware")), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = f"{platform.machine()}, {cores} core{'' if cores == 1 else 's'}"
    return f"{name} ({kind})" if name else kind


HEADER = (
    "size",
    "",
    "min",
    "mean",
    "p50",
    "p95",
    "max",
    "std",
    "first",
    "build",
    "resample",
    "model",
    "peak",
)
_WIDTHS = (8, 5, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8)


def format_title(name: str, result: BenchResult) -> str:
    """What all lines of a table have in common, and the table's header."""
    threads = f"{result.threads} thread{'' if result.threads == 1 else 's'}"
    return (
        f"{name} on {result.device}\n"
        f"MindSpore Lite {result.engine_version} ({result.engine}), {threads}, batch {result.batch}, "
        f"{result.warmup} warm-up and {result.runs} timed runs\n"
        "times in ms; first: first inference; model: .ms file, peak: resident memory, in MB\n\n"
        f"{_line(HEADER)}"
    )


def format_result(result: BenchResult) -> str:
    """A result as a line of the table, in the manner of ncnn's and LiteRT's benchmarks."""
    times = (result.min, result.mean, result.p50, result.p95, result.max, result.std)
    steps = (result.first, result.build, result.resample)
    sizes = (result.model_bytes, result.peak_memory)
    name = result.name if result.name != f"{result.size:g}" else ""
    return _line(
        [
            name,
            f"{result.size:g}",
            *(f"{value:.3f}" if value < 1000 else f"{value:.0f}" for value in times),
            *(f"{value:.2f}" if value < 1000 else f"{value:.0f}" for value in steps),
            *(f"{value / 1e6:.2f}" for value in sizes),
        ]
    )


def _line(cells: Sequence[str]) -> str:
    """Cells in columns of fixed width, so that a line can be printed as soon as it is known."""
    first, *others = (
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, _WIDTHS))
    )
    return " ".join([first, *others])

"""Latency of a bundle at several sizes, on this device."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .bundle import Bundle
from .errors import UsageError
from .noise import noise
from .session import Session


@dataclass(frozen=True)
class BenchResult:
    """Times in milliseconds, sizes in bytes.

    ``first`` is the first inference after the build, ``min`` to ``std`` describe the timed runs.
    ``peak_memory`` is the largest resident memory of the process (and its engine worker) so far.
    """

    name: str
    size: float
    engine: str
    threads: int
    batch: int
    model_bytes: int
    parameters: int
    macs: int
    resample: float
    build: float
    first: float
    warmup: int
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
    UsageError : a count is not positive, or the size is not in the bundle
    EngineError : MindSpore Lite is missing or failed
    """
    for name, value, least in (("runs", runs, 1), ("warmup", warmup, 0), ("batch", batch, 1)):
        if value < least:
            raise UsageError(f"{name}: expected at least {least}, found {value}")
    inputs = {port.name: noise(0, (batch, *port.shape[1:])) for port in bundle.manifest.inputs}
    model = bundle.resample(size)
    with Session(model, threads=threads, engine=engine) as session:

        def timed(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
            times = np.empty(count)
            for index in range(count):
                start = time.perf_counter()
                session.run(inputs)
                times[index] = (time.perf_counter() - start) * 1e3
            return times

        first = float(timed(1)[0])
        timed(warmup)
        times = timed(runs)
        return BenchResult(
            name=model.name,
            size=model.size,
            engine=session.engine,
            threads=threads,
            batch=batch,
            model_bytes=session.model_bytes,
            parameters=model.parameters,
            macs=model.macs,
            resample=session.resample_seconds * 1e3,
            build=session.build_seconds * 1e3,
            first=first,
            warmup=warmup,
            runs=runs,
            min=float(times.min()),
            mean=float(times.mean()),
            p50=float(np.percentile(times, 50)),
            p95=float(np.percentile(times, 95)),
            max=float(times.max()),
            std=float(times.std()),
            peak_memory=peak_memory(),
        )


def peak_memory() -> int:
    """Largest resident memory so far, in bytes: of this process, or of a finished worker if larger."""
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(usage) * 1024


def format_results(results: Sequence[BenchResult]) -> str:
    """One line per size, in the manner of ncnn's and LiteRT's benchmarks."""
    width = max(len(r.name) for r in results)
    return "\n".join(
        f"{r.name:>{width}}  min = {r.min:8.3f}  mean = {r.mean:8.3f}  p50 = {r.p50:8.3f}  "
        f"p95 = {r.p95:8.3f}  max = {r.max:8.3f}  std = {r.std:7.3f}  | resample = {r.resample:7.1f}  "
        f"build = {r.build:7.1f}  first = {r.first:7.2f}  | model = {r.model_bytes / 1e6:6.2f} MB  "
        f"peak = {r.peak_memory / 1e6:4.0f} MB"
        for r in results
    )

"""Latency, memory and per-node times of a bundle at a size, on this device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine import NodeTime, resolve_engine
from ..errors import UsageError
from ..measuring.device import device_name
from ..measuring.memory import measure_memory
from ..measuring.timing import timed
from ..network import Bundle, Model
from ..noise import noise
from ..session import Session

PROFILED_RUNS = 20
"""Runs whose node times are averaged."""


@dataclass(frozen=True)
class BenchResult:
    """Times in milliseconds, sizes in bytes.

    ``first`` is the first inference after the build, ``warmup_mean`` the mean of the untimed runs that
    follow, ``min`` to ``std`` describe the timed runs. ``engine_memory``, ``model_memory`` and
    ``peak_memory`` are those of `MemoryUse`, None where they were not measured. ``nodes`` holds the mean
    time of every node, where that was asked for.
    """

    name: str
    size: float
    weights: str
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
    engine_memory: int | None
    model_memory: int | None
    peak_memory: int | None
    nodes: list[NodeTime] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def bench(
    bundle: Bundle,
    size: float | str,
    *,
    weights: str = "float32",
    threads: int = 1,
    batch: int = 1,
    warmup: int = 10,
    runs: int = 100,
    engine: str = "auto",
    nodes: bool = False,
    memory: bool = True,
) -> BenchResult:
    """Build the network at a size and time it on seeded noise.

    Parameters
    ----------
    nodes : also time every node, in runs of their own
    memory : also measure memory at batch 1, in a worker process; not with the engine ``vendor``

    Raises
    ------
    UsageError : a count is too small, or the size is not in the bundle
    EngineError : MindSpore Lite is missing or failed
    """
    for name, value, least in (("runs", runs, 1), ("warmup", warmup, 0), ("batch", batch, 1)):
        if value < least:
            raise UsageError(f"{name}: expected at least {least}, found {value}")
    model = bundle.resample(size, weights=weights)
    measured = _measure(model, threads, batch, warmup, runs, engine, nodes)
    use = measure_memory(model, threads) if memory and resolve_engine(engine) != "vendor" else None
    return BenchResult(
        name=model.name,
        size=model.size,
        weights=model.weights,
        device=device_name(),
        threads=threads,
        batch=batch,
        parameters=model.parameters,
        macs=model.macs,
        warmup=warmup,
        runs=runs,
        engine_memory=use.engine if use else None,
        model_memory=use.model if use else None,
        peak_memory=use.peak if use else None,
        **measured,
    )


def _measure(
    model: Model, threads: int, batch: int, warmup: int, runs: int, engine: str, nodes: bool
) -> dict[str, Any]:
    inputs = {port.name: noise(0, (batch, *port.shape[1:])) for port in model.manifest.inputs}
    with Session(model, threads=threads, engine=engine) as session:
        first = timed(session, inputs, 1)
        warm = timed(session, inputs, warmup)
        times = timed(session, inputs, runs)
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
            "nodes": node_times(session, inputs) if nodes else [],
        }


def node_times(session: Session[Model], inputs: Mapping[str, npt.NDArray[np.float32]]) -> list[NodeTime]:
    """Mean time of every node in order of execution."""
    found = [session.profile(inputs) for _ in range(PROFILED_RUNS)]
    means = np.mean([[node.milliseconds for node in nodes] for nodes in found], axis=0)
    return [NodeTime(node.name, node.type, float(mean)) for node, mean in zip(found[0], means)]

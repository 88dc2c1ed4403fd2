"""How long a network's runs take."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from ..noise import noise
from ..runnable import Runnable, Running

WARMUP_SECONDS, WARMUP_RUNS = 0.05, 3
TIMED_SECONDS, TIMED_RUNS = 0.3, 10


def timed(
    session: Running, inputs: Any, least: int = 1, most: float = math.inf, seconds: float = 0.0
) -> npt.NDArray[np.float64]:
    """Milliseconds of each run: of ``least``, and of others that start within ``seconds``, up to ``most`` in
    all."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or (len(times) < most and time.perf_counter() < end):
        start = time.perf_counter()
        session.run(inputs)
        times.append((time.perf_counter() - start) * 1e3)
    return np.array(times)


def measure_latency(model: Runnable, threads: int, engine: str) -> float:
    """Median milliseconds of one call at batch 1, after a warm-up."""
    inputs = {port.name: noise(0, port.shape) for port in model.manifest.inputs}
    with model.session(threads=threads, engine=engine) as session:
        timed(session, inputs, WARMUP_RUNS, seconds=WARMUP_SECONDS)
        times = timed(session, inputs, TIMED_RUNS, seconds=TIMED_SECONDS)
    return float(np.median(times))

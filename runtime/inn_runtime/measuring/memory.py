"""Memory that a model takes in the engine, measured in a worker process where nothing else counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EngineError, UsageError
from ..runnable import Runnable

if TYPE_CHECKING:
    from ..engine.worker import WorkerEngine, WorkerModel


@dataclass(frozen=True)
class MemoryUse:
    """Resident memory in bytes.

    Attributes
    ----------
    engine : of a process with Python, NumPy and the engine, which has served another model before
    model : what the model adds to that, once it has run at batch 1
    peak : the most that the process ever held; the `.ms` bytes are among it while the model is built
    """

    engine: int
    model: int
    peak: int


def measure_memory(model: Runnable, threads: int = 1, engine: str = "auto") -> MemoryUse:
    """Build a model in a fresh worker process and see how the process grows.

    Raises
    ------
    UsageError : the engine is ``vendor``, which has no worker
    EngineError : MindSpore Lite failed, or the system does not tell a process's memory
    """
    from ..engine.worker import WorkerEngine

    if engine == "vendor":
        raise UsageError("memory: the engine 'vendor' cannot be measured; use 'native' or 'worker'")
    smallest = model.resized(model.manifest.sizes[0].size)
    worker = WorkerEngine()
    # What the engine keeps once it has run anything is its own.
    _serve(worker, smallest.to_engine_bytes(), threads).close()
    before, _ = _resident(worker.process)
    kept = _serve(worker, model.to_engine_bytes(), threads)
    after, peak = _resident(worker.process)
    kept.close()
    return MemoryUse(before, max(0, after - before), peak)


def _serve(worker: WorkerEngine, content: memoryview, threads: int) -> WorkerModel:
    built = worker.build(content, threads)
    built.run({spec.name: np.zeros(spec.shape, spec.dtype) for spec in built.inputs})
    return built


def _resident(process: int) -> tuple[int, int]:
    """Resident memory of a process now, and the most so far."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        now, peak = (int(values[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))
    except (OSError, KeyError, ValueError) as error:
        raise EngineError(f"this system does not tell a process's memory ({error!r})") from None
    return now, peak

"""What sizes of a bundle cost on this device: measured, and kept in the cache for the next process.

One file per bundle, engine, thread count and weight type; it says which device and which version of MindSpore
Lite it was measured with, and is measured anew where these have changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .device import device_name
from .engine import engine_version, resolve_engine
from .engine.library import cache_folder
from .errors import InnError
from .files import write_atomically
from .memory import measure_memory
from .noise import noise
from .timing import timed

if TYPE_CHECKING:
    from .bundle import Bundle
    from .model import Model

FORMAT = 1
WARMUP_SECONDS, WARMUP_RUNS = 0.05, 3
TIMED_SECONDS, TIMED_RUNS = 0.3, 10

_log = logging.getLogger(__name__)


class DeviceProfile:
    """Measured costs of a bundle's sizes on this device.

    Parameters
    ----------
    bundle, threads, engine, weights : what is measured, and how it is run
    remeasure : leave out what the cache holds; it is written anew
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int = 1,
        engine: str = "auto",
        weights: str = "float32",
        remeasure: bool = False,
    ) -> None:
        self.bundle = bundle
        self.threads = threads
        self.engine = resolve_engine(engine)
        self.weights = weights
        self._about = {
            "format": FORMAT,
            "device": device_name(),
            "bundle": bundle.fingerprint,
            "threads": threads,
            "engine": self.engine,
            "engine_version": engine_version(self.engine),
            "weights": weights,
        }
        self._measured: dict[str, dict[float, list[float]]] = {"latency_ms": {}, "memory_mb": {}}
        if not remeasure:
            self._load()

    @property
    def path(self) -> Path:
        """The file in the cache."""
        name = "-".join(str(self._about[key]) for key in ("bundle", "engine", "threads", "weights"))
        return cache_folder() / "profiles" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def known(self, what: str) -> dict[float, float]:
        """Size → cost of those measured so far; ``what`` is ``latency_ms`` or ``memory_mb``.

        Of several measurements the least: whatever else the device does only adds.
        """
        return {size: min(found) for size, found in self._measured[what].items()}

    def measure(self, what: str, size: float, times: int = 1) -> float:
        """The cost of a size, measured at least so many times: from the cache, or now.

        Raises
        ------
        EngineError : MindSpore Lite is missing or failed
        """
        measured = self._measured[what]
        while len(measured.get(size, ())) < times:
            model = self.bundle.resample(size, weights=self.weights)
            if what == "latency_ms":
                cost = measure_latency(model, self.threads, self.engine)
            else:
                cost = measure_memory(model, self.threads, self.engine).model / 1e6
            measured.setdefault(size, []).append(cost)
            self._save()
        return min(measured[size])

    def predict(self, what: str, flops: Sequence[float], sizes: Sequence[float]) -> npt.NDArray[np.float64]:
        """Costs of sizes by a monotone fit of those measured, linear in FLOPs in between; (sizes,)."""
        values = self.known(what)
        at = dict(zip(sizes, flops))
        points = sorted((at[size], cost) for size, cost in values.items() if size in at)
        x, y = (np.array(column) for column in zip(*points))
        return np.interp(np.asarray(flops, np.float64), x, monotone(y))

    # ------------------------------------------------------------------ file
    def _load(self) -> None:
        try:
            text = self.path.read_text()
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, UnicodeDecodeError) as error:
            self._rebuild(f"cannot be read ({error})")
            return
        try:
            document = json.loads(text)
            measured = {what: _numbers(document[what]) for what in self._measured}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._rebuild("is damaged")
            return
        for field, expected in self._about.items():
            if document.get(field) != expected:
                self._rebuild(f"is of another {field.replace('_', ' ')} ({document.get(field)!r:.80})")
                return
        self._measured = measured

    def _rebuild(self, reason: str) -> None:
        if self.path not in _said:
            _said.add(self.path)
            _log.warning("the profile %s %s: measuring anew", self.path, reason)

    def _save(self) -> None:
        document: dict[str, Any] = dict(self._about)
        for what, values in self._measured.items():
            document[what] = {repr(size): found for size, found in sorted(values.items())}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, (json.dumps(document, indent=1) + "\n").encode())
        except (OSError, InnError) as error:
            if self.path.parent not in _said:  # a convenience: a device may have no disk to write to
                _said.add(self.path.parent)
                _log.warning("measurements are not kept: %s", error)


_said: set[Path] = set()
"""Files and folders that a warning has named: once in a process is enough."""


def _numbers(values: dict[str, list[float]]) -> dict[float, list[float]]:
    result = {float(size): [float(cost) for cost in found] for size, found in values.items()}
    for size, found in result.items():
        if not (0 < size <= 1.5 and found and all(0 <= cost < math.inf for cost in found)):
            raise ValueError
    return result


def monotone(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The non-decreasing sequence nearest to ``values`` in squares (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, count = float(value), 1
        while blocks and blocks[-1][0] >= mean:
            other, others = blocks.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        blocks.append((mean, count))
    return np.concatenate([np.full(count, mean) for mean, count in blocks])


def measure_latency(model: Model, threads: int, engine: str) -> float:
    """Median milliseconds of one call at batch 1, after a warm-up."""
    inputs = {port.name: noise(0, port.shape) for port in model.bundle.manifest.inputs}
    with model.session(threads=threads, engine=engine) as session:
        timed(session, inputs, WARMUP_RUNS, seconds=WARMUP_SECONDS)
        times = timed(session, inputs, TIMED_RUNS, seconds=TIMED_SECONDS)
    return float(np.median(times))

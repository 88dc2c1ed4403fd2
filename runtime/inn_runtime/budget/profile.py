"""What sizes of a bundle cost on this device: measured, and kept in the cache for the next process.

One file per bundle, engine, thread count and weight type; it says which device and which version of MindSpore
Lite it was measured with, and is measured anew where these have changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ..engine import engine_version, resolve_engine
from ..engine.library import cache_folder
from ..errors import InnError
from ..files import write_atomically
from ..measuring.device import device_name
from ..runnable import Runnable
from ..sampling.plan import LARGEST
from .budget import BOUNDS

PROFILE_VERSION = 1

MEASURES = {name: bound.measure for name, bound in BOUNDS.items() if bound.measure is not None}
"""Name of a bound that this device alone can tell → how it is measured."""

Measurements = dict[str, dict[float, list[float]]]
"""Name of such a bound → size → every cost that was found."""

_log = logging.getLogger(__name__)


class Resizable(Protocol):
    """What is measured: `inn_runtime.network.Bundle`."""

    @property
    def fingerprint(self) -> str:
        """Tells its contents from those of others."""
        ...

    def resample(self, size: float, *, weights: str) -> Runnable:
        """The network at a size."""
        ...


class DeviceProfile:
    """Measured costs of a bundle's sizes on this device. Nothing is read before the first question.

    Parameters
    ----------
    bundle, threads, engine, weights : what is measured, and how it is run
    remeasure : leave out what the cache holds; it is written anew
    """

    def __init__(
        self,
        bundle: Resizable,
        threads: int = 1,
        engine: str = "auto",
        weights: str = "float32",
        remeasure: bool = False,
    ) -> None:
        self._bundle = bundle
        self._threads = threads
        self._engine = engine
        self._weights = weights
        self._remeasure = remeasure

    @cached_property
    def _about(self) -> dict[str, Any]:
        """What was measured, where, and with what; the file says the same."""
        engine = resolve_engine(self._engine)
        return {
            "format": PROFILE_VERSION,
            "device": device_name(),
            "bundle": self._bundle.fingerprint,
            "threads": self._threads,
            "engine": engine,
            "engine_version": engine_version(engine),
            "weights": self._weights,
        }

    @cached_property
    def _measured(self) -> Measurements:
        return (None if self._remeasure else self._load()) or {name: {} for name in MEASURES}

    @property
    def path(self) -> Path:
        """The file in the cache."""
        name = "-".join(str(self._about[key]) for key in ("bundle", "engine", "threads", "weights"))
        return cache_folder() / "profiles" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def known(self, name: str) -> dict[float, float]:
        """Size → cost of those measured so far, by the name of a bound that is measured.

        Of several measurements the least: whatever else the device does only adds.
        """
        return {size: min(found) for size, found in self._measured[name].items()}

    def measure(self, name: str, size: float, times: int = 1) -> float:
        """The cost of a size, measured at least so many times: from the cache, or now.

        Raises
        ------
        EngineError : MindSpore Lite is missing or failed
        """
        measured = self._measured[name]
        while len(measured.get(size, ())) < times:
            model = self._bundle.resample(size, weights=self._weights)
            cost = MEASURES[name](model, self._threads, self._about["engine"])
            measured.setdefault(size, []).append(cost)
            self._save()
        return min(measured[size])

    # ------------------------------------------------------------------ file
    def _load(self) -> Measurements | None:
        """What the file holds; None where there is none that will do."""
        try:
            text = self.path.read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError) as error:
            self._rebuild(f"cannot be read ({error})")
            return None
        try:
            document = json.loads(text)
            measured = {name: _numbers(document[name]) for name in MEASURES}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._rebuild("is damaged")
            return None
        for field, expected in self._about.items():
            if document.get(field) != expected:
                self._rebuild(f"is of another {field.replace('_', ' ')} ({document.get(field)!r:.80})")
                return None
        return measured

    def _rebuild(self, reason: str) -> None:
        if self.path not in _said:
            _said.add(self.path)
            _log.warning("the profile %s %s: measuring anew", self.path, reason)

    def _save(self) -> None:
        document: dict[str, Any] = dict(self._about)
        for name, values in self._measured.items():
            document[name] = {repr(size): found for size, found in sorted(values.items())}
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
        if not (0 < size <= LARGEST and found and all(0 <= cost < math.inf for cost in found)):
            raise ValueError
    return result

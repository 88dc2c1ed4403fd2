"""What the page asks for: a picture's answers at two sizes, latencies, the best size for a budget."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError, UsageError
from ..measuring.device import device_name
from ..measuring.timing import timed
from ..network import Bundle, Model
from ..noise import noise
from ..preprocessing import Preprocessing
from ..sampling.plan import make_plan
from ..session import Array, Session

if TYPE_CHECKING:
    from PIL import Image

TOP = 5
"""Classes shown of an answer."""
KEPT = 3
"""Models held in the engine besides the full one: memory stays bounded however the slider moves."""
LAST_RUNS = 100
"""Runs that a latency describes."""
RUNS = 20
SECONDS = 0.2
"""An answer is timed this often, or this long where the network is slow."""


class Workbench:
    """A bundle at work. Calls from several threads run one after another, so that timings hold.

    Parameters
    ----------
    bundle : with one input of 1 or 3 channels, an image
    preprocess : how a picture becomes the input; None takes what the bundle says
    threads, engine : see `Session`

    Raises
    ------
    UsageError : the network takes no image, or nobody says how a picture becomes its input
    EngineError : MindSpore Lite is missing or refuses the network
    """

    def __init__(
        self, bundle: Bundle, preprocess: dict[str, Any] | None = None, threads: int = 1, engine: str = "auto"
    ) -> None:
        manifest = bundle.manifest
        if len(manifest.inputs) != 1:
            raise UsageError(
                f"{bundle.source}: expected a network with one input, an image, found {len(manifest.inputs)}"
            )
        port = manifest.inputs[0]
        values = port.preprocessing if preprocess is None else preprocess
        if values is None:
            raise UsageError(
                f"{bundle.source}: the bundle does not say how pictures become its input {port.name!r}; "
                """add --preprocess '{"scale": 255, "mean": …, "std": …}'"""
            )
        self.bundle = bundle
        self._preprocessing = Preprocessing.parse(values, port.shape)
        self._threads, self._engine = threads, engine
        self._lock = threading.Lock()
        self._sessions: OrderedDict[float, Session[Model]] = OrderedDict()
        self._times: dict[float, deque[float]] = {}
        self._full = manifest.sizes[-1].size
        try:
            with self._lock:
                session = self._session(self._full)
                self._engine_version = session.engine_version
                timed(session, self._noise())  # an engine that cannot run it says so now
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------ what the page shows
    def describe(self) -> dict[str, Any]:
        """The bundle, its sizes with what was measured at export, and this device."""
        manifest = self.bundle.manifest
        names = {size: name for name, size in manifest.presets.items()}
        sizes = []
        for size in manifest.sizes:
            model = self.bundle.resample(size.size)
            sizes.append(
                {
                    "name": names.get(size.size, ""),
                    "size": size.size,
                    "parameters": model.parameters,
                    "flops": 2 * model.macs,
                    "measured": {k: v for k, v in size.measured.items() if k not in ("parameters", "macs")},
                    "safe": model.is_safe,
                }
            )
        _, channels, height, width = manifest.inputs[0].shape
        return {
            "name": manifest.name,
            "input": {"channels": channels, "height": height, "width": width},
            "classes": len(manifest.labels),
            "images_measured": manifest.curve.get("n"),
            "sizes": sizes,
            "device": device_name(),
            "engine": f"MindSpore Lite {self._engine_version}",
            "threads": self._threads,
        }

    def answer(self, picture: Image.Image, size: float | str) -> dict[str, Any]:
        """What the network says of a picture at a size, and at full size.

        Raises
        ------
        UsageError : no such size
        EngineError : MindSpore Lite failed, or its output is not finite
        """
        wanted = make_plan(self.bundle.manifest, size).size
        channels = self.bundle.manifest.inputs[0].shape[1]
        images = self._preprocessing(picture, channels)[None]
        with self._lock:
            full, full_output = self._run(self._full, images)
            chosen, output = (full, full_output) if wanted == self._full else self._run(wanted, images)
        if output.ndim == 2:
            agree = bool(output.argmax() == full_output.argmax())
            full = {**full, "classes": self._classes(full_output)}
            chosen = {**chosen, "classes": self._classes(output)}
            return {"kind": "classes", "chosen": chosen, "full": full, "agree": agree}
        return {"kind": "array", "chosen": chosen, "full": full, "psnr": _psnr(output, full_output)}

    def latency(self, size: float | str) -> dict[str, Any]:
        """Time the network at a size on noise, anew. Same errors as `answer`."""
        wanted = make_plan(self.bundle.manifest, size).size
        with self._lock:
            return self._time(wanted)

    def best(self, milliseconds: float) -> dict[str, Any]:
        """The largest of the bundle's sizes whose median latency, measured now, is within a budget.

        Raises
        ------
        UsageError : not a positive number, or no size is that fast; says which is the fastest
        EngineError : MindSpore Lite failed
        """
        if not 0 < milliseconds < float("inf"):
            raise UsageError(f"expected a time in milliseconds above 0, found {milliseconds:g}")
        with self._lock:
            measured = [self._time(size.size) for size in self.bundle.manifest.sizes]
        fitting = [entry for entry in measured if entry["p50"] <= milliseconds]
        if not fitting:
            fastest = min(measured, key=lambda entry: float(entry["p50"]))
            raise UsageError(
                f"no size is done within {milliseconds:g} ms on this device; "
                f"the fastest, {fastest['size']:g}, takes {fastest['p50']:.3g} ms"
            )
        return {"size": fitting[-1]["size"], "measured": measured}

    def close(self) -> None:
        """Free all models. Closing twice is allowed."""
        with self._lock:
            while self._sessions:
                self._sessions.popitem()[1].close()

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ with the lock held
    def _session(self, size: float) -> Session[Model]:
        """A session of this size: one that is kept, or a new one in place of the least recently used."""
        if size in self._sessions:
            self._sessions.move_to_end(size)
            return self._sessions[size]
        others = [kept for kept in self._sessions if kept != self._full]
        if len(others) >= KEPT:
            self._sessions.pop(others[0]).close()
        session = self.bundle.resample(size).session(threads=self._threads, engine=self._engine)
        self._sessions[size] = session
        return session

    def _run(self, size: float, images: Array) -> tuple[dict[str, Any], Array]:
        """The first output, and facts about the size with the latency of its last runs."""
        session = self._session(size)
        try:
            outputs = session.run(images)
            times = timed(session, images, most=RUNS, seconds=SECONDS)
        except EngineError:  # a worker may have ended: the next request begins with a new one
            self._sessions.pop(size).close()
            raise
        output = next(iter(outputs.values())) if isinstance(outputs, dict) else outputs
        if not np.isfinite(output).all():
            raise EngineError(f"size {size:g}: the network's output is not finite")
        kept = self._times.setdefault(size, deque(maxlen=LAST_RUNS))
        kept.extend(times)
        return {**self._facts(session), **_statistics(kept)}, output

    def _time(self, size: float) -> dict[str, Any]:
        """Latency at a size, from new runs alone."""
        session = self._session(size)
        try:
            timed(session, self._noise(), most=2, seconds=SECONDS)
            times = timed(session, self._noise(), most=2 * RUNS, seconds=SECONDS)
        except EngineError:
            self._sessions.pop(size).close()
            raise
        self._times[size] = deque(times, maxlen=LAST_RUNS)
        return {**self._facts(session), **_statistics(times)}

    def _noise(self) -> Array:
        return noise(0, self.bundle.manifest.inputs[0].shape)

    def _facts(self, session: Session[Model]) -> dict[str, Any]:
        return {
            "size": session.model.size,
            "name": session.model.name,
            "model_bytes": session.model_bytes,
            "parameters": session.model.parameters,
            "flops": 2 * session.model.macs,
            "resample": session.resample_seconds * 1e3,
            "build": session.build_seconds * 1e3,
        }

    def _classes(self, scores: Array) -> list[dict[str, Any]]:
        """The `TOP` classes of the first image."""
        labels = self.bundle.manifest.labels
        shares = _shares(scores[0].astype(np.float64))
        return [
            {"label": labels[i] if i < len(labels) else f"class {i}", "share": float(shares[i])}
            for i in np.argsort(-shares, kind="stable")[:TOP]
        ]


def _statistics(times: npt.NDArray[np.float64] | deque[float]) -> dict[str, Any]:
    return {
        "p50": float(np.percentile(list(times), 50)),
        "p95": float(np.percentile(list(times), 95)),
        "runs": len(times),
    }


def _shares(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores as shares of 1: the softmax, unless the network ends in one."""
    if scores.min() >= 0 and abs(scores.sum() - 1) < 1e-3:
        return scores
    powers = np.exp(scores - scores.max())
    shares: npt.NDArray[np.float64] = powers / powers.sum()
    return shares


def _psnr(output: Array, full: Array) -> float:
    """In dB against the full network's output, relative to its range; at most 200."""
    span = float(full.max() - full.min()) or 1.0
    error = float(np.mean((output.astype(np.float64) - full) ** 2))
    return float(10 * np.log10(span**2 / max(error, 1e-20 * span**2)))

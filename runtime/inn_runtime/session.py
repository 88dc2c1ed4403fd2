"""Running a resized network: arrays in the source model's layout, any batch, live resizing.

A session knows a network as `Runnable` alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Generic, Union

import numpy as np
import numpy.typing as npt

from .budget.budget import Budget
from .engine import EngineModel, NodeTime, load_engine
from .engine.forks import Owner
from .errors import UsageError
from .finite import all_finite
from .format.manifest import Manifest, Port
from .runnable import Sized

Array = npt.NDArray[np.float32]
Inputs = Union[npt.ArrayLike, Mapping[str, npt.ArrayLike]]


class _Built(Generic[Sized]):
    """A model that the engine holds, and the batch it is set to."""

    def __init__(self, model: Sized, engine_model: EngineModel) -> None:
        self.model = model
        self.engine_model = engine_model
        self.batch = 1


class Session(Generic[Sized]):
    """A resized network in the engine. One call runs at a time; threads may share a session.

    Attributes
    ----------
    engine, engine_version : name of the engine in use, version of MindSpore Lite
    resample_seconds, build_seconds : time taken by the latest resampling and packing, and by the
        engine's build
    model_bytes : size of the latest `.ms` model
    """

    def __init__(self, model: Sized, threads: int = 1, engine: str = "auto") -> None:
        self._engine = load_engine(engine)
        self._threads = threads
        self._owner = Owner()
        self._lock = threading.Lock()
        self._resizing = threading.Lock()
        self.engine = self._engine.name
        self.engine_version = self._engine.version
        self.resample_seconds = self.build_seconds = 0.0
        self.model_bytes = 0
        self._built: _Built[Sized] | None = self._build(model)

    def _build(self, model: Sized) -> _Built[Sized]:
        start = time.perf_counter()
        content = model.to_engine_bytes()
        packed = time.perf_counter()
        built = _Built(model, self._engine.build(content, self._threads))
        self.model_bytes = len(content) if model.weights == "float32" else model.model_bytes
        self.resample_seconds = packed - start
        self.build_seconds = time.perf_counter() - packed
        return built

    @property
    def model(self) -> Sized:
        """The network at the size in use."""
        return self._open().model

    def _open(self) -> _Built[Sized]:
        self._owner.check("session")
        if self._built is None:
            raise UsageError("the session is closed")
        return self._built

    def run(self, inputs: Inputs, *, allow_nonfinite: bool = False) -> Array | dict[str, Array]:
        """Run the network.

        Parameters
        ----------
        inputs : the input as an array, or a mapping from input names to arrays; float, laid out as
            in the source model (NCHW for images), any batch
        allow_nonfinite : let NaN and infinity through to the network

        Returns
        -------
        The output as float32; a mapping from names to outputs where the network has several.

        Raises
        ------
        UsageError : an input is missing or unknown, has the wrong shape or type, or values that are not
            finite; the session is closed, or that of the process from which this one was forked
        EngineError : MindSpore Lite failed
        """
        manifest = self._open().model.manifest
        arrays, batch = _check_inputs(manifest.inputs, inputs)
        if not allow_nonfinite:
            _check_finite(arrays)
        with self._lock:
            built = self._open()
            if batch > 1 and self._takes_one_image(manifest):
                parts = [_image(arrays, index) for index in range(batch)]
                found = [built.engine_model.run(part) for part in parts]
                outputs = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
            else:
                self._set_batch(built, arrays, batch)
                outputs = built.engine_model.run(arrays)
        results = {port.name: outputs[port.name].astype(np.float32, copy=False) for port in manifest.outputs}
        return results if len(results) > 1 else next(iter(results.values()))

    def profile(self, inputs: Inputs) -> list[NodeTime]:
        """Run the network once and time each of its nodes. Same errors as `run`, and EngineError where the
        engine cannot time nodes."""
        manifest = self._open().model.manifest
        arrays, batch = _check_inputs(manifest.inputs, inputs)
        if self._takes_one_image(manifest):
            arrays, batch = _image(arrays, 0), 1
        with self._lock:
            built = self._open()
            self._set_batch(built, arrays, batch)
            return built.engine_model.profile(arrays)

    def _takes_one_image(self, manifest: Manifest) -> bool:
        """Whether images go to the engine one by one: with several threads, MindSpore Lite 2.0 shares a batch
        out between them where a convolution has few outputs, and answers garbage."""
        return manifest.one_image or self._threads > 1

    def _set_batch(self, built: _Built[Sized], arrays: Mapping[str, Array], batch: int) -> None:
        if batch != built.batch:
            built.model.check_batch(batch)
            built.engine_model.resize({name: array.shape for name, array in arrays.items()})
            built.batch = batch

    def resize(self, size: float | str | Budget) -> None:
        """Change the network's size while other threads call: calls in flight finish on the old one.

        The old one serves until the new one is built, so for that time memory holds both, but never more:
        a second resize waits for the first. A failed build changes nothing. Same parameter and errors as
        `Bundle.resample`; the session's threads and engine hold for a budget.
        """
        self._owner.check("session")
        with self._resizing:
            model = self._open().model
            built = self._build(model.resized(size, threads=self._threads, engine=self.engine))
            with self._lock:
                previous, self._built = self._built, built
            if previous is None:  # closed in the meantime
                self.close()
            else:
                previous.engine_model.close()

    def close(self) -> None:
        """Free the engine's model. Closing twice is allowed; in a forked process it does nothing."""
        if not self._owner.is_here:
            return
        with self._lock:
            built, self._built = self._built, None
        if built is not None:
            built.engine_model.close()

    def __enter__(self) -> Session[Sized]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _image(arrays: Mapping[str, Array], index: int) -> dict[str, Array]:
    return {name: np.ascontiguousarray(array[index : index + 1]) for name, array in arrays.items()}


def _check_finite(arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        if not all_finite(array):
            found = array[~np.isfinite(array)][0]
            raise UsageError(
                f"input {name!r}: expected finite float32 values, found {found:g} "
                "(allow_nonfinite lets it through)"
            )


def _check_inputs(ports: tuple[Port, ...], inputs: Inputs) -> tuple[dict[str, Array], int]:
    """Arrays in the engine's layout (NHWC), keyed by name, and their common batch."""
    if not isinstance(inputs, Mapping):
        if len(ports) != 1:
            names = ", ".join(port.name for port in ports)
            raise UsageError(f"inputs: expected a mapping with the names {names}, found one array")
        inputs = {ports[0].name: inputs}
    unknown = sorted(set(inputs) - {port.name for port in ports})
    if unknown:
        names = ", ".join(port.name for port in ports)
        raise UsageError(f"inputs: expected the names {names}, found {', '.join(unknown)}")
    arrays: dict[str, Array] = {}
    batch = 0
    for port in ports:
        if port.name not in inputs:
            raise UsageError(f"input {port.name!r} is missing")
        try:
            array = np.asarray(inputs[port.name])
        except ValueError as error:  # rows of different lengths
            raise UsageError(f"input {port.name!r}: expected an array: {error}") from None
        if not np.issubdtype(array.dtype, np.floating):
            raise UsageError(f"input {port.name!r}: expected float32 values, found {array.dtype}")
        if array.ndim != len(port.shape) or array.shape[1:] != port.shape[1:] or not len(array):
            expected = "(batch, " + ", ".join(str(d) for d in port.shape[1:]) + ")"
            raise UsageError(f"input {port.name!r}: expected shape {expected}, found {array.shape}")
        if batch and len(array) != batch:
            raise UsageError(f"input {port.name!r}: expected batch {batch}, found {len(array)}")
        batch = len(array)
        with np.errstate(over="ignore"):  # what float32 cannot hold is said below
            array = array.astype(np.float32, copy=False)
        # A view: the engine's memory is filled from it, the only copy that is made.
        arrays[port.name] = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
    return arrays, batch
